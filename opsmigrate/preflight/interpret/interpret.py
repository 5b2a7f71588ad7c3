"""One statement on one schema: the next schema, and what the statement does on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from opsmigrate.preflight.interpret.effects import Effects, Refusal, RefusedError, UnknownError
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import Statement


@dataclass(kw_only=True)
class Step:
    """A statement at work: its command replaces `schema` as it goes and adds to `effects`."""

    schema: Schema
    statement: Statement
    effects: Effects

    def refuse(self, sqlstate: str, kind: str, **about: Any) -> NoReturn:
        """End the statement as the server would; for `about` see Refusal."""
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
# What a command is called in the grammar -> its rule. Of any other, nothing is known.
Commands = Mapping[str, Command]


def interpret(
    schema: Schema, statement: Statement, commands: Commands | None = None
) -> tuple[Schema, Effects]:
    """Return the schema after the statement, and its effects; never raises for what it says.

    A statement that the server refuses leaves the schema as it was; one that is not understood
    taints the relations that it names, or all where it may reach any. `commands` are ours.
    """
    step = Step(schema=schema, statement=statement, effects=Effects())
    command = (_commands() if commands is None else commands).get(statement.kind)
    try:
        if command is None:
            raise UnknownError(f"{statement.kind} is not interpreted")
        if schema.all_tainted is not None:
            raise UnknownError(schema.all_tainted)
        command(step, statement.node)
    except RefusedError as refused:
        return schema, replace(step.effects, refusal=refused.refusal)
    except UnknownError as error:
        return tainted(schema, error), replace(step.effects, unknown=error.unknown)
    return step.schema, step.effects


def _commands() -> Commands:
    # Their files need Step.
    from opsmigrate.preflight.interpret.commands import COMMANDS

    return COMMANDS


def tainted(schema: Schema, error: UnknownError) -> Schema:
    """Return the schema of which something is no longer known."""
    if error.unknown.relations:
        return replace(schema, tainted=schema.tainted | set(error.unknown.relations))
    return replace(schema, all_tainted=schema.all_tainted or error.unknown.why)
