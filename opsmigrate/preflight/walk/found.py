"""The rows of a table as the plan will have made them, for a query that calls them `found`."""

from __future__ import annotations

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.walk.simulated_table import SimulatedTable, live_value

# Expressions of the project stand in the queries, so that its search_path is in force: all other
# names are written in full. Whoever types the query has a session of their own.
OPERATOR = "OPERATOR(pg_catalog."
TIMEOUT = "60s"
LIMITS = (
    "SELECT pg_catalog.set_config('row_security', 'off', true),"
    " pg_catalog.set_config('statement_timeout', %s, true),"
    " pg_catalog.set_config('lock_timeout', %s, true)"
)


def known(table: SimulatedTable, columns: tuple[str, ...]) -> bool:
    """Return whether the values of all these columns are known."""
    return table.origin is not None and all(column in table.values for column in columns)


def rows_of(table: SimulatedTable, columns: tuple[str, ...]) -> Composable:
    """Return what to read these columns from: the live table, or what the plan makes of its rows.

    Both have the system columns tableoid and ctid too.
    """
    assert table.origin is not None  # noqa: S101 - only of live tables values are known
    relation = sql.Identifier(*table.origin)
    if not is_altered(table, columns):
        return relation
    made = [
        sql.SQL("{} AS {}").format(table.values[column], sql.Identifier(column))
        for column in dict.fromkeys(columns)
    ]
    keys = [
        sql.SQL("{} AS {}").format(live_value(key), sql.Identifier(f"live {key}"))
        for key in table.keys
    ]
    return sql.SQL("(SELECT {} FROM {} AS live)").format(
        sql.SQL(", ").join([*made, *keys, sql.SQL("live.tableoid, live.ctid")]), relation
    )


def keys_of_rows(table: SimulatedTable, columns: tuple[str, ...]) -> list[Composable]:
    """Return what names a row of rows_of(), called `found`."""
    before = "live " if is_altered(table, columns) else ""
    return [found_column(f"{before}{key}") for key in table.keys] or [sql.SQL("found.ctid")]


def names_of_rows(table: SimulatedTable, columns: tuple[str, ...]) -> list[Composable]:
    """Return what names a row of rows_of() and no other one, of whichever partition."""
    if table.keys:
        return keys_of_rows(table, columns)
    return [sql.SQL("found.tableoid"), sql.SQL("found.ctid")]


def is_altered(table: SimulatedTable, columns: tuple[str, ...]) -> bool:
    """Return whether the plan makes other values of some of these columns."""
    return any(table.values[column] != live_value(column) for column in columns)


def as_typed(query: str) -> str:
    """Return a query of ours as somebody would type it: `=` for OPERATOR(pg_catalog.=)."""
    first, *others = query.split(OPERATOR)
    return "".join([first, *(each.replace(")", "", 1) for each in others)]).replace(
        "pg_catalog.", ""
    )


def found_column(column: str) -> Composable:
    """Return a column of the row that a query finds."""
    return sql.SQL("found.{}").format(sql.Identifier(column))
