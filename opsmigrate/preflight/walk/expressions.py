"""Whether SQL expressions fit the columns that they name, and whether they fail on some row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    UNDEFINED_OBJECT,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.preflight.walk.code_of_others import WHY, calls_others, runs_code
from opsmigrate.preflight.walk.infallible import cannot_fail
from opsmigrate.preflight.walk.made_expressions import names_column
from opsmigrate.preflight.walk.privileges import BY_OTHERS, live_relation
from opsmigrate.preflight.walk.probes import fails_on_rows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK, SimulatedTable
from opsmigrate.schema.types import in_full
from opsmigrate.sql.expressions import functions_named_in
from opsmigrate.steps import Step, statement

# Class 42: it does not fit. Class 22: a constant in it cannot become the column's type.
MISFITS = ("42", "22")
# What CREATE TABLE takes for a type, and a cast does not.
PLAIN = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}
NOT_TO_CALL = """
SELECT format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname = ANY(%s::text[])
    AND p.prokind = 'f' AND NOT has_function_privilege(p.oid, 'EXECUTE')
"""
STATISTICS = "statistics object"
EXPRESSIONS = """
SELECT k.conname, 'check', pg_get_expr(k.conbin, k.conrelid), k.convalidated
FROM pg_constraint k WHERE k.conrelid = format('%%I.%%I', %s::text, %s::text)::regclass
  AND k.contype = 'c'
UNION ALL
SELECT x.relname, 'index', concat_ws(', ', pg_get_expr(i.indexprs, i.indrelid),
                                     pg_get_expr(i.indpred, i.indrelid)), true
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass
  AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
UNION ALL
SELECT e.stxname, 'statistics object',
       array_to_string(pg_get_statisticsobjdef_expressions(e.oid), ', '), false
FROM pg_statistic_ext e
WHERE e.stxrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND e.stxexprs IS NOT NULL
"""


def require_fit(
    walk: SchemaWalk,
    table: SimulatedTable,
    expression: str,
    purpose: str,
    *,
    by_row: bool = False,
    computed: bool = True,
) -> bool:
    """Report if an expression does not fit its columns, or calls what the role may not execute.

    Return whether it is worth asking how it does on the rows. `by_row` says that PostgreSQL does
    not ask for the right to call a function before it comes to a row, as it makes an index; without
    `computed`, it does not compute constants either, as where it only keeps a default.
    """
    if calls_others(walk, expression):
        walk.ledger.mark_undecided(f"whether {purpose} fits {table.label}: {WHY}")
        return False
    try:
        words = misfit(walk, table, expression, {}, computed=computed)
    except ForbiddenError as error:
        _forbidden(walk, table, expression, purpose, str(error), rows_needed=by_row)
        return False
    if words and not walk.sees_everything():
        walk.ledger.mark_undecided(f"whether {purpose} fits {table.label}: {words}")
    elif words:
        walk.ledger.find(
            "expression-invalid",
            f"{purpose} does not fit the columns of {table.label}: {words}",
            hint="convert the columns to the types that the applied migrations describe",
            table=table.label,
        )
    return words is None


class ForbiddenError(Exception):
    """The role may not call a function of an expression; the message is PostgreSQL's."""


def _forbidden(
    walk: SchemaWalk,
    table: SimulatedTable,
    expression: str,
    purpose: str,
    words: str,
    *,
    rows_needed: bool,
) -> None:
    rows = walk.rows(table) if rows_needed else 1
    if rows is None:
        walk.ledger.mark_undecided(f"whether {purpose} is computed for a row: {words}")
    elif rows:
        walk.ledger.find(
            "missing-privilege",
            f"the role may not compute {purpose}: {words}",
            hint=BY_OTHERS,
            steps=tuple(_to_call(walk, expression)),
            table=table.label,
        )


def _to_call(walk: SchemaWalk, expression: str) -> Iterator[Step]:
    """Yield what lets the role call the functions that the expression names."""
    names = list(functions_named_in(expression) or ())
    for (function,) in seen_by_project(walk.connection, NOT_TO_CALL, [names]):
        yield statement(f"GRANT EXECUTE ON FUNCTION {function} TO {quoted(walk.role)}")


def require_no_failure(
    walk: SchemaWalk,
    table: SimulatedTable,
    expression: str,
    purpose: str,
    column: str | None = None,
    *,
    columns: tuple[str, ...] | None = None,
) -> bool:
    """Report if some row makes the expression fail, for example by a division by zero.

    `columns` are those that it names, where that is known otherwise than by their quotes. Return
    whether it is worth asking what it says of the rows.
    """
    if cannot_fail(expression) and not runs_code(walk, expression):
        return True
    rows = walk.rows(table)
    if rows == 0:
        return True
    if calls_others(walk, expression):
        walk.ledger.mark_undecided(f"whether {purpose} fails on some row of {table.label}: {WHY}")
        return False
    named = walk.columns_in(table, expression) if columns is None else columns
    text = sql.SQL(expression)
    failure = fails_on_rows(walk.connection, table, text, named) if rows else None
    if failure is None:
        walk.ledger.mark_undecided(f"whether {purpose} fails on some row of {table.label}")
    elif failure:
        walk.ledger.find(
            "expression-fails",
            f"{purpose} fails on some row of {table.label}: {failure}",
            hint="correct the rows, or make the expression handle them",
            table=table.label,
            column=column,
        )
    return failure == ""


def misfit(
    walk: SchemaWalk,
    table: SimulatedTable,
    expression: str,
    types: Mapping[str, str],
    *,
    computed: bool = True,
) -> str | None:
    """Return PostgreSQL's words where it would refuse the expression, None where it takes it.

    Asked on one row of NULLs with the types that the columns will have; `types` goes before the
    simulated ones. Not asked, and None, where others' code would run. Raises ForbiddenError where
    the role may not call a function in it.
    """
    if calls_others(walk, expression):
        return None
    query = _on_nulls(table, expression, types)
    try:
        with transaction_as_project(walk.connection, "READ ONLY") as cursor:
            cursor.execute(query)
    except Error as error:
        state = sqlstate(error) or ""
        if state == INSUFFICIENT_PRIVILEGE:
            raise ForbiddenError(first_line(error)) from error
        states = MISFITS if computed else MISFITS[:1]
        # A type or collation that is not there yet may come with the plan.
        to_come = state == UNDEFINED_OBJECT and not _names_are_there(walk)
        return None if to_come or not state.startswith(states) else first_line(error)
    return None


def _names_are_there(walk: SchemaWalk) -> bool:
    """Return whether the server knows already each type, collation and configuration to come."""
    return walk.sees_everything() and not walk.schema.collations


def types_of(walk: SchemaWalk, table: SimulatedTable, expressions: str) -> list[str]:
    """Return the type of each expression, without modifiers; nothing where one does not fit."""
    if calls_others(walk, expressions):
        return []
    query = _on_nulls(table, expressions, {})
    try:
        with transaction_as_project(walk.connection, "READ ONLY") as cursor:
            cursor.execute(query)
            oids = [column[1] for column in cursor.description or ()]
            cursor.execute(
                "SELECT pg_catalog.format_type(t, NULL)"
                " FROM pg_catalog.unnest(%s::pg_catalog.oid[]) WITH ORDINALITY AS u (t, n)"
                " ORDER BY n",
                [oids],
            )
            return [row[0] for row in cursor.fetchall()]
    except Error:
        return []


def _on_nulls(table: SimulatedTable, expressions: str, types: Mapping[str, str]) -> Composable:
    """Return a SELECT of the expressions on a row of NULLs, each of its column's type."""
    nulls = sql.SQL(", ").join(_nulls(table, expressions, types))
    return sql.SQL("SELECT {} FROM (SELECT {}) AS {} LIMIT 0").format(
        sql.SQL(expressions), nulls, sql.Identifier(table.name)
    )


def _nulls(
    table: SimulatedTable, expression: str, types: Mapping[str, str]
) -> Iterator[Composable]:
    for column, known in table.types.items():
        # The plan's expressions have the plan's names, the live ones the live names.
        for name in {column, table.origins.get(column, column)}:
            if name in expression:
                kind = types.get(column, known)
                yield sql.SQL("NULL::{} AS {}").format(
                    sql.SQL(in_full(PLAIN.get(kind, kind))), sql.Identifier(name)
                )


def holds(
    connection: BaseDatabaseWrapper, check: str, column: str, value: Composable
) -> bool | None:
    """Return whether one value passes a check; None where PostgreSQL cannot tell, or says NULL."""
    query = sql.SQL("SELECT {} FROM (SELECT {} AS {}) AS found").format(
        sql.SQL(check), value, sql.Identifier(column)
    )
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(query)
            passed: bool | None = cursor.fetchone()[0]
    except Error:
        return None
    return passed


def expressions_on(
    walk: SchemaWalk, table: SimulatedTable, column: str
) -> list[tuple[str, str, str, bool]]:
    """Return the checks, indexes and statistics objects whose expressions name a column.

    Of each its name, its kind, the SQL, and whether it holds for every row by now.
    """
    made = {**table.made_checks, **table.made_expressions}
    live = [each for each in _live_expressions(walk, table, column) if each[0] not in made]
    checks = [
        (name, "check", text, name not in table.not_valid)
        for name, text in table.made_checks.items()
        if column in table.constraints.get(name, ("", ()))[1]
    ]
    indexes = [
        (name, "index", ", ".join(texts), True)
        for name, texts in table.made_expressions.items()
        if name in table.indexes and any(names_column(text, column) for text in texts)
    ]
    return live + checks + indexes


def is_decidable(table: SimulatedTable, name: str) -> bool:
    """Return whether the expression of a check names the columns as the plan does.

    The server wrote that of a live one with the live names.
    """
    return name in table.made_checks or all(
        column == live for column, live in table.origins.items()
    )


def _live_expressions(
    walk: SchemaWalk, table: SimulatedTable, column: str
) -> list[tuple[str, str, str, bool]]:
    if table.origin is None:
        return []
    users = {user.kind for user in table.dependents.get(column, ())} & {"index", STATISTICS}
    checks = {
        name
        for name, (kind, columns) in table.constraints.items()
        if kind == CHECK and column in columns
    }
    if not users and not checks:
        return []
    live = live_relation(walk.catalog, table.origin)
    if live is not None and live.owner in walk.catalog.distrusted:
        walk.ledger.mark_undecided(
            f"the code on {table.label}.{column} is by {live.owner}, and evaluating it here would "
            "run that with a superuser's privileges"
        )
        return []
    rows = seen_by_project(walk.connection, EXPRESSIONS, [*table.origin] * 3)
    return [
        (name, kind, text, validated)
        for name, kind, text, validated in rows
        if name in (checks if kind == "check" else table.indexes)
        or (kind == STATISTICS and kind in users)
    ]
