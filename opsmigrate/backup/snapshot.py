"""A snapshot that can be proven: the locks first, the snapshot after, the tables listed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.digest.tables import DataTable, label, list_tables
from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.session import no_time_limits, second_connection, set_for_session
from opsmigrate.steps import command, statement

ATTEMPTS = 3
LOCK_TIMEOUT_SECONDS = 5
# Not as a timestamp: with another DateStyle than ISO, no driver can read one.
NOW = """to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
GONE = ("42P01", "3F000")  # undefined_table, invalid_schema_name


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An exported snapshot, the tables it holds, where the WAL stood, and its pg_snapshot_xmin."""

    id: str
    tables: tuple[DataTable, ...]
    lsn: str | None
    taken: str
    xmin: int


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
        f"tables were created or dropped while the backup began, {ATTEMPTS} times",
        id="tables-changing",
        hint="take the backup again when no migration is running",
        steps=(command("python manage.py backup_db"),),
    )


def _try(holder: BaseDatabaseWrapper) -> Snapshot | None:
    lock_timeout = f"{LOCK_TIMEOUT_SECONDS * 1000:.0f}ms"
    set_for_session(holder, lock_timeout=lock_timeout, **no_time_limits(holder))
    with holder.cursor() as cursor:
        before = list_tables(holder)
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if not _locked(holder, before):
            cursor.execute("ROLLBACK")
            return None
        _refuse_hidden_rows(holder)
        cursor.execute(
            f"SELECT pg_export_snapshot(), {NOW}, CASE WHEN pg_is_in_recovery()"
            " THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,"
            " pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        )
        id, now, lsn, xmin = cursor.fetchone()
        if _identities(list_tables(holder)) != _identities(before):
            cursor.execute("ROLLBACK")
            return None
    return Snapshot(id=id, tables=before, lsn=lsn, taken=now, xmin=xmin)


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
            "be incomplete",
            id="missing-privilege",
            hint="as a superuser, give it BYPASSRLS; or name the alias of the owner with "
            "--database",
            steps=(statement(f"ALTER ROLE {role} BYPASSRLS"),),
            table=label(schema, name),
        )


def _identities(tables: tuple[DataTable, ...]) -> list[tuple[object, ...]]:
    return [table.identity for table in tables]


def _locked(holder: BaseDatabaseWrapper, tables: tuple[DataTable, ...]) -> bool:
    """Lock the tables; say whether they were all still there."""
    if not tables:
        return True
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in tables)
    try:
        with holder.cursor() as cursor:
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
            return True
    except Error as error:
        if sqlstate(error) in GONE:
            return False
        if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
            raise RefusedError(
                "the role may not read everything, so the backup would be incomplete: "
                f"{first_line(error)}",
                id="missing-privilege",
                hint="as a superuser, GRANT pg_read_all_data to the role; or name the alias of the "
                "owner with --database",
            ) from error
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            raise locked_by_others() from error
        raise


def locked_by_others() -> UndecidedError:
    """Return the error that says that something to dump was locked for too long."""
    return UndecidedError(
        f"a table was locked for longer than {LOCK_TIMEOUT_SECONDS} s; a migration may be running",
        id="lock-not-obtained",
        hint="take the backup again when it has ended",
        steps=(command("python manage.py backup_db"),),
    )
