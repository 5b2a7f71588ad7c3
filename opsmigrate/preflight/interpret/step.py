"""A statement at work, as the file of its command has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from opsmigrate.preflight.interpret.effects import Effects, Refusal, RefusedError, UnknownError
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import Statement

# Undefined table, function, object: it may be there all the same, where not all is known.
NOT_THERE = frozenset({"42P01", "42883", "42704"})


@dataclass(kw_only=True)
class Step:
    """A statement at work: its command replaces `schema` as it goes and adds to `effects`."""

    schema: Schema
    statement: Statement
    effects: Effects

    def refuse(self, sqlstate: str, kind: str, **about: Any) -> NoReturn:
        """End the statement as the server would; for `about` see Refusal."""
        if self.schema.incomplete is not None and sqlstate in NOT_THERE:
            raise UnknownError(self.schema.incomplete)
        raise RefusedError(Refusal(sqlstate=sqlstate, kind=kind, **about))

    def put(self, relation: Relation, *, former: Name | None = None) -> None:
        """Let the schema have this relation, in the place of `former` where it is called anew."""
        self.schema = self.schema.with_relation(relation, former=former)

    def known(self, name: Name) -> Relation:
        """Return a relation that is there; end the statement as unknown where it is tainted."""
        if name in self.schema.tainted:
            raise UnknownError(f"something unknown was done to {name}", name)
        return self.schema.relations[name]


Command = Callable[[Step, Any], None]
