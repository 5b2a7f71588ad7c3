"""The statements that make a scratch database: like another one, or as a copy of its files."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import sqlstate

TEMPLATE_IN_USE = ("55006", "3D000")  # object_in_use; invalid_catalog_name: dropped meanwhile
KNOWS_STRATEGY = 150_000
# Blocks are then shared until one side writes them (PostgreSQL documentation, file_copy_method).
CLONING, AS_BEFORE = "SET file_copy_method = clone", "RESET file_copy_method"
KNOWS_CLONING = 180_000
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}  # pg_database.datlocprovider


def made_like(name: str, looks: Mapping[str, Any]) -> Composable:
    """Return the CREATE DATABASE for an empty one with this encoding and locale (looks_of())."""
    return sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}{}").format(
        sql.Identifier(name), sql.Literal(looks["encoding"]), _locale(looks["locale"])
    )


def copied_from(name: str, template: str, maintenance: BaseDatabaseWrapper) -> Composable:
    """Return the CREATE DATABASE for a copy of the files of `template`."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    if maintenance.connection.info.server_version < KNOWS_STRATEGY:
        return statement
    # The default writes every page to the WAL (PostgreSQL documentation, CREATE DATABASE).
    return statement + sql.SQL(" STRATEGY FILE_COPY")


def execute_cloning(maintenance: BaseDatabaseWrapper, statement: Composable) -> None:
    """Execute a CREATE DATABASE; where the files of its template can be cloned, none is copied."""
    with maintenance.cursor() as cursor:
        if maintenance.connection.info.server_version >= KNOWS_CLONING:
            # Refused by a PostgreSQL that was built without it, or later by the file system.
            try:
                cursor.execute(CLONING)
                cursor.execute(statement)
            except Error as error:
                if sqlstate(error) in TEMPLATE_IN_USE:
                    raise
            else:
                return
            finally:
                with suppress(Error):
                    cursor.execute(AS_BEFORE)
        cursor.execute(statement)


def _locale(row: dict[str, str | None]) -> Composable:
    """Return the clauses of CREATE DATABASE that repeat the locale of a pg_database row."""
    locale = row.get("datlocale") or row.get("daticulocale")  # 17 and later; 15 and 16
    provider = row.get("datlocprovider")  # 15 and later
    clauses = [
        ("LC_COLLATE", row["datcollate"]),
        ("LC_CTYPE", row["datctype"]),
        # Said also for libc: the cluster's own default may be another one.
        ("LOCALE_PROVIDER", PROVIDERS[provider] if provider else None),
        ("ICU_LOCALE", locale if provider == "i" else None),
        ("ICU_RULES", row.get("daticurules")),
        ("BUILTIN_LOCALE", locale if provider == "b" else None),
    ]
    return sql.Composed(
        sql.SQL(" " + keyword + " {}").format(sql.Literal(value))
        for keyword, value in clauses
        if value is not None
    )
