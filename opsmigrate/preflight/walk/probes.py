"""What the rows themselves say: those that a constraint or a cast of the plan would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import Error, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Constraint
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.operators import equality
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.found import (
    LIMITS,
    TIMEOUT,
    as_typed,
    found_column,
    keys_of_rows,
    known,
    names_of_rows,
    rows_of,
)
from opsmigrate.preflight.walk.rejected_row_remedies import BadOnes, all_but_first
from opsmigrate.preflight.walk.simulated_table import SimulatedForeignKey, SimulatedTable
from opsmigrate.preflight.walk.type_compatibility import comparable
from opsmigrate.report import Severity
from opsmigrate.schema.types import base

READ_ONLY_TRANSACTION = "25006"
UNANSWERED = (
    INSUFFICIENT_PRIVILEGE,
    QUERY_CANCELED,
    LOCK_NOT_AVAILABLE,
    # A function would write.
    READ_ONLY_TRANSACTION,
)
# Class 22: the expression raises on some row, as a division by zero does. Class 42: it does not fit
# the live table, whose columns the plan has altered by then.
# Class 54: a limit of the program, as that of a search vector. 0A: NaN as an integer. The others:
# what functions raise.
FAILURES = ("22", "54", "21", "23", "38", "39", "P0", "0A")
UNASKABLE = (*FAILURES, "42")
LOST = ("08", "57P")
BY_INDEX = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
COUNTED = 1000
SHOWN = 5
Words = tuple[str, str, str]
ONE = {
    "are": "is",
    "do": "does",
    "exclude": "excludes",
    "have": "has",
    "make": "makes",
    "point": "points",
}
NOUNS = {
    "duplicate-values": ("value", "values"),
    "rows-exclude-each-other": ("pair of rows", "pairs of rows"),
}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question about live rows: `keys` name a bad row, `rest` is the query's FROM … on.

    `words` are whose rows, a verb of ONE, and what, as in ("of cage", "do", "not fit"). `proves` is
    False where only that there are none proves something. `past_indexes`: no index is used.
    `bad` are the rows that would have to change.
    """

    id: str
    words: Words
    keys: Composable
    rest: Composable
    column: str | None = None
    severity: Severity = Severity.ERROR
    proves: bool = True
    past_indexes: bool = False
    bad: BadOnes | None = None

    def said_of(self, bad: BadRows) -> str:
        """Return as a sentence how many rows it is true of."""
        about, verb, what = self.words
        single = bad.exact and bad.count == 1
        one, many = NOUNS.get(self.id, ("row", "rows"))
        parts = (str(bad), one if single else many, about, ONE[verb] if single else verb, what)
        return " ".join(filter(None, parts))


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

    @property
    def counted(self) -> str:
        """Return the count with its noun."""
        return f"{self} {'row' if self.exact and self.count == 1 else 'rows'}"


def nulls(table: SimulatedTable, column: str, stands: Constraint | None = None) -> Probe | None:
    """Return the probe for rows without a value, None where nobody knows the values.

    `stands` is a NOT NULL constraint that is NOT VALID.
    """
    although = (
        (f", although it has the constraint {stands.name}, which is NOT VALID") if stands else ""
    )
    if column not in table.values:
        return None
    return rows_where(
        table,
        (column,),
        sql.SQL("{} IS NULL").format(found_column(column)),
        id="null-values",
        words=("", "have", f"NULL in {table.label}.{column}{although}"),
        column=column,
    )


def violations(table: SimulatedTable, expression: str, columns: tuple[str, ...]) -> Probe | None:
    """Return the probe for rows that a check on `columns` refuses."""
    if not known(table, columns):
        return None
    return rows_where(
        table,
        columns,
        sql.SQL("NOT ({})").format(sql.SQL(expression)),
        id="check-violated",
        words=(f"of {table.label}", "do", f"not satisfy CHECK ({expression})"),
        emptied=columns if len(columns) == 1 else (),
        if_null=sql.SQL(expression),
    )


def orphans(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    columns: tuple[str, ...],
    target: SimulatedTable,
    to_columns: tuple[str, ...],
    *,
    empty: bool = False,
) -> Probe | None:
    """Return the probe for rows whose foreign key would point to nothing.

    `empty` says that the target has no row at that point of the plan.
    """
    if not known(table, columns) or not (empty or known(target, to_columns)):
        return None
    pairs = zip(columns, to_columns, strict=True)
    if not all(comparable(table.types[own], target.types[referenced]) for own, referenced in pairs):
        return None
    same = sql.SQL(" AND ").join(
        sql.SQL("target.{} {} {}").format(
            sql.Identifier(referenced),
            equality(connection, base(table.types[own])),
            found_column(own),
        )
        for own, referenced in zip(columns, to_columns, strict=True)
    )
    given = sql.SQL(" AND ").join(
        sql.SQL("{} IS NOT NULL").format(found_column(column)) for column in columns
    )
    nowhere = sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS target WHERE {})")
    return rows_where(
        table,
        columns,
        given if empty else nowhere.format(given, rows_of(target, to_columns), same),
        id="orphan-rows",
        words=(f"of {table.label} ({', '.join(columns)})", "point", f"to no row of {target.label}"),
        column=columns[0],
        emptied=columns,
    )


def orphans_of(connection: BaseDatabaseWrapper, key: SimulatedForeignKey) -> Probe | None:
    """Return the probe for rows that a foreign key lets point to nothing."""
    return orphans(connection, key.table, key.columns, key.target, key.to_columns)


def points_nowhere(
    table: SimulatedTable, column: str, target: SimulatedTable, to_column: str, value: object
) -> Probe | None:
    """Return the probe for a default that every row gets and that is no row of the target."""
    if to_column not in target.values:
        return None
    rest = sql.SQL(
        "FROM (SELECT {}::pg_catalog.text AS value) AS found WHERE NOT EXISTS ("
        "SELECT FROM {} AS target"
        " WHERE target.{}::pg_catalog.text OPERATOR(pg_catalog.=) found.value)"
    )
    return Probe(
        id="orphan-rows",
        words=(
            f"(the default of {table.label}.{column})",
            "point",
            f"to no row of {target.label}",
        ),
        keys=sql.SQL("found.value"),
        rest=rest.format(
            sql.Literal(str(value)), rows_of(target, (to_column,)), sql.Identifier(to_column)
        ),
        column=column,
    )


def same_expressions(
    table: SimulatedTable,
    expressions: str,
    condition: str,
    columns: tuple[str, ...],
    *,
    nulls_distinct: bool = True,
) -> Probe | None:
    """Return the probe for values of expressions of `columns` that more than one row has."""
    if not known(table, columns):
        return None
    where = condition.replace(" WHERE ", " AND ", 1) if condition else ""
    given = f"pg_catalog.num_nulls({expressions}) OPERATOR(pg_catalog.=) 0"
    compared = sql.SQL((given if nulls_distinct else "true") + where)
    rest = sql.SQL(
        "FROM {} AS found WHERE {} GROUP BY {} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
    ).format(rows_of(table, columns), compared, sql.SQL(expressions))
    return Probe(
        id="duplicate-values",
        words=(f"of {table.label} ({expressions})", "are", "in more than one row"),
        keys=sql.SQL(expressions),
        rest=rest,
        bad=all_but_first(table, columns, sql.SQL(expressions), compared),
    )


def duplicates(
    table: SimulatedTable,
    columns: tuple[str, ...],
    condition: str = "",
    *,
    named: tuple[str, ...] = (),
    nulls_distinct: bool = True,
) -> Probe | None:
    """Return the probe for values that more than one row has; the condition has columns `named`."""
    if not columns or not known(table, (*columns, *named)):
        return None
    names = sql.SQL(", ").join(found_column(column) for column in columns)
    given = sql.SQL(" AND ").join(
        sql.SQL("{} IS NOT NULL").format(found_column(column))
        for column in (columns if nulls_distinct else ())
    )
    if not nulls_distinct:
        given = sql.SQL("true")
    where = condition.replace(" WHERE ", " AND ", 1) if condition else ""
    rest = sql.SQL(
        "FROM {} AS found WHERE {}{} GROUP BY {}"
        " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
    ).format(rows_of(table, (*columns, *named)), given, sql.SQL(where), names)
    return Probe(
        id="duplicate-values",
        words=(f"of {table.label} ({', '.join(columns)})", "are", "in more than one row"),
        keys=names,
        rest=rest,
        column=columns[0],
        bad=all_but_first(
            table,
            (*columns, *named),
            names,
            sql.SQL("{}{}").format(given, sql.SQL(where)),
            emptied=columns if nulls_distinct else (),
        ),
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
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            for setting in BY_INDEX if probe.past_indexes else ():
                cursor.execute("SELECT pg_catalog.set_config(%s, 'off', true)", [setting])
            cursor.execute(query)
            rows = cursor.fetchall()
            text = as_typed(shown.as_string(cursor.cursor))
    except Error as error:
        if _unanswered(error):
            return None
        raise
    return BadRows(
        count=min(len(rows), COUNTED),
        exact=len(rows) <= COUNTED,
        sample=tuple(_key(row) for row in rows[:SHOWN]),
        query=text,
    )


def fails_on_rows(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    expression: Composable,
    columns: tuple[str, ...],
) -> str | None:
    """Return PostgreSQL's words where an expression of `columns` fails on some row, '' for none.

    None where the rows cannot be looked at, or not in time.
    """
    if not known(table, columns):
        return None
    query = sql.SQL("SELECT pg_catalog.count(({})) FROM {} AS found").format(
        expression, rows_of(table, columns)
    )
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
    except Error as error:
        state = sqlstate(error) or ""
        if state.startswith(FAILURES):
            return f"{first_line(error)} ({state})"
        # What else the server says of an expression leaves it open; a lost session does not.
        if _unanswered(error) or (state and not state.startswith(LOST)):
            return None
        raise
    return ""


def _unanswered(error: Error) -> bool:
    state = sqlstate(error)
    if state is None:
        # The driver does not know how to write a value of the project's own.
        return isinstance(error, ProgrammingError)
    return state in UNANSWERED or state.startswith(UNASKABLE)


def rows_where(  # noqa: PLR0913 - the parts of a probe
    table: SimulatedTable,
    columns: tuple[str, ...],
    predicate: Composable,
    *,
    id: str,
    words: Words,
    column: str | None = None,
    severity: Severity = Severity.ERROR,
    proves: bool = True,
    emptied: tuple[str, ...] = (),
    cut: int | None = None,
    if_null: Composable | None = None,
) -> Probe:
    """Return the probe for the rows, called `found`, of which `predicate` on `columns` is true.

    `emptied`, `cut` and `if_null` are as in BadOnes.
    """
    rest = sql.SQL("FROM {} AS found WHERE {}").format(rows_of(table, columns), predicate)
    return Probe(
        id=id,
        words=words,
        keys=sql.SQL(", ").join(keys_of_rows(table, columns)),
        rest=rest,
        column=column,
        severity=severity,
        proves=proves,
        bad=BadOnes(
            table=table,
            keys=tuple(names_of_rows(table, columns)),
            rest=rest,
            column=column,
            emptied=emptied,
            cut=(columns[0], cut) if cut else None,
            if_null=if_null,
        ),
    )


def _key(row: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in row)
