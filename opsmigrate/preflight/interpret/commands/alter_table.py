"""ALTER TABLE: which subcommands it has, and in what order they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from opsmigrate.postgres.lock_modes import stronger
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.dependents import dependents
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import ancestors_of, descendants_of
from opsmigrate.preflight.interpret.loaded import Loaded, by_key
from opsmigrate.preflight.interpret.lookup import find_name, find_relation
from opsmigrate.preflight.interpret.rewriting import write_anew
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Thing
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.nodes import label

# Of a table, of a column of it, and of its constraints: file -> the keys of its ACTIONS.
FILES = {
    "columns": ("AT_AddColumn", "AT_DropColumn"),
    "alter_type": ("AT_AlterColumnType",),
    "defaults": (
        "AT_ColumnDefault",
        "AT_SetExpression",
        "AT_DropExpression",
        "AT_SetStatistics",
        "AT_SetOptions",
        "AT_ResetOptions",
    ),
    "not_null": ("AT_SetNotNull", "AT_DropNotNull"),
    "identity": ("AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity"),
    "constraints": (
        "AT_AddConstraint",
        "AT_DropConstraint",
        "AT_ValidateConstraint",
        "AT_AlterConstraint",
    ),
    "reindex": ("AT_ClusterOn", "AT_DropCluster"),
    "storage": ("AT_SetStorage", "AT_SetCompression"),
    "owners": (
        "AT_ChangeOwner",
        "AT_EnableRowSecurity",
        "AT_DisableRowSecurity",
        "AT_ForceRowSecurity",
        "AT_NoForceRowSecurity",
        "AT_ReplicaIdentity",
        "AT_SetRelOptions",
        "AT_ResetRelOptions",
    ),
    "partitions": ("AT_AttachPartition", "AT_DetachPartition"),
    "persistence": ("AT_SetLogged", "AT_SetUnLogged"),
    "inheriting": ("AT_AddInherit", "AT_DropInherit"),
    "triggers": (
        "AT_EnableTrig",
        "AT_EnableAlwaysTrig",
        "AT_EnableReplicaTrig",
        "AT_DisableTrig",
        "AT_EnableTrigAll",
        "AT_DisableTrigAll",
        "AT_EnableTrigUser",
        "AT_DisableTrigUser",
    ),
}
ACTIONS: Loaded[Action] = Loaded("ACTIONS", by_key(FILES))
# What may be given away by these words; with TABLE, anything.
OWNED = {"OBJECT_VIEW": "v", "OBJECT_MATVIEW": "m", "OBJECT_SEQUENCE": "S"}
TABLES = ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE")


def alter_table(step: Step, node: Any) -> None:
    """Do what `node`, an AlterTableStmt, says to a table."""
    _need_to_own(step, node)
    if label(node, "objtype") not in TABLES and not _gives_away(node):
        raise _unknown(step, node, f"ALTER of {label(node, 'objtype')}")
    found = find_name(step, node.relation)
    if found is not None and found not in step.schema.relations:
        raise _unknown(step, node, "ALTER TABLE of an index")
    relation = find_relation(step, node.relation, missing_ok=node.missing_ok)
    if relation is None:
        return
    if relation.kind not in OWNED.get(label(node, "objtype"), relation.kind):
        step.refuse("42809", "wrong-kind", relation=relation.name)
    commands = [each.alter_table_cmd for each in node.cmds]
    actions = []
    for command in commands:
        action = ACTIONS.get(label(command, "subtype"))
        if action is None:
            raise _unknown(step, node, f"{label(command, 'subtype')} is not interpreted")
        actions.append(action)
    table = relation.name
    modes = [action.mode(command) for action, command in zip(actions, commands, strict=True)]
    altering = Altering(
        step=step,
        table=table,
        mode=reduce(stronger, modes, modes[0]),
        only=not node.relation.inh,
    )
    altering.lock(table)
    try:
        for action, command in zip(actions, commands, strict=True):
            action.prepare(altering, table, command)
        altering.later(Pass.ROWS, lambda: write_anew(altering))
        altering.run()
    except UnknownError as error:
        # Whatever it is, it is done to this table, and perhaps to those that descend from it.
        others = error.unknown.relations or descendants_of(step.schema, table)
        raise UnknownError(error.unknown.why, table, *others) from error


def _need_to_own(step: Step, node: Any) -> None:
    """Note who may alter it at all, also where nothing else of the statement is understood."""
    found = step.schema.visible(*range_name(node.relation))
    table = step.schema.at(found) if found is not None else None
    if table is not None:
        step.effects.need("OWNER", "type" if table.kind == "c" else "relation", table.name)


def _gives_away(node: Any) -> bool:
    """Return whether it only says OWNER TO: of a view or a sequence, that is as of a table."""
    subtypes = {label(each.alter_table_cmd, "subtype") for each in node.cmds}
    return label(node, "objtype") in OWNED and subtypes == {"AT_ChangeOwner"}


def _unknown(step: Step, node: Any, why: str) -> UnknownError:
    """Return the end of a statement that is not understood, and taints all that it names."""
    names = [each.value for each in step.statement.parts() if each.kind == "RangeVar"]
    found = [name for each in names if (name := find_name(step, each)) is not None]
    for name in list(found):
        table = step.schema.table_of_index(name)
        # An index of a partition may make valid those above it.
        found += ancestors_of(step.schema, table) if table is not None else ()
    return UnknownError(why, *found, *(user for name in found for user in _users(step, name)))


def _users(step: Step, name: Name) -> Iterator[Name]:
    """Yield what has columns of the type that a relation makes, and what descends from it."""
    for each in dependents(step.schema, Thing("type", name)):
        if each.by.kind in ("relation", "column"):
            yield from (each.by.name, *descendants_of(step.schema, each.by.name))


COMMANDS: Mapping[str, Command] = {"alter_table_stmt": alter_table}
