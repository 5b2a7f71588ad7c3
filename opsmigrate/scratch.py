"""Scratch databases: made beside the examined one, dropped at the end, reaped after a SIGKILL."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import Any

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.postgres.comments import comment_on, our_comment
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, first_line, sqlstate
from opsmigrate.postgres.session import (
    is_pooled_by_transaction,
    no_time_limits,
    open_second,
    set_for_session,
)
from opsmigrate.scratch_rights import not_allowed
from opsmigrate.scratch_statements import (
    TEMPLATE_IN_USE,
    copied_from,
    execute_cloning,
    made_like,
)

PREFIX = "opsmigrate_scratch_"
ROLE_PREFIX = "opsmigrate_role_"
# A scratch database is ours by its owner: our role, or, for a superuser, the role made for it.
OURS = f"""
(pg_get_userbyid(d.datdba) = current_user
 OR EXISTS (SELECT FROM pg_roles r, pg_roles me
            WHERE r.rolname = '{ROLE_PREFIX}' || right(d.datname, 12)
              AND me.rolname = current_user AND me.rolsuper))
"""
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
END_SESSIONS_IN = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
# The first half of the advisory lock's key: "opsm" in ASCII; the second half is the database's.
LOCK_SPACE = 0x6F70736D


@dataclass
class ScratchDatabase:
    """A database of opsmigrate; gone when the `with` block that made it ends, unless it is `kept`.

    `role` is that which was made for it, and goes with it.
    """

    name: str
    source: int
    run: str
    kept: bool = False
    role: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeptScratch:
    """A scratch database that was kept for others: its name, and what its comment says of it."""

    name: str
    about: Mapping[str, Any]


@contextmanager
def scratch_database(
    connection: BaseDatabaseWrapper,
    *,
    run_id: str,
    maintenance_db: str | None,
    like: Mapping[str, Any] | None = None,
    template: str | None = None,
) -> Iterator[ScratchDatabase]:
    """Make a scratch database on the server of `connection`, and drop it whatever happens.

    It has the encoding and the locale of the database of `connection`, or those that `like` says:
    `encoding`, and columns of pg_database in `locale`. With `template`, a scratch database that
    was kept, it is a copy of that one. Raises UndecidedError where the role may not create
    databases, or reach them, or others are in the template; RefusedError where a pooler would keep
    our locks.
    """
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "there is a connection pooler in transaction mode in between; a scratch database "
            "needs one session, whose lock marks it as used",
            id="pooled-by-transaction",
            hint="let DATABASES point to the server itself, not to the pooler",
        )
    name = PREFIX + token_hex(6)
    with maintenance_connection(connection, maintenance_db) as maintenance:
        # Before CREATE DATABASE, so that no reaper sees it without a live owner.
        _lock(maintenance, name)
        kept, role = False, None
        try:
            if template is None:
                new = made_like(name, like or looks_of(connection))
            else:
                new = copied_from(name, template, maintenance)
            scratch = _create(connection, maintenance, name, run_id, new)
            _require_reachable(connection, name)
            try:
                yield scratch
                kept = scratch.kept
            finally:
                role = scratch.role
        finally:
            # What cannot be dropped now (the server went away) is reaped by the next run.
            if not kept:
                with suppress(Error):
                    _drop(maintenance, name)
            if role:
                with suppress(Error):
                    _drop_role(maintenance, role)


def looks_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return the encoding and the locale of a database, as scratch_database takes them."""
    with connection.cursor() as cursor:
        # As a whole row: the columns that describe the locale differ from 14 to 18.
        cursor.execute(
            "SELECT pg_encoding_to_char(encoding), to_jsonb(d)::text"
            " FROM pg_database d WHERE datname = current_database()"
        )
        encoding, row = cursor.fetchone()
    return {"encoding": encoding, "locale": json.loads(row)}


def keep_scratch(
    connection: BaseDatabaseWrapper,
    scratch: ScratchDatabase,
    about: Mapping[str, Any],
    *,
    hours: float,
) -> None:
    """Keep a scratch database after its block, for `hours`, and write `about` into its comment.

    `connection` is one to the same server. When it expired, the next run of any command drops it.
    """
    expires = datetime.now(timezone.utc) + timedelta(hours=hours)
    comment = {**_comment(scratch), **about, "expires": expires.isoformat()}
    with connection.cursor() as cursor:
        cursor.execute(comment_on(scratch.name, json.dumps(comment)))
    scratch.kept = True


def find_kept(connection: BaseDatabaseWrapper, *, source: int) -> tuple[KeptScratch, ...]:
    """Return the scratch databases that were kept of the database with the oid `source`.

    The newest first; those that expired are left out. `about` has what was given to keep_scratch,
    and `run`, `source`, `made`, `expires`.
    """
    now = datetime.now(timezone.utc)
    found = [
        KeptScratch(name=name, about=about)
        for name, about in _comments(connection)
        if about.get("source") == source and _expires(about) > now
    ]
    return tuple(sorted(found, key=lambda each: str(each.about["made"]), reverse=True))


def kept_until(superuser: BaseDatabaseWrapper) -> datetime | None:
    """Return when the last kept scratch database of the server expires; None where there is none.

    `superuser` is a connection of one, so that it is asked of those of every role.
    """
    with superuser.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname ~ %s",
            [f"^{PREFIX}[0-9a-f]{{12}}$"],
        )
        found = [our_comment(row[0], "scratch") for row in cursor.fetchall()]
    times = [_expires(about) for about in found if about and "expires" in about]
    return max((each for each in times if each > datetime.now(timezone.utc)), default=None)


def drop_kept(
    connection: BaseDatabaseWrapper, maintenance_db: str | None, kept: Iterable[KeptScratch]
) -> None:
    """Drop scratch databases that were kept, but for those that somebody uses."""
    names = [each.name for each in kept]
    if names:
        with maintenance_connection(connection, maintenance_db) as maintenance:
            for name in names:
                _reap_one(maintenance, name)


def _comments(connection: BaseDatabaseWrapper) -> list[tuple[str, dict[str, Any]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname ~ %s AND pg_get_userbyid(datdba) = current_user",
            [f"^{PREFIX}[0-9a-f]{{12}}$"],
        )
        rows = cursor.fetchall()
    return [(name, about) for name, comment in rows if (about := our_comment(comment, "scratch"))]


def _expires(about: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(about["expires"]).astimezone(timezone.utc)
    except (KeyError, TypeError, ValueError):
        return datetime.min.replace(tzinfo=timezone.utc)


def left_behind(connection: BaseDatabaseWrapper, run_id: str) -> tuple[str, ...]:
    """Return the scratch databases of a run that are still there and were not to be kept."""
    return tuple(
        name
        for name, about in _comments(connection)
        if about.get("run") == run_id and "expires" not in about
    )


def reap(connection: BaseDatabaseWrapper, maintenance_db: str | None) -> tuple[str, ...]:
    """Drop the scratch databases that killed runs left; return their names.

    A database goes only where it has our prefix and our role as owner, no session, and no live
    run that holds its lock. What cannot be dropped stays, and never fails the command. Nothing is
    done through a pooler that would keep our locks after us.
    """
    try:
        abandoned = _abandoned(connection)
        if not abandoned or is_pooled_by_transaction(connection):
            return ()
        with maintenance_connection(connection, maintenance_db) as maintenance:
            return tuple(name for name in abandoned if _reap_one(maintenance, name))
    except (Error, UndecidedError):
        return ()


def _abandoned(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT datname FROM pg_database d WHERE datname ~ %s AND {}"
                " AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)"
            ).format(sql.SQL(OURS)),
            [f"^{PREFIX}[0-9a-f]{{12}}$"],
        )
        names = [row[0] for row in cursor.fetchall()]
        # Of runs that were killed between the drop of the database and that of its role.
        cursor.execute(
            "SELECT rolname FROM pg_roles r WHERE rolname ~ %s AND NOT EXISTS"
            " (SELECT FROM pg_database WHERE datname = %s || right(rolname, 12)) AND EXISTS"
            " (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)",
            [f"^{ROLE_PREFIX}[0-9a-f]{{12}}$", PREFIX],
        )
        names += [PREFIX + row[0].removeprefix(ROLE_PREFIX) for row in cursor.fetchall()]
        # Advisory locks belong to one database; another run may hold its own through another
        # maintenance database, so look in all of them (pg_locks shows the whole server).
        cursor.execute(
            "SELECT objid FROM pg_locks"
            " WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = %s",
            [LOCK_SPACE],
        )
        held = {row[0] for row in cursor.fetchall()}
    now = datetime.now(timezone.utc)
    kept = {name for name, about in _comments(connection) if _expires(about) > now}
    return [name for name in names if name not in kept and _key(name) & 0xFFFFFFFF not in held]


def _reap_one(maintenance: BaseDatabaseWrapper, name: str) -> bool:
    with maintenance.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, _key(name)])
        if not cursor.fetchone()[0]:
            return False
        try:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role_of(name)])
            if cursor.fetchone():
                _drop_role(maintenance, role_of(name))
        except Error:
            return False
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, _key(name)])
    return True


@contextmanager
def maintenance_connection(
    connection: BaseDatabaseWrapper, maintenance_db: str | None
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to another database of the server, to make and rename databases from.

    Raises UndecidedError where there is none that the role may connect to.
    """
    candidates = [maintenance_db] if maintenance_db else ["postgres", "template1"]
    last: Exception | None = None
    for name in candidates:
        other = open_second(connection, database=name)
        try:
            other.ensure_connection()
        except OperationalError as error:
            last = error
            continue
        try:
            # It waits for as long as a restore takes, and copies databases.
            set_for_session(other, **no_time_limits(other))
            yield other
        finally:
            other.close()
        return
    raise UndecidedError(
        f"cannot connect to {' or '.join(candidates)} to create a scratch database: "
        f"{first_line(last) if last else ''}",
        id="no-maintenance-database",
        hint='set OPSMIGRATE["MAINTENANCE_DB"] to a database that the role may connect to',
    )


def leave(maintenance: BaseDatabaseWrapper, scratch: ScratchDatabase) -> None:
    """End the sessions that a pooler kept open in a scratch database, which we have left."""
    with maintenance.cursor() as cursor:
        cursor.execute(END_SESSIONS_IN, [scratch.name])


def role_of(name: str) -> str:
    """Return the name of the role that is made for a scratch database, where one is made."""
    return ROLE_PREFIX + name.removeprefix(PREFIX)


def _drop_role(maintenance: BaseDatabaseWrapper, role: str) -> None:
    """Drop the role; where something elsewhere was made its own, it lets nobody in any more."""
    name = sql.Identifier(role)
    with maintenance.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
        cursor.execute(END_SESSIONS, [role])
        cursor.execute(sql.SQL("DROP ROLE {}").format(name))


def _key(name: str) -> int:
    # 31 bits: the second half of the key is a signed int4.
    return int(name[-8:], 16) & 0x7FFFFFFF


def _lock(maintenance: BaseDatabaseWrapper, name: str) -> None:
    with maintenance.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_SPACE, _key(name)])


def _comment(scratch: ScratchDatabase) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat()
    return {"opsmigrate": "scratch", "run": scratch.run, "source": scratch.source, "made": now}


def _create(
    connection: BaseDatabaseWrapper,
    maintenance: BaseDatabaseWrapper,
    name: str,
    run_id: str,
    statement: Composable,
) -> ScratchDatabase:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid, quote_ident(current_user) FROM pg_database"
            " WHERE datname = current_database()"
        )
        oid, role = cursor.fetchone()
    scratch = ScratchDatabase(name, source=oid, run=run_id)
    with maintenance.cursor() as cursor:
        try:
            execute_cloning(maintenance, statement)
        except Error as error:
            if sqlstate(error) in TEMPLATE_IN_USE:
                raise UndecidedError(
                    f"the scratch database cannot be copied: {first_line(error)}",
                    id="no-kept-copy",
                    hint="run it again when no session is connected to it",
                ) from error
            if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
                raise not_allowed(role) from error
            # Another server may lack the locale, ICU, the encoding, or room.
            raise UndecidedError(
                f"no scratch database can be created on that server: {first_line(error)}",
                id="no-scratch-database",
                hint="provide what is missing on that server, or name the alias of another one",
            ) from error
        cursor.execute(comment_on(name, json.dumps(_comment(scratch))))
    return scratch


def _require_reachable(connection: BaseDatabaseWrapper, name: str) -> None:
    """Raise UndecidedError where the server, or a pooler, lets nobody into a new database."""
    other = open_second(connection, database=name)
    try:
        other.ensure_connection()
    except OperationalError as error:
        raise UndecidedError(
            f"the scratch database was created, but cannot be connected to: {first_line(error)}",
            id="no-scratch-database",
            hint="let the role connect to databases whose names begin with opsmigrate_scratch_: "
            'in pg_hba.conf by "all" or, from PostgreSQL 16 on, by a regular expression; in '
            "a pooler by the entry *",
        ) from error
    finally:
        other.close()


def _drop(maintenance: BaseDatabaseWrapper, name: str) -> None:
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    with maintenance.cursor() as cursor:
        try:
            # It ends what a killed pg_restore left behind.
            cursor.execute(drop + sql.SQL(" WITH (FORCE)"))
        except Error:
            # Sessions are those of the role that logged in, which may have become another one
            # (ALTER ROLE … SET role), and that one may not end them.
            cursor.execute("SELECT current_user")
            [[role]] = cursor.fetchall()
            cursor.execute("SET ROLE NONE")
            with suppress(Error):
                cursor.execute(END_SESSIONS_IN, [name])
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            # It waits for five seconds until they are gone.
            cursor.execute(drop)
