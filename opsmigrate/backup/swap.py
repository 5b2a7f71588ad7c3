"""Two databases change places, in one transaction: a kill at any line leaves the live one live."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from threading import Thread
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate import interrupts
from opsmigrate.backup.counters import Counters, read_counters
from opsmigrate.backup.properties import read_properties
from opsmigrate.errors import OpsmigrateError, PartialError, UndecidedError
from opsmigrate.postgres.comments import comment_on, our_comment
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import LONGEST_NAME
from opsmigrate.postgres.session import open_second
from opsmigrate.scratch import maintenance_connection
from opsmigrate.steps import statement

# RENAME waits 5 s for the sessions of a database to end, then fails (CountOtherDBBackends).
SECONDS_TO_EMPTY = 4.0
SECONDS_BETWEEN_LOOKS = 0.01
# Should we be stopped, or cut off, in the middle, the server opens its doors again after this.
SECONDS_SILENT = 30
LOCK_TIMEOUT_SECONDS = 5
RENAME_LOCKED = """
SELECT 1 FROM pg_locks
WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid = %s
  AND mode = 'AccessExclusiveLock' AND granted
"""
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datid = %s AND pid <> ALL (%s::int[]) AND backend_type <> 'autovacuum worker'
"""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datid = %s AND pid <> ALL (%s)"
# Only its owner may write the comment of a database, or a superuser; and nobody can make one that
# belongs to a role of which he is no member. No name and no comment of others is read: databases
# have names that the encoding of this one cannot hold, and nothing could be read then.
FORMER = """
SELECT d.datname, d.oid, shobj_description(d.oid, 'pg_database'), o.rolname,
       o.rolsuper OR o.rolname = current_user OR d.datdba = live.datdba, live.oid
FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba, pg_database live
WHERE live.datname = %s AND d.datname <> live.datname AND CASE
    WHEN replace(shobj_description(d.oid, 'pg_database'), '": "', '":"')
         LIKE '{"opsmigrate":"kept"%%'
    THEN strpos(replace(shobj_description(d.oid, 'pg_database'), '": "', '":"'), %s) > 0 END
"""
TAKEN = "SELECT 1 FROM pg_database WHERE datname = %s"


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """How it went: the name the former live database has now, and how long nobody could connect."""

    former: str
    outage_seconds: float
    counters: Counters


@dataclass(frozen=True, kw_only=True)
class FormerDatabase:
    """A database of which the comment says that it was live until another took its place.

    `about` is what the comment says. `stranger` says why it is not the one that was put aside when
    the live database took its place, None where it is.
    """

    name: str
    about: Mapping[str, Any]
    stranger: str | None = None


def former_database_name(live: str, now: datetime, is_taken: Callable[[str], bool]) -> str:
    """Return what the live database is called when another takes its place: its name, and when.

    None that `is_taken`, and no longer than a name may be.
    """
    for number in count(1):
        suffix = f"_before_{now.strftime('%Y%m%d_%H%M%S')}" + (f"_{number}" if number > 1 else "")
        room = LONGEST_NAME - len(suffix)
        name = live.encode()[:room].decode(errors="ignore") + suffix
        if not is_taken(name):
            break
    return name


def find_former_databases(connection: BaseDatabaseWrapper, live: str) -> list[FormerDatabase]:
    """Return the databases that say that they were `live` once, the newest first.

    Anybody may give a database of his own such a comment: only what has no `stranger` was put
    aside by this program, and for the present live database.
    """
    with connection.cursor() as cursor:
        cursor.execute(FORMER, [live, f'"of":{json.dumps(live)}'])
        rows = cursor.fetchall()
    former = [
        FormerDatabase(
            name=name,
            about=about,
            stranger=_stranger(about, oid=oid, live=live_oid)
            if trusted
            else f"it belongs to {owner}, but the live one does not",
        )
        for name, oid, comment, owner, trusted, live_oid in rows
        if (about := our_comment(comment, "kept")) and about.get("of") == live
    ]
    return sorted(former, key=lambda each: str(each.about.get("replaced")), reverse=True)


def _stranger(about: Mapping[str, Any], *, oid: int, live: int) -> str | None:
    if not _is_whole(about):
        return "it lacks the record that every former database has"
    if about["oid"] != oid:
        return f"its comment is that of another database (oid {about['oid']}, this is {oid})"
    if about["replaced_by"] != live:
        return (
            f"the database that took its place (oid {about['replaced_by']}) is not the live one "
            f"(oid {live})"
        )
    return None


def _is_whole(about: Mapping[str, Any]) -> bool:
    """Return whether a comment has all that swap() writes, and nothing that it cannot write.

    Whoever owned the database once may have left a comment behind.
    """
    tables, migrations = about.get("tables"), about.get("migrations")
    lists = isinstance(tables, list) and isinstance(migrations, list) and bool(tables)
    known = {"oid", "replaced_by", "comment"} <= about.keys()
    try:
        past = datetime.fromisoformat(str(about.get("replaced"))) <= datetime.now(timezone.utc)
    except (ValueError, TypeError):
        return False
    return lists and known and past and isinstance(about.get("counters"), dict)


def swap(  # noqa: PLR0913 - two names, and what its caller adds
    connection: BaseDatabaseWrapper,
    maintenance_db: str | None,
    *,
    live: str,
    replacement: str,
    about: Mapping[str, Any],
    require: Callable[[Counters], None],
    finish: Callable[[BaseDatabaseWrapper], None],
) -> Swapped:
    """Give `replacement` the name `live`, and keep the live database under a name that says when.

    `require` is called with the counters of the live database when nobody else is in it any
    more, `finish` with the renaming session before it commits; what either raises stops the swap.
    `about` goes into the kept one's comment, with that which it had. Raises UndecidedError where
    it could not be done; then nothing was.
    """
    now = datetime.now(timezone.utc)
    with connection.cursor() as cursor:

        def is_taken(name: str) -> bool:
            cursor.execute(TAKEN, [name])
            return cursor.fetchone() is not None

        former_name = former_database_name(live, now, is_taken)
    marker = {
        "opsmigrate": "kept",
        "of": live,
        **_who_is_who(connection, live, replacement),
        "replaced": now.isoformat(),
        "comment": read_properties(connection, live)["comment"],
        **about,
    }
    # Not through the database that is renamed, nor with a session of this command left in it.
    through = maintenance_db or ("template1" if live == "postgres" else None)
    connection.close()
    with (
        maintenance_connection(connection, through) as renaming,
        maintenance_connection(connection, through) as ending,
    ):
        inside = open_second(connection, database=live)
        try:
            inside.ensure_connection()
            swapping = _Swap(renaming, ending, inside, live, replacement)

            def then(counters: Counters) -> list[Composable]:
                about = {**marker, "tables": lasting_tables(counters)}
                return [rename(replacement, live), comment_on(former_name, json.dumps(about))]

            counters, seconds = swapping.run(rename(live, former_name), then, require, finish)
        finally:
            inside.close()
    return Swapped(former=former_name, outage_seconds=seconds, counters=counters)


class _Swap:
    """The steps, on three sessions: one renames, one ends the others, one looks inside."""

    def __init__(
        self,
        renaming: BaseDatabaseWrapper,
        ending: BaseDatabaseWrapper,
        inside: BaseDatabaseWrapper,
        live: str,
        replacement: str,
    ) -> None:
        self._renaming = renaming
        self._ending = ending
        self._inside = inside
        with ending.cursor() as cursor:
            cursor.execute(
                "SELECT datname, oid FROM pg_database WHERE datname IN (%s, %s)",
                [live, replacement],
            )
            oids = dict(cursor.fetchall())
        self._name = live
        self._live, self._replacement = oids[live], oids[replacement]
        self._failure: Exception | None = None

    def run(
        self,
        first: Composable,
        then: Callable[[Counters], list[Composable]],
        require: Callable[[Counters], None],
        finish: Callable[[BaseDatabaseWrapper], None],
    ) -> tuple[Counters, float]:
        """Rename in one transaction; return the last counters, and the seconds it was closed."""
        with self._inside.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            mine = [cursor.fetchone()[0]]
        with self._renaming.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_TIMEOUT_SECONDS}s"]
            )
            cursor.execute("SELECT set_config('statement_timeout', '0', false)")
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
                [f"{SECONDS_SILENT}s"],
            )
            cursor.execute("BEGIN")
        begun = time.monotonic()
        # The first RENAME locks the database, so that nobody comes in, and waits until all left.
        thread = Thread(target=self._execute, args=[first], name="rename")
        thread.start()
        counters: Counters = {}
        try:
            self._empty(mine, thread)
            counters = read_counters(self._inside)
            require(counters)
            self._inside.close()
            # A pooler between us keeps the session when we have left it.
            with self._ending.cursor() as cursor:
                cursor.execute(END_SESSIONS, [self._live, []])
            thread.join()
            if self._failure is not None:
                raise self._failure
            with self._renaming.cursor() as cursor:
                for statement in then(counters):
                    cursor.execute(statement)
            finish(self._renaming)
        except BaseException as error:
            self._roll_back(thread)
            if isinstance(error, OpsmigrateError) or not isinstance(error, Exception):
                raise
            raise _not_swapped(error) from error
        self._commit()
        return counters, time.monotonic() - begun

    def _execute(self, statement: Composable) -> None:
        try:
            with self._cursor() as cursor:
                cursor.execute(statement)
        except Exception as error:  # handed over to the thread that waits
            self._failure = error

    def _cursor(self) -> Any:
        # The driver's own cursor: Django's belongs to the thread that connected.
        return self._renaming.connection.cursor()

    def _empty(self, mine: list[int], thread: Thread) -> None:
        """End every session in both databases but our own, until there is none."""
        deadline = time.monotonic() + SECONDS_TO_EMPTY
        with self._ending.cursor() as cursor:
            while thread.is_alive() and time.monotonic() < deadline:
                cursor.execute(RENAME_LOCKED, [self._live])
                if cursor.fetchone():
                    break
                time.sleep(SECONDS_BETWEEN_LOOKS)
            for database in (self._live, self._replacement):
                cursor.execute(END_SESSIONS, [database, mine])
            while thread.is_alive() and time.monotonic() < deadline:
                cursor.execute(SESSIONS, [self._live, mine])
                if not cursor.fetchone()[0]:
                    return
                time.sleep(SECONDS_BETWEEN_LOOKS)
        # Where the RENAME failed, its words say more.
        thread.join(SECONDS_BETWEEN_LOOKS)
        raise self._failure or TimeoutError("its sessions did not end")

    def _roll_back(self, thread: Thread) -> None:
        """Leave everything as it was; should this fail, the server does it when we disconnect."""
        with suppress(Error), self._ending.cursor() as cursor:
            if thread.is_alive():
                pid = self._renaming.connection.info.backend_pid
                cursor.execute("SELECT pg_cancel_backend(%s)", [pid])
        thread.join()
        with suppress(Error), self._renaming.cursor() as cursor:
            cursor.execute("ROLLBACK")

    def _commit(self) -> None:
        # Whoever is told that it was interrupted must be told on which side of this.
        interrupts.hold_back()
        try:
            with self._renaming.cursor() as cursor:
                cursor.execute("COMMIT")
        except Error as error:
            try:
                swapped = self._is_swapped()
            except Error:
                raise _unknown(error) from error
            if not swapped:
                raise _not_swapped(error) from error

    def _is_swapped(self) -> bool:
        """Return which database has the name, after the answer to COMMIT was lost."""
        self._ending.close()
        with self._ending.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE oid = %s", [self._replacement])
            return bool(cursor.fetchone() == (self._name,))


def lasting_tables(counters: Counters) -> list[str]:
    """Return the tables that are there, but for the temporary ones of some session."""
    return sorted(name for name in counters if not name.startswith("pg_temp_"))


def _who_is_who(connection: BaseDatabaseWrapper, live: str, replacement: str) -> dict[str, int]:
    """Return the numbers by which each knows the other afterwards, whatever they are called."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT oid FROM pg_database WHERE datname = %s),"
            " (SELECT oid FROM pg_database WHERE datname = %s)",
            [live, replacement],
        )
        return dict(zip(("oid", "replaced_by"), cursor.fetchone(), strict=True))


def rename(name: str, to: str) -> Composable:
    """Return the statement that gives a database another name."""
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
        sql.Identifier(name), sql.Identifier(to)
    )


def _unknown(error: Exception) -> PartialError:
    return PartialError(
        "the server stopped answering during the swap, and it is not known whether the swap took "
        f"effect: {first_line(error)}",
        id="swap-failed",
        hint="list the databases and their names",
        steps=(statement("SELECT oid, datname FROM pg_database"),),
    )


def _not_swapped(error: Exception) -> UndecidedError:
    return UndecidedError(
        f"the swap failed: {first_line(error)}; the live database is as it was",
        id="swap-failed",
        hint="read the server's message above; then run the command again",
    )
