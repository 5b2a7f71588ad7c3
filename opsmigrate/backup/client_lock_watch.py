"""The client programs while they run: none may wait for a lock for long, unseen by the server."""

import time

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.steps import command

# pg_dump bounds only its waits for tables. It would wait without end for a sequence or a view
# that somebody alters, and a queue of three (we, the DDL, pg_dump) is no deadlock to the server.
STUCK = """
SELECT coalesce(l.relation::regclass::text, l.locktype), (
    SELECT coalesce(string_agg(format('process %%s (%%s)', b.pid, left(b.query, 60)), ', '), '')
    FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid)))
FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted
WHERE a.application_name = %s AND l.waitstart < clock_timestamp() - make_interval(secs => %s)
LIMIT 1
"""
# Whoever keeps pg_dump from reading a table holds this lock, or waits for it.
EXCLUSIVE = """
SELECT l.relation::regclass::text, l.pid FROM pg_locks l
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.granted DESC LIMIT 1
"""
SECONDS_BETWEEN_LOOKS = 1.0


class ClientLockWatch:
    """Looks, once a second at most, whether a client program of opsmigrate waits for a lock."""

    def __init__(
        self, connection: BaseDatabaseWrapper, application: str, *, patience: float
    ) -> None:
        """Look through `connection`; a wait of more than `patience` seconds is too long."""
        self.connection = connection
        self._application = application
        self._patience = patience
        self._looked = time.monotonic()

    def look(self) -> None:
        """Raise UndecidedError where a program of opsmigrate has waited for too long."""
        if time.monotonic() - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        with self.connection.cursor() as cursor:
            cursor.execute(STUCK, [self._application, self._patience])
            row = cursor.fetchone()
        if row is not None:
            what, holders = row
            raise UndecidedError(
                f"pg_dump waited for more than {self._patience:g} s for a lock on {what}, held by "
                f"{holders}; a migration may be running",
                id="lock-not-obtained",
                hint="take the backup again when it has ended",
                steps=(command("python manage.py backup_db"),),
            )

    def what_is_held(self) -> str | None:
        """Return what somebody has locked against readers, or is about to, and who; else None.

        Right after a client program failed, this tells whether a lock was the reason: its words
        are the server's, in any language.
        """
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(EXCLUSIVE)
                row = cursor.fetchone()
        except Error:
            return None
        return f"{row[0]}, by process {row[1]}" if row else None
