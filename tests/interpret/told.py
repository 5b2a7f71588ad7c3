"""What a statement is said to need, and how far beyond that it was seen to reach.

opsmigrate/preflight/interpret/rights.py tells rights and doubts: a doubt says within what there may
be more. Here the server is asked with all that is within a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.inheritance import surroundings
from opsmigrate.preflight.interpret.rights import Needs, Within, needs_of
from opsmigrate.preflight.interpret.schema import Schema, Signature
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import Statement
from opsmigrate.sql.transactions import stands_alone
from tests.interpret.changed_rules import FOLDER
from tests.interpret.recording import Recording
from tests.interpret.rights_taken import GIVING, is_refused, plain

# How far a doubt reaches; what has none reaches no further than its rights.
REACH = {Within.ROWS: 1, Within.CODE: 1, Within.NAMED: 2, Within.ANYTHING: 3}
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
CODE = frozenset({"do_stmt", "call_stmt"})


def reach_of(needs: Needs) -> int:
    """Return how far a statement may reach beyond its rights."""
    return max((REACH[each.within] for each in needs.doubts), default=0)


def least_reach(
    statement: Statement, needs: Needs, schema: Schema, connection: BaseDatabaseWrapper
) -> int | None:
    """Return how far it does reach, as a role; None where the server cannot be asked.

    `schema` is what it finds. Nothing stays of what is tried.
    """
    told = list(dict.fromkeys(map(plain, needs.rights)))
    # Which extensions are for superusers, the schema does not tell.
    if stands_alone(statement) or statement.kind == "create_extension_stmt":
        return None
    if any((each.privilege, each.object_kind) not in GIVING for each in told):
        return None
    # What the functions need that a block calls, rehearsal/reached_code.py tells.
    if statement.kind == "do_stmt" and any(_functions(schema, statement.text)):
        return None
    makes = any(each.makes for each in needs.doubts)
    names = _named(schema, statement.text)
    rows = [*_rows(schema, names), *_used(schema, statement.text)]
    owned = [*rows, *_owned(schema, statement.text, names)]
    homes = [_right("CREATE", "schema", (each,)) for each in schema.schemas] if makes else []
    with connection.cursor() as cursor:
        for reach, more in enumerate(([], rows, [*owned, *homes])):
            if not is_refused(cursor, statement, [*told, *more]):
                return reach
    return max(REACH.values())


def indispensable(
    statement: Statement, needs: Needs, schema: Schema, connection: BaseDatabaseWrapper
) -> frozenset[Right]:
    """Return the rights without which it would reach further than its doubts say."""

    def reaches_further(taken: Right) -> bool:
        others = replace(needs, rights=tuple(each for each in needs.rights if each != taken))
        return (least_reach(statement, others, schema, connection) or 0) > reach_of(needs)

    return frozenset(filter(reaches_further, needs.rights))


def _right(privilege: str, kind: str, name: Iterable[str]) -> Right:
    return Right(privilege=privilege, object_kind=kind, name=tuple(name))


def _stands_in(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _named(schema: Schema, text: str) -> list[Name]:
    return [
        each.name
        for each in schema.relations.values()
        if any(_stands_in(name, text) for name in (each.name.name, *each.indexes))
    ]


def _rows(schema: Schema, names: Iterable[Name]) -> Iterator[Right]:
    for name in names:
        if schema.relations[name].kind != "c":
            yield from (_right(each, "relation", name) for each in ROWS)


def _used(schema: Schema, text: str) -> Iterator[Right]:
    """Yield what may be used of what a text names, which is asked of every statement."""
    for type_ in schema.types:
        if _stands_in(type_.name, text):
            yield _right("USAGE", "type", type_)
    for signature in _functions(schema, text):
        yield _right("EXECUTE", "function", (*signature.name, *signature.arguments))


def _functions(schema: Schema, text: str) -> Iterator[Signature]:
    return (each for each in schema.functions if _stands_in(each.name.name, text))


def _owned(schema: Schema, text: str, names: Iterable[Name]) -> Iterator[Right]:
    for name in sorted(surroundings(schema, names)):
        if (table := schema.relations.get(name)) is not None:
            yield _right("OWNER", "type" if table.kind == "c" else "relation", name)
    others: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        *((each.name, "type", each) for each in schema.types),
        *((each.name.name, "function", (*each.name, *each.arguments)) for each in schema.functions),
        *((each.name, "collation", each) for each in schema.collations),
        *((each, "schema", (each,)) for each in schema.schemas),
        *((s.name, "statistics", s) for each in schema.relations.values() for s in each.statistics),
    )
    for word, kind, parts in others:
        if _stands_in(word, text):
            yield _right("OWNER", kind, parts)


@dataclass(frozen=True)
class Told:
    """What the statements of a recording are said to need, one after the other."""

    recording: Recording
    # How far each was said to reach by the rules as they are.
    claimed: tuple[int, ...] = ()
    # The rules that it holds: of what the others tell, cases tell more.
    rules: ClassVar[str] = str(FOLDER / "rights.py")

    def interpreted(self, *, anew: bool) -> tuple[int, ...]:
        """Return how far each statement is said to reach."""
        schema, found = self.recording.start, []
        for each in self.recording.executed:
            for after, needs in needs_of(schema, each.text):
                schema = after
                found.append(reach_of(needs))
        return tuple(found)

    def is_contradicted(self) -> bool:
        """Return whether less is known of a statement, or less is said than the server asked."""
        return any(
            now > was or (each.reach is not None and now < each.reach)
            for each, was, now in zip(
                self.recording.executed, self.claimed, self.interpreted(anew=False), strict=True
            )
        )


def told(recording: Recording) -> Iterator[Told]:
    """Yield what a recording's statements are said to need, where that is right."""
    found = Told(recording)
    found = Told(recording, found.interpreted(anew=False))
    if not found.is_contradicted():
        yield found
