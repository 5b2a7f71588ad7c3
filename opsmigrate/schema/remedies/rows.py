"""Questions to the rows of a table, of which a remedy depends."""

from __future__ import annotations

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.transaction import transaction

LIMITS = (
    "SELECT pg_catalog.set_config('lock_timeout', %s, true),"
    " pg_catalog.set_config('statement_timeout', %s, true)"
)
TIMEOUT = "5s"


def has_rows(connection: BaseDatabaseWrapper, table: Relation) -> bool | None:
    """Return whether the table has a row; None where it cannot be known."""
    return _exists(connection, table, sql.SQL(""))


def has_values(connection: BaseDatabaseWrapper, table: Relation, column: str) -> bool | None:
    """Return whether the column has a value in some row; None where it cannot be known."""
    return _exists(
        connection, table, sql.SQL("WHERE {} IS NOT NULL").format(sql.Identifier(column))
    )


def has_nulls(connection: BaseDatabaseWrapper, table: Relation, column: str) -> bool | None:
    """Return whether the column has none in some row; None where it cannot be known."""
    where = sql.SQL("WHERE {} IS NULL").format(sql.Identifier(column))
    return _exists(connection, table, where)


def has_rows_where(connection: BaseDatabaseWrapper, table: Relation, condition: str) -> bool | None:
    """Return whether a condition is true of some row; None where it cannot be known."""
    return _exists(connection, table, sql.SQL("WHERE {}").format(sql.SQL(condition)))


def _exists(connection: BaseDatabaseWrapper, table: Relation, where: Composable) -> bool | None:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} {})").format(
        sql.Identifier(table.schema, table.name), where
    )
    try:
        with transaction(connection) as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
            return bool(cursor.fetchone()[0])
    except Error:
        return None
