"""What the rows themselves say: those that a constraint or a cast of the plan would refuse."""

from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.errors import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.walk.simulation import SimulatedTable
from opsmigrate.preflight.walk.types import comparable
from opsmigrate.report import Severity

TIMEOUT = "60s"
UNANSWERED = (INSUFFICIENT_PRIVILEGE, QUERY_CANCELED, LOCK_NOT_AVAILABLE)
# Class 22: the expression raises on some row, as a division by zero does. Class 42: it does not fit
# the live table, whose columns the plan has altered by then.
UNASKABLE = ("22", "42")
LIMITS = (
    "SELECT set_config('row_security', 'off', true), set_config('statement_timeout', %s, true),"
    " set_config('lock_timeout', %s, true)"
)
COUNTED = 1000
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question about live rows: `keys` name a bad row, `rest` is the query's FROM … on."""

    id: str
    words: str
    keys: Composable
    rest: Composable
    column: str | None = None
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, kw_only=True)
class BadRows:
    """What a probe found: rows counted up to a limit, some keys, the query that shows them."""

    count: int
    exact: bool
    sample: tuple[str, ...]
    query: str

    def __str__(self) -> str:
        """Return the count in words."""
        return f"{self.count:,}" if self.exact else f"more than {COUNTED:,}"


def nulls(table: SimulatedTable, column: str) -> Probe | None:
    """Return the probe for rows without a value, None where the column is not a live one."""
    if column not in table.origins:
        return None
    return rows_where(
        table,
        sql.SQL("{} IS NULL").format(_live(table, column)),
        id="null-values",
        words=f"hold NULL in {table.label}.{column}",
        column=column,
    )


def violations(table: SimulatedTable, expression: str, columns: tuple[str, ...]) -> Probe | None:
    """Return the probe for rows that a check refuses; its text must fit the live table."""
    if any(table.origins.get(column) != column for column in columns):
        return None
    return rows_where(
        table,
        sql.SQL("NOT ({})").format(sql.SQL(expression)),
        id="check-violated",
        words=f"of {table.label} do not satisfy CHECK ({expression})",
    )


def orphans(
    table: SimulatedTable,
    columns: tuple[str, ...],
    target: SimulatedTable,
    to_columns: tuple[str, ...],
) -> Probe | None:
    """Return the probe for rows whose foreign key would point to nothing."""
    live = all(column in table.origins for column in columns)
    if not live or not all(column in target.origins for column in to_columns):
        return None
    pairs = zip(columns, to_columns, strict=True)
    if not all(comparable(table.types[ours], target.types[theirs]) for ours, theirs in pairs):
        return None
    same = sql.SQL(" AND ").join(
        sql.SQL("target.{} = found.{}").format(_live(target, theirs), _live(table, ours))
        for ours, theirs in zip(columns, to_columns, strict=True)
    )
    given = sql.SQL(" AND ").join(
        sql.SQL("found.{} IS NOT NULL").format(_live(table, column)) for column in columns
    )
    where = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS target WHERE {})")
    return rows_where(
        table,
        where.format(given, relation(target), same),
        id="orphan-rows",
        words=f"of {table.label} ({', '.join(columns)}) point to no row of {target.label}",
        column=columns[0],
    )


def points_nowhere(
    table: SimulatedTable, column: str, target: SimulatedTable, to_column: str, value: object
) -> Probe | None:
    """Return the probe for a default that every row gets and that is no row of the target."""
    if to_column not in target.origins:
        return None
    rest = sql.SQL(
        "FROM (SELECT {}::text AS value) AS found WHERE NOT EXISTS (SELECT FROM {} AS target"
        " WHERE target.{}::text = found.value)"
    )
    return Probe(
        id="orphan-rows",
        words=f"(the default of {table.label}.{column}) point to no row of {target.label}",
        keys=sql.SQL("found.value"),
        rest=rest.format(
            sql.Literal(str(value)), relation(target), sql.Identifier(target.origins[to_column])
        ),
        column=column,
    )


def same_expressions(table: SimulatedTable, expressions: str, condition: str) -> Probe:
    """Return the probe for values of expressions that more than one row has."""
    where = condition.replace(" WHERE ", " AND ", 1) if condition else ""
    rest = sql.SQL(
        "FROM {} AS found WHERE num_nulls({}) = 0{} GROUP BY {} HAVING count(*) > 1"
    ).format(relation(table), sql.SQL(expressions), sql.SQL(where), sql.SQL(expressions))
    return Probe(
        id="duplicate-values",
        words=f"of {table.label} ({expressions}) stand on more than one row",
        keys=sql.SQL(expressions),
        rest=rest,
    )


def duplicates(
    table: SimulatedTable, columns: tuple[str, ...], condition: str, *, nulls_distinct: bool = True
) -> Probe | None:
    """Return the probe for values that more than one row has."""
    named = condition and any(column != live for column, live in table.origins.items())
    if not columns or named or any(column not in table.origins for column in columns):
        return None
    names = sql.SQL(", ").join(_live(table, column) for column in columns)
    given = sql.SQL(" AND ").join(
        sql.SQL("{} IS NOT NULL").format(_live(table, column))
        for column in (columns if nulls_distinct else ())
    )
    if not nulls_distinct:
        given = sql.SQL("true")
    where = condition.replace(" WHERE ", " AND ", 1) if condition else ""
    rest = sql.SQL("FROM {} AS found WHERE {}{} GROUP BY {} HAVING count(*) > 1").format(
        relation(table), given, sql.SQL(where), names
    )
    return Probe(
        id="duplicate-values",
        words=f"of {table.label} ({', '.join(columns)}) stand on more than one row",
        keys=names,
        rest=rest,
        column=columns[0],
    )


def ask(connection: BaseDatabaseWrapper, probe: Probe) -> BadRows | None:
    """Return what is found, counted up to a limit; None where the rows cannot be looked at.

    Read-only, under a time-out, and never through row security, which would hide rows.
    """
    query = sql.SQL("SELECT {} {} LIMIT {}").format(
        probe.keys, probe.rest, sql.Literal(COUNTED + 1)
    )
    shown = sql.SQL("SELECT {} {} LIMIT {}").format(probe.keys, probe.rest, sql.Literal(SHOWN))
    try:
        with transaction(connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
            rows = cursor.fetchall()
            text = shown.as_string(cursor.cursor)
    except Error as error:
        state = sqlstate(error) or ""
        if state in UNANSWERED or state.startswith(UNASKABLE):
            return None
        raise
    return BadRows(
        count=min(len(rows), COUNTED),
        exact=len(rows) <= COUNTED,
        sample=tuple(_key(row) for row in rows[:SHOWN]),
        query=text,
    )


def fails_on_rows(
    connection: BaseDatabaseWrapper, table: SimulatedTable, expression: str
) -> str | None:
    """Return PostgreSQL's words where an expression fails on some live row, '' where on none.

    None where the rows cannot be looked at, or not in time.
    """
    query = sql.SQL("SELECT count(({})::text) FROM {} AS found").format(
        sql.SQL(expression), relation(table)
    )
    try:
        with transaction(connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
    except Error as error:
        state = sqlstate(error) or ""
        if state.startswith("22"):
            return f"{first_line(error)} ({state})"
        if state in UNANSWERED or state.startswith(UNASKABLE):
            return None
        raise
    return ""


def rows_where(
    table: SimulatedTable,
    predicate: Composable,
    *,
    id: str,
    words: str,
    column: str | None = None,
    severity: Severity = Severity.ERROR,
) -> Probe:
    """Return the probe for the live rows, called `found`, of which `predicate` is true."""
    keys = sql.SQL(", ").join(sql.SQL("found.{}").format(sql.Identifier(key)) for key in table.keys)
    return Probe(
        id=id,
        words=words,
        keys=keys if table.keys else sql.SQL("found.ctid"),
        rest=sql.SQL("FROM {} AS found WHERE {}").format(relation(table), predicate),
        column=column,
        severity=severity,
    )


def _live(table: SimulatedTable, column: str) -> Composable:
    return sql.Identifier(table.origins[column])


def relation(table: SimulatedTable) -> Composable:
    """Return the name of the live table."""
    assert table.origin is not None  # noqa: S101 - only live columns have origins
    return sql.Identifier(*table.origin)


def _key(row: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in row)
