"""What a statement of Django's says, read from its tree: the shapes that have a safer way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.sql.nodes import label, names
from opsmigrate.sql.statement import Statement


@dataclass(frozen=True, kw_only=True)
class AddedConstraint:
    """A constraint that ALTER TABLE … ADD makes; `table` and `name` are in quotes, as SQL.

    `kind` is the grammar's word, as in "CONSTR_UNIQUE"; `elements` and `timing` are SQL.
    """

    table: str
    name: str
    kind: str
    elements: str
    timing: str


def command_of(statement: Statement, subtype: str) -> Any:
    """Return the subcommand of an ALTER TABLE that has this one only, as in "AT_DropColumn"."""
    if statement.kind != "alter_table_stmt" or len(statement.node.cmds) != 1:
        return None
    command = statement.node.cmds[0].alter_table_cmd
    return command if label(command, "subtype") == subtype else None


def table_of(statement: Statement) -> str:
    """Return the table that a statement alters, in quotes."""
    relation = statement.node.relation
    return ".".join(quoted(each) for each in (relation.schemaname, relation.relname) if each)


def added_constraint(statement: Statement, kind: str) -> AddedConstraint | None:
    """Return the constraint of this kind that the statement adds and nothing else; else None."""
    command = command_of(statement, "AT_AddConstraint")
    node = getattr(command, "def").constraint if command is not None else None
    if node is None or label(node, "contype") != kind or not node.conname or node.indexname:
        return None
    elements = f"({_listed(names(node.keys))})"
    if node.including:
        elements += f" INCLUDE ({_listed(names(node.including))})"
    if node.nulls_not_distinct:
        elements += " NULLS NOT DISTINCT"
    timing = f" DEFERRABLE INITIALLY {'DEFERRED' if node.initdeferred else 'IMMEDIATE'}"
    return AddedConstraint(
        table=table_of(statement),
        name=quoted(node.conname),
        kind=kind,
        elements=elements,
        timing=timing if node.deferrable else "",
    )


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))


def creates_index(statement: Statement) -> bool:
    """Return whether the statement builds an index while nobody writes."""
    return statement.kind == "index_stmt" and not statement.node.concurrent


def concurrently(statement: Statement) -> str:
    """Return CREATE INDEX as CREATE INDEX CONCURRENTLY."""
    return one_line(statement).replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def one_line(statement: Statement) -> str:
    """Return the statement's text on one line."""
    return " ".join(statement.text.split())


def sets_default(statement: Statement) -> bool:
    """Return whether the statement changes a default only, or when constraints are checked."""
    return (
        statement.kind == "constraints_set_stmt"
        or command_of(statement, "AT_ColumnDefault") is not None
    )


def sets_not_null(statement: Statement) -> bool:
    """Return whether the statement says that a column has a value."""
    return command_of(statement, "AT_SetNotNull") is not None


def fills_nulls(statement: Statement) -> bool:
    """Return whether the statement gives a value to the rows that have none."""
    if statement.kind != "update_stmt":
        return False
    test = statement.node.where_clause.null_test
    return bool(test.HasField("arg")) and label(test, "nulltesttype") == "IS_NULL"


def dropped_column(statement: Statement) -> str | None:
    """Return the column that the statement drops, in quotes."""
    command = command_of(statement, "AT_DropColumn")
    return quoted(command.name) if command is not None else None


def added_unique_column(statement: Statement) -> tuple[str, str] | None:
    """Return table and column that the statement adds, as they are stored, where it is unique."""
    command = command_of(statement, "AT_AddColumn")
    if command is None:
        return None
    definition = getattr(command, "def").column_def
    kinds = {label(each.constraint, "contype") for each in definition.constraints}
    if "CONSTR_UNIQUE" not in kinds:
        return None
    return as_stored(statement.node.relation.relname), as_stored(definition.colname)
