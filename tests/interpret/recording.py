"""What the server did, kept: any interpreter can be held against it, without a server."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from tests.interpret.bisimulation import Comparison, Happened, judged

Question = tuple[Name | None, str, str, str]


class Executed(NamedTuple):
    """A statement of a form, and what the server did; its schema after it, None for no other.

    `rights` are what it needed when they were taken away one by one; None where it was not tried.
    `reach` is how far it went beyond what it was said to need (told.py); None for not tried.
    `indispensable` are the rights without which it would have gone further.
    """

    form: str
    text: str
    happened: Happened
    server: Schema | None
    rights: frozenset[Right] | None = None
    reach: int | None = None
    indispensable: frozenset[Right] = frozenset()


@dataclass
class Recording:
    """Statements that were executed one after the other, from `start` on."""

    start: Schema
    executed: list[Executed] = field(default_factory=list)
    same: Mapping[Question, bool] = field(default_factory=dict)
    # What the server said of the rights, else than was claimed.
    rights_wrong: list[str] = field(default_factory=list)

    @property
    def last(self) -> Schema:
        """Return the server's schema at its end."""
        return next(
            (each.server for each in reversed(self.executed) if each.server is not None), self.start
        )

    def add(self, executed: Executed) -> None:
        """Note what was executed; what is as it was before is kept once."""
        if executed.server is not None:
            executed = executed._replace(server=_sharing(executed.server, self.last))
        if self.executed and self.executed[-1].happened.after == executed.happened.before:
            same = self.executed[-1].happened.after
            after = executed.happened.after
            after = same if after == same else after
            executed = executed._replace(
                happened=replace(executed.happened, before=same, after=after)
            )
        self.executed.append(executed)

    def judged(
        self, same: Callable[..., bool] | None = None
    ) -> Iterator[tuple[Schema, Comparison]]:
        """Yield each comparison, and the schema that ours was before it."""
        schema = self.start
        for each in self.executed:
            [statement] = parse(each.text)
            found = judged(schema, statement, each.happened, each.server, same or self.is_same)
            yield schema, found
            schema = found.after

    def going_on(self) -> Iterator[tuple[Schema, Comparison]]:
        """Yield each comparison as judged() does, but after what is unknown with what is known."""
        schema = self.start
        for each in self.executed:
            [statement] = parse(each.text)
            found = judged(schema, statement, each.happened, each.server, self.is_same)
            yield schema, found
            known = found.unknown is None
            schema = found.after if known else interpret(schema, statement)[0]

    def is_same(self, *question: Any) -> bool:
        """Return what the server said of two expressions; false for what it was not asked."""
        return self.same.get(question, False)


def _sharing(schema: Schema, former: Schema) -> Schema:
    """Return the schema with the parts that equal those of the former one as the same objects."""
    kept: dict[str, Any] = {}
    for each in fields(schema):
        ours, theirs = getattr(schema, each.name), getattr(former, each.name)
        if ours == theirs:
            kept[each.name] = theirs
        elif isinstance(ours, dict):
            kept[each.name] = {
                key: theirs[key] if key in theirs and theirs[key] == value else value
                for key, value in ours.items()
            }
    return replace(schema, **kept)


def save(recordings: Sequence[Recording], path: Path) -> None:
    """Write recordings down; they can be read as long as the schema's fields are the same."""
    path.write_bytes(pickle.dumps(list(recordings)))


def load(path: Path) -> list[Recording]:
    """Read what save() wrote: files of our own only."""
    found = pickle.loads(path.read_bytes())  # noqa: S301
    assert isinstance(found, list)
    return found
