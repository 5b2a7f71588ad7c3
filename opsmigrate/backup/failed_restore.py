"""Whether a restore that failed tells of the backup, or of the server and the way to it."""

import time

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.driver_errors import first_line, severity

STARTED = "SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text"
SESSIONS = "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname OPERATOR(pg_catalog.=) %s"
# Sessions of the database that somebody ended (The Cumulative Statistics System). One that lost
# its client is no proof: pg_restore leaves its own workers' so at the first error.
ENDED = """
SELECT sessions_killed FROM pg_catalog.pg_stat_database WHERE datname OPERATOR(pg_catalog.=) %s
"""
NO_NUMBER = "SELECT 'opsmigrate asks what an error is called'::pg_catalog.int4"
SECONDS_FOR_SESSIONS = 10.0
# Until then, statistics came through a process of their own, half a second later.
STATISTICS_AT_ONCE = 150_000
SECONDS_FOR_STATISTICS = 1.0
AGAIN = "check that the server is up, and run it again; this says nothing about the backup"


def server_start(connection: BaseDatabaseWrapper) -> str:
    """Return when the server was started, which is another moment after a crash."""
    with connection.cursor() as cursor:
        cursor.execute(STARTED)
        return str(cursor.fetchone()[0])


def require_backup_at_fault(
    connection: BaseDatabaseWrapper, database: str, error: ClientError, *, started: str
) -> None:
    """Return where the server itself refused a statement of pg_restore; else raise UndecidedError.

    `database` is the one restored into, which nobody else uses; `started` is what server_start()
    said before. Nothing is concluded from words, which the server says in its own language, but
    from what happened, and from the one word that it begins every error of a statement with.
    """
    if not error.of_its_own:
        raise _lost(f"pg_restore was killed: {error}")
    try:
        # The session may have died with the others.
        connection.close()
        if server_start(connection) != started:
            raise _lost(f"the server was restarted during the restore: {error}")
        if _sessions_were_ended(connection, database):
            raise _lost(f"a session of pg_restore was terminated: {error}")
        word = _word_for_error(connection)
    except Error as again:
        raise _lost(f"the server is no longer reachable: {first_line(again)}") from again
    # libpq writes two blanks after the severity of what a server said, and after nothing else.
    if f": {word}:  " not in str(error):
        raise _lost(f"the connection to the server was lost during the restore: {error}")


def _sessions_were_ended(connection: BaseDatabaseWrapper, database: str) -> bool:
    deadline = time.monotonic() + SECONDS_FOR_SESSIONS
    with connection.cursor() as cursor:
        cursor.execute(SESSIONS, [database])
        while cursor.fetchone() and time.monotonic() < deadline:
            time.sleep(0.05)
            cursor.execute(SESSIONS, [database])
        if connection.connection.info.server_version < STATISTICS_AT_ONCE:
            time.sleep(SECONDS_FOR_STATISTICS)
        cursor.execute(ENDED, [database])
        row = cursor.fetchone()
    return bool(row and row[0])


def _word_for_error(connection: BaseDatabaseWrapper) -> str:
    """Return what the server calls an error in its language: ERROR, FEHLER, ОШИБКА."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(NO_NUMBER)
    except Error as error:
        return severity(error) or "ERROR"
    return "ERROR"


def _lost(words: str) -> UndecidedError:
    return UndecidedError(words, id="server-lost", hint=AGAIN)
