"""One statement on one schema: the next schema, and what the statement does on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opsmigrate.preflight.interpret.commands import COMMANDS, RIGHTS
from opsmigrate.preflight.interpret.effects import Effects, RefusedError, UnknownError
from opsmigrate.preflight.interpret.grammar_versions import refused_by_grammar
from opsmigrate.preflight.interpret.inheritance import surroundings
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.statement import Statement

# Whatever these name, they may change, or forbid to be changed later.
CHANGES = frozenset(
    {"alter_table_stmt", "index_stmt", "create_stmt", "rename_stmt"}
    | {"create_policy_stmt", "alter_policy_stmt", "rule_stmt"}
)


def interpret(
    schema: Schema, statement: Statement, commands: Mapping[str, Command] = COMMANDS
) -> tuple[Schema, Effects]:
    """Return the schema after the statement, and its effects; never raises for what it says.

    A statement that the server refuses leaves the schema as it was; one that is not understood
    taints the relations that it names, or all where it may reach any. `commands` are ours.
    """
    step = Step(schema=schema, statement=statement, effects=Effects())
    command = commands.get(statement.kind)
    try:
        if command is None:
            told = _tells_rights(step, statement)
            raise UnknownError(f"{statement.kind} is not interpreted", rights_told=told)
        if (state := refused_by_grammar(statement, schema.version)) is not None:
            step.refuse(state, "syntax")
        if schema.all_tainted is not None:
            raise UnknownError(schema.all_tainted)
        command(step, statement.node)
    except RefusedError as refused:
        if refused.refusal.sqlstate != "3F000" or refused.refusal.name not in SYSTEM_SCHEMAS:
            return schema, replace(step.effects, refusal=refused.refusal)
        step.effects.may_need_superuser()
        error = UnknownError("what is in a schema of PostgreSQL's own")
    except UnknownError as unknown:
        error = unknown
    else:
        return step.schema, step.effects
    # More may be there than is known, whatever else the statement came to.
    before = replace(schema, incomplete=step.schema.incomplete)
    return tainted(before, error, statement), replace(step.effects, unknown=error.unknown)


def _tells_rights(step: Step, statement: Statement) -> bool:
    """Note what a statement that is not interpreted needs; return whether that is known."""
    rights = RIGHTS.get(statement.kind)
    if rights is None:
        return False
    try:
        rights(step, statement.node)
    except RefusedError:
        # What it does not find may be there, where nothing is known any more.
        if step.schema.all_tainted is None:
            raise
        return False
    return True


def tainted(schema: Schema, error: UnknownError, statement: Statement) -> Schema:
    """Return the schema of which something is no longer known.

    What is done to a table goes on to its descendants, and to what refers to any of them; what is
    named and not there may be there from now on.
    """
    if error.unknown.relations:
        named = {
            each.name if (each := schema.at(name)) else name for name in error.unknown.relations
        }
        if statement.kind in CHANGES:
            named |= {
                each.name
                for part in statement.parts()
                if part.kind == "RangeVar"
                and (found := schema.visible(*range_name(part.value))) is not None
                and (each := schema.at(found)) is not None
            }
        new = {
            Name(home, name)
            for part in statement.parts()
            if part.kind == "RangeVar"
            for where, name in (range_name(part.value),)
            if schema.visible(where, name) is None and (home := where or schema.home(None))
        }
        return replace(schema, tainted=schema.tainted | surroundings(schema, named) | new)
    return replace(schema, all_tainted=schema.all_tainted or error.unknown.why)
