"""A snapshot that can be proven: the locks first, the snapshot after, the tables listed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.postgres.errors import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.session import second_connection

ATTEMPTS = 3
LOCK_TIMEOUT_SECONDS = 5

# What pg_dump writes rows of; what belongs to an extension comes back with the extension.
TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An exported snapshot, its tables as (schema, name), and where the WAL stood."""

    id: str
    tables: tuple[tuple[str, str], ...]
    lsn: str | None
    taken: str


@contextmanager
def held_snapshot(
    connection: BaseDatabaseWrapper,
) -> Iterator[tuple[BaseDatabaseWrapper, Snapshot]]:
    """Yield a second connection inside the snapshot, and the snapshot, for as long as the block.

    Taken the other way round, a TRUNCATE or a rewrite between snapshot and lock would make the
    dump lose a table's rows without a word. Raises RefusedError where a table may not be read.
    """
    with second_connection(connection) as holder:
        for _ in range(ATTEMPTS):
            snapshot = _try(holder)
            if snapshot is not None:
                yield holder, snapshot
                return
    raise UndecidedError(
        f"tables came and went while the backup began, {ATTEMPTS} times",
        id="tables-changing",
        hint="python manage.py backup_db, when no migration is running",
    )


def list_tables(connection: BaseDatabaseWrapper) -> tuple[tuple[str, str], ...]:
    """Return the tables that a dump has rows of, as sorted (schema, name)."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return tuple((schema, name) for schema, name in cursor.fetchall())


def label(schema: str, name: str) -> str:
    """Return `schema.name`; a part with a dot or a quote is quoted, so that no two are the same."""
    return ".".join(
        '"' + part.replace('"', '""') + '"' if "." in part or '"' in part else part
        for part in (schema, name)
    )


def count_rows(
    connection: BaseDatabaseWrapper, tables: tuple[tuple[str, str], ...]
) -> dict[str, int]:
    """Return the rows of each table by its label, counted one by one."""
    counts = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('row_security', 'off', false)")
        for schema, name in tables:
            table = sql.Identifier(schema, name)
            cursor.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(table))
            counts[label(schema, name)] = int(cursor.fetchone()[0])
    return counts


def _try(holder: BaseDatabaseWrapper) -> Snapshot | None:
    with holder.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false),"
            " set_config('statement_timeout', '0', false),"
            " set_config('idle_in_transaction_session_timeout', '0', false)",
            [f"{LOCK_TIMEOUT_SECONDS}s"],
        )
        before = list_tables(holder)
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        _lock(holder, before)
        _refuse_hidden_rows(holder)
        cursor.execute(
            "SELECT pg_export_snapshot(), now(), CASE WHEN pg_is_in_recovery()"
            " THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text"
        )
        id, now, lsn = cursor.fetchone()
        if list_tables(holder) != before:
            cursor.execute("ROLLBACK")
            return None
    return Snapshot(id=id, tables=before, lsn=lsn, taken=now.isoformat())


def _refuse_hidden_rows(holder: BaseDatabaseWrapper) -> None:
    with holder.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname, quote_ident(current_user)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relrowsecurity AND row_security_active(c.oid) ORDER BY 1, 2 LIMIT 1"
        )
        row = cursor.fetchone()
    if row is not None:
        schema, name, role = row
        raise RefusedError(
            f"row security hides rows of {label(schema, name)} from the role, so the backup would "
            "not be whole",
            id="missing-privilege",
            hint=f"ALTER ROLE {role} BYPASSRLS, or use the alias of the owner",
            table=label(schema, name),
        )


def _lock(holder: BaseDatabaseWrapper, tables: tuple[tuple[str, str], ...]) -> None:
    if not tables:
        return
    names = sql.SQL(", ").join(
        sql.SQL("ONLY {}").format(sql.Identifier(schema, name)) for schema, name in tables
    )
    try:
        with holder.cursor() as cursor:
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
    except Error as error:
        if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
            raise RefusedError(
                f"the role may not read everything, so the backup would not be whole: "
                f"{first_line(error)}",
                id="missing-privilege",
                hint="GRANT pg_read_all_data TO this role, or use the alias of the owner",
            ) from error
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            raise UndecidedError(
                f"a table was locked for longer than {LOCK_TIMEOUT_SECONDS} s; a migration may be "
                "running",
                id="lock-not-obtained",
                hint="python manage.py backup_db, when it has ended",
            ) from error
        raise
