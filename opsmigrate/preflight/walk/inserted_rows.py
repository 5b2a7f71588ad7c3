"""INSERT … VALUES written by hand, asked about with the very rows that it inserts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.schema import Column, Relation
from opsmigrate.preflight.walk.insert_rejections import insert_rejections
from opsmigrate.preflight.walk.interpretation import Interpreted
from opsmigrate.preflight.walk.rows_to_insert import NewRows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import INTEGERS, TEXTS, base

INSERT = "insert_stmt"
MORE_THAN_ROWS = ("on_conflict_clause", "returning_clause", "with_clause")
# A default that calls one of these has no row that it fails on; `nextval` is asked about.
PLAIN_DEFAULTS = ("nextval(", "now()", "gen_random_uuid()", "clock_timestamp()")


def is_plain_insert(walk: SchemaWalk, step: Interpreted) -> bool:
    """Return whether the live table can be asked: it is as it was, and constants are inserted."""
    relation = _target(step)
    if relation is None or relation.kind != "r" or relation.row_security:
        return False
    live, ledger = walk.interpretation.live, walk.ledger
    as_it_was = live is not None and all(
        live.relations.get(name) is each
        for name, each in step.before.relations.items()
        if each.kind == "S" or each is relation
    )
    table = walk.schema.table_of(relation.name)
    if table is None or not as_it_was or table.written or ledger.code_runs:
        return False
    new = _rows(table, relation, step.statement.node)
    return new is not None and not any(
        each.kind == "f" and set(each.columns) & set(new.columns)
        for each in relation.constraints.values()
    )


def require_insertable(walk: SchemaWalk, step: Interpreted, shown: str) -> None:
    """Report what refuses the rows of an INSERT that is_plain_insert() found to be plain."""
    relation = _target(step)
    table = walk.schema.table_of(relation.name) if relation else None
    new = _rows(table, relation, step.statement.node) if table and relation else None
    if table is None or new is None:
        walk.ledger.mark_undecided(f"whether its rows can be inserted by {shown}")
        return
    for rejection in insert_rejections(walk, new):
        if not rejection.certain:
            walk.ledger.mark_undecided(rejection.what)
            continue
        walk.ledger.find(
            "sql-refused",
            f"PostgreSQL refuses the rows of hand-written SQL: {rejection.what} ({shown})",
            hint="correct the migration's SQL, or the rows that it meets",
            table=table.label,
            column=rejection.column,
        )


def _target(step: Interpreted) -> Relation | None:
    written = step.effects.writes_rows
    return step.before.relations.get(next(iter(written))) if len(written) == 1 else None


def _rows(table: SimulatedTable, relation: Relation, node: Any) -> NewRows | None:
    """Return the rows of an INSERT; None where they are more than constants of plain types."""
    columns = tuple(as_stored(each.res_target.name) for each in node.cols)
    if not columns or any(map(node.HasField, MORE_THAN_ROWS)):
        return None
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    given = {
        relation.columns[name]: [row[number] for row in rows] for number, name in enumerate(columns)
    }
    values = {
        column.name: [_constant(node, column) for node in nodes]
        for column, nodes in given.items()
        if column.default or column.identity or not all(map(_is_null, nodes))
    }
    absent = [each for name, each in relation.columns.items() if name not in values]
    if any(each.generated or not _is_plain_default(each.default) for each in absent):
        return None
    if not rows or any(value is None for each in values.values() for value in each):
        return None
    return NewRows(
        table=table,
        types={name: relation.columns[name].type for name in values},
        rows=list(zip(*values.values(), strict=True)),
        key=next((name for name in table.keys if name not in values), None),
    )


def _is_plain_default(text: str | None) -> bool:
    return text is None or "(" not in text or text.startswith(PLAIN_DEFAULTS)


def _is_null(node: Any) -> bool:
    return node.WhichOneof("node") == "a_const" and bool(node.a_const.isnull)


def _constant(node: Any, column: Column) -> int | str | bool | None:
    """Return a value of the column's own type; None where it is anything else."""
    if node.WhichOneof("node") != "a_const" or column.collation is not None:
        return None
    kind, type_ = node.a_const.WhichOneof("val"), base(column.type)
    if kind == "ival" and type_ in INTEGERS:
        return int(node.a_const.ival.ival)
    if kind == "boolval" and type_ == "boolean":
        return bool(node.a_const.boolval.boolval)
    if kind == "sval" and type_ in TEXTS:
        return str(node.a_const.sval.sval)
    if kind == "sval" and type_ == "uuid":
        return _uuid(node.a_const.sval.sval)
    return None


def _uuid(text: str) -> str | None:
    """Return a UUID as it is usually written, so that two are equal where their texts are."""
    with suppress(ValueError):
        plain = str(UUID(text))
        return plain if plain == text.lower() else None
    return None
