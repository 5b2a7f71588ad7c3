"""TRUNCATE, and COPY."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.preflight.interpret.commands.comment import OF_SEQUENCE
from opsmigrate.preflight.interpret.commands.row_effects import INSERT, lock_sequences, write
from opsmigrate.preflight.interpret.commands.row_values import look_at_condition
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.named import name_parts
from opsmigrate.preflight.interpret.queries import read
from opsmigrate.preflight.interpret.schema import Constraint, Relation, Schema
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

TRUNCATES = 32


def truncate(step: Step, node: Any) -> None:
    """TRUNCATE of tables, with those that inherit, and by CASCADE those that refer to them.

    Of these only the table that refers itself (ExecuteTruncateGuts), not those that inherit.
    """
    tables: dict[Name, None] = {}
    for each in node.relations:
        table = _table_of(step, each.range_var)
        step.effects.need("TRUNCATE", "relation", table.name)
        if table.name in tables:
            # Named a second time, with or without ONLY: the first word counts.
            continue
        tables[table.name] = None
        if each.range_var.inh:
            tables.update(dict.fromkeys(descendants_of(step.schema, table.name)))
        elif table.kind == "p":
            step.refuse("42809", "partitioned-alone", relation=table.name)
    referring = _referring(step.schema, set(tables))
    if referring and label(node, "behavior") != "DROP_CASCADE":
        step.refuse("0A000", "referred-to", holder=str(min(referring)))
    while referring:
        tables.update(dict.fromkeys(sorted(referring)))
        for name in referring:
            step.effects.need("TRUNCATE", "relation", name)
        referring = _referring(step.schema, set(tables))
    for name in tables:
        _empty(step, name, restarts=node.restart_seqs)
    step.effects.truncates = True


def _table_of(step: Step, node: Any) -> Relation:
    table = relation_of(step, node)
    if table.kind == "f":
        raise UnknownError("whether a foreign table can be emptied", table.name)
    if table.kind not in "rp":
        step.refuse("42809", "wrong-kind", relation=table.name)
    return table


def _referring(schema: Schema, tables: set[Name]) -> set[Name]:
    """Return what else has foreign keys to the tables.

    A key to a partition comes from one to the partitioned table: then whatever refers to that one
    does too (heap_truncate_find_FKs).
    """
    keys = [
        (each.name, key)
        for each in schema.relations.values()
        for key in each.constraints.values()
        if key.kind == "f"
    ]
    targets = tables | {_top(schema, key).target for _, key in keys if key.target in tables}
    return {name for name, key in keys if key.target in targets} - tables


def _top(schema: Schema, key: Constraint) -> Constraint:
    while key.parent is not None:
        table, name = key.parent
        key = schema.relations[table].constraints[name]
    return key


def _empty(step: Step, name: Name, *, restarts: bool) -> None:
    table = step.known(name)
    step.effects.lock(name, ACCESS_EXCLUSIVE)
    step.effects.writes_rows.add(name)
    if any(each.type & TRUNCATES and each.enabled != "D" for each in table.triggers.values()):
        step.effects.runs_code = True
    for other in step.schema.relations.values():
        facts = other.sequence
        if restarts and facts is not None and facts.owner is not None and facts.owner[0] == name:
            step.effects.lock(other.name, ACCESS_EXCLUSIVE)
            step.effects.need("OWNER", "relation", other.name)


def copy(step: Step, node: Any) -> None:
    """COPY, whose rows come from, or go to, where nothing here can look."""
    if node.is_program or node.filename:
        step.effects.outside.append("a file or a program of the server")
        # Or a member of pg_read_server_files and its like.
        step.effects.may_need(Right(privilege="SUPERUSER", object_kind="role", name=()))
    # Options are not looked at.
    step.effects.unread = bool(node.options)
    if node.HasField("query"):
        read(step, node.query)
        return
    table = relation_of(step, node.relation)
    columns = name_parts(node.attlist)
    step.effects.need(INSERT if node.is_from else "SELECT", "relation", table.name, columns)
    if table.kind == "S" and set(columns) <= set(OF_SEQUENCE):
        step.refuse("42809", "wrong-kind", relation=table.name)
    _require_columns(step, table, columns)
    if node.HasField("where_clause"):
        look_at_condition(step, table, node.where_clause)
    if not node.is_from:
        if table.kind == "m":
            raise UnknownError("COPY of a materialized view", table.name)
        if table.kind != "r":
            step.refuse("42809", "wrong-kind", relation=table.name)
        return
    if table.kind not in "rp":
        raise UnknownError("COPY into what is no table", table.name)
    lock_sequences(step, table, columns or tuple(table.columns), certain=False)
    write(step, table, INSERT)


def _require_columns(step: Step, table: Relation, columns: tuple[str, ...]) -> None:
    """Refuse columns that there are not, are computed, or come twice (CopyGetAttnums)."""
    for number, name in enumerate(columns):
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        if table.columns[name].generated:
            step.refuse("42P10", "generated-column", relation=table.name, column=name)
        if name in columns[:number]:
            step.refuse("42701", "column-twice", relation=table.name, column=name)


COMMANDS: Mapping[str, Command] = {"truncate_stmt": truncate, "copy_stmt": copy}
