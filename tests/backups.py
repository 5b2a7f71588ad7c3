"""What the tests of backups have in common."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from django.core.management.base import OutputWrapper
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.progress import Progress
from tests.conftest import Answer, Ops, execute, query
from tests.json_reports import parsed


class Silent(OutputWrapper):
    """A stream that nobody reads."""

    def __init__(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


SILENT = Progress(Silent(), verbosity=0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def backup(ops: Ops, alias: str, folder: Path, **options: object) -> tuple[Answer, Path]:
    """Take a backup and return the answer and the file."""
    answer = ops("backup_db", database=alias, directory=str(folder), **options)
    assert answer.code == 0, answer.stdout
    return answer, Path(answer.report["facts"]["file"])


def manifest_of(file: Path) -> dict[str, Any]:
    body: dict[str, Any] = parsed(file.with_suffix(".json").read_text(encoding="utf-8"))
    return body


def scratch_databases(alias: str) -> list[str]:
    rows = query(alias, "SELECT datname FROM pg_database WHERE datname ~ '^opsmigrate_scratch_'")
    return [name for (name,) in rows]


def is_public_everybodys(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the schema public is the superuser's, open to all: before PostgreSQL 15."""
    connection.ensure_connection()
    return bool(connection.connection.info.server_version < 150_000)


def act_as(alias: str, made: dict[str, str], *statements: str) -> None:
    """Make the role the owner of all tables but what `statements` add, and connect as it."""
    connection, name = connections[alias], sql.Identifier(made["USER"])
    # Where anybody may create in it, only its owner could give rights on it again in a copy.
    if not is_public_everybodys(connection):
        execute(connection, sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(name))
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    for (table,) in query(alias, f"{tables} AND relkind = 'r'"):
        change = sql.SQL("ALTER TABLE {} OWNER TO {}")
        execute(connection, change.format(sql.Identifier(table), name))
    for statement in statements:
        execute(connection, statement)
    connection.close()
    del connections[alias]
    connections.settings[alias].update(made)
