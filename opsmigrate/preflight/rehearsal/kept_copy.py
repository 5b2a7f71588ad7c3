"""What a verified backup or a rehearsal kept: whether it is still what the live database is."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.run import ClientError
from opsmigrate.pgtools.schema_text import database_differences
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import Session, second_connection, set_for_session
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.rehearsal.copying import XMIN
from opsmigrate.preflight.rehearsal.selection import KeptCopy
from opsmigrate.schema.history import applied_migrations
from opsmigrate.scratch import KeptScratch, ScratchDatabase, drop_kept, find_kept, keep_scratch

KEPT_HOURS = 24
REHEARSED = "rehearsed"
STATEMENT_TIMEOUT = "60s"
LOCK_TIMEOUT = "1s"
SHOWN = 3
# Temporary tables are nobody's but their session's.
TABLES = of_users("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND {of_users}
ORDER BY c.relpages, 1, 2
""")
# What was inserted or updated by a transaction that may have ended after the snapshot has its xid
# in xmin, also when it is frozen; what was deleted is missed in the count. Statistics would not
# do: they come late, TRUNCATE is not in them, and a crash takes them away.
WRITTEN = "SELECT count(*), count(*) FILTER (WHERE age(xmin) <= age(%s::text::xid)) FROM ONLY {}"
COUNTED = "SELECT count(*) FROM ONLY {}"
XIDS = 1 << 32


class UnfitError(Exception):
    """There is no kept database, or it is not what the live one is; the message says why."""


def find_kept_copy(
    connection: BaseDatabaseWrapper,
    session: Session,
    clients: Clients,
    *,
    may_be_stale: bool,
    server: BaseDatabaseWrapper | None = None,
) -> KeptCopy:
    """Return the newest kept database of this very database, compared with what is there now.

    It is on the server of the connection `server`, else on that of the database. Reads every row
    of the live tables, at most 60 s of each. Raises UnfitError, also for the first table that has
    changed unless it `may_be_stale`.
    """
    server = connection if server is None else server
    kept = _newest(server, session)
    try:
        with second_connection(server, database=kept.name) as other:
            _require_same_definitions(connection, other, kept, clients)
            stale = []
            for table in _changed(connection, other, kept.about):
                if not may_be_stale:
                    raise UnfitError(f"rows of {'.'.join(table)} were written since")
                stale.append(table)
    except (Error, ClientError) as error:
        raise UnfitError(f"{kept.name} cannot be read: {first_line(error)}") from error
    return KeptCopy(
        name=kept.name,
        backup=kept.about["file"],
        taken=str(kept.about["taken"]),
        stale=tuple(sorted(stale)),
    )


def keep_copy(
    server: BaseDatabaseWrapper,
    scratch: ScratchDatabase,
    copy: BaseDatabaseWrapper,
    session: Session,
    *,
    xmin: int,
) -> None:
    """Keep a whole copy of the database of `session` for later rehearsals.

    `server` is a connection to the server that has it, `copy` one to it, and every transaction
    before `xmin` had ended on the live server when it was taken.
    """
    with copy.cursor() as cursor:
        cursor.execute(f"SELECT {XMIN}")
        unwritten = cursor.fetchone()[0]
    about = {
        "kind": REHEARSED,
        "file": None,
        "taken": datetime.now(timezone.utc).isoformat(),
        "source": session.oid,
        "database": {"system_identifier": str(session.system_identifier)},
        "excluded": [],
        "xmin": xmin,
        # Where the copy itself stood: whoever has written to it since is seen.
        "unwritten": unwritten,
        "owners": False,
    }
    keep_scratch(server, scratch, about, hours=KEPT_HOURS)


def drop_earlier(
    server: BaseDatabaseWrapper, session: Session, maintenance_db: str | None, *, but: str
) -> None:
    """Drop what earlier rehearsals of the database kept there, but for the one just kept."""
    earlier = find_kept(server, source=session.oid)
    of_it = [each for each in earlier if each.about.get("kind") == REHEARSED and each.name != but]
    drop_kept(server, maintenance_db, of_it)


def _newest(server: BaseDatabaseWrapper, session: Session) -> KeptScratch:
    of_it = [
        kept
        for kept in find_kept(server, source=session.oid)
        if kept.about.get("kind") in ("restored", REHEARSED)
        and kept.about["database"]["system_identifier"] == str(session.system_identifier)
    ]
    if not of_it:
        raise UnfitError("no backup of this database left a kept copy")
    kept = of_it[0]
    if kept.about["excluded"]:
        raise UnfitError(
            f"{kept.name} does not have the rows of {', '.join(kept.about['excluded'])}"
        )
    return kept


def _require_same_definitions(
    connection: BaseDatabaseWrapper, other: BaseDatabaseWrapper, kept: KeptScratch, clients: Clients
) -> None:
    if applied_migrations(connection) != applied_migrations(other):
        raise UnfitError(f"other migrations are applied than in {kept.name}")
    with connection.cursor() as cursor:
        # Only a superuser may read who wrote them.
        cursor.execute("SELECT EXISTS (SELECT FROM pg_largeobject_metadata)")
        if cursor.fetchone()[0]:
            raise UnfitError("it cannot be determined whether large objects were written since")
    changed = database_differences(connection, other, clients, owners=bool(kept.about["owners"]))
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise UnfitError(f"these were changed since: {', '.join(changed[:SHOWN])}{more}")


def _changed(
    connection: BaseDatabaseWrapper, other: BaseDatabaseWrapper, about: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the tables whose rows were written since, or cannot be read in time."""
    with second_connection(connection) as live:
        for each in (live, other):
            # Row security would hide rows instead of failing.
            set_for_session(each, row_security="off", lock_timeout=LOCK_TIMEOUT)
        set_for_session(live, statement_timeout=STATEMENT_TIMEOUT)
        with live.cursor() as cursor:
            cursor.execute(TABLES)
            tables = [(schema, name) for schema, name in cursor.fetchall()]
        for table in tables:
            if not _is_unchanged(live, other, table, about):
                yield table


def _is_unchanged(
    live: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    table: tuple[str, str],
    about: Mapping[str, Any],
) -> bool:
    name = sql.Identifier(*table)
    try:
        with transaction(live) as cursor:
            cursor.execute(sql.SQL(WRITTEN).format(name), [str(int(about["xmin"]) % XIDS)])
            rows, written = cursor.fetchone()
    except Error:
        return False
    if written:
        return False
    with other.cursor() as cursor:
        if about.get("unwritten") is None:
            cursor.execute(sql.SQL(COUNTED).format(name))
            return bool(cursor.fetchone()[0] == rows)
        cursor.execute(sql.SQL(WRITTEN).format(name), [str(int(about["unwritten"]) % XIDS)])
        return bool(cursor.fetchone() == (rows, 0))
