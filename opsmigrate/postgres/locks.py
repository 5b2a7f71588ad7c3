"""Statements that need a strong lock: short tries, repeated, so that no session queues for long."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.autovacuum import AutovacuumAgainstWraparoundError, make_way
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstate
from opsmigrate.postgres.interruptible import pause
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.postgres.transaction import transaction

__all__ = [
    "AutovacuumAgainstWraparoundError",
    "LockNotObtainedError",
    "LockWaits",
    "as_timeout",
    "execute_with_short_locks",
]

LONGEST_PAUSE = 2.0

HOLDERS = """
SELECT DISTINCT l.pid, coalesce(a.application_name, ''),
       CASE WHEN a.pid IS NOT NULL AND a.usesysid IS NULL THEN 'autovacuum'
            ELSE coalesce(a.state, '') END,
       extract(epoch FROM now() - a.xact_start)::int
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation = ANY (%s::oid[])
ORDER BY 1
"""


class LockNotObtainedError(Exception):
    """The lock was not obtained in time; the message names who holds the table."""


@dataclass
class LockWaits:
    """The longest time that we stood in a lock queue, in seconds: what a writer may have felt."""

    longest: float = 0.0
    tries: int = 0

    def note(self, seconds: float) -> None:
        """Remember a wait."""
        self.longest = max(self.longest, seconds)
        self.tries += 1


@dataclass(frozen=True, kw_only=True)
class LockTries:
    """How to ask for a lock: seconds that each try waits, seconds until giving up, who is told.

    `say` is told again and again who holds the table, `announce` once what is done about it.
    """

    lock_timeout: float
    patience: float
    waits: LockWaits
    say: Callable[[str], None] = lambda text: None
    announce: Callable[[str], None] = lambda text: None


def as_timeout(seconds: float) -> str:
    """Return the seconds as PostgreSQL takes a time-out; never as 0, which would mean none."""
    return f"{max(1, round(seconds * 1000))}ms"


def execute_with_short_locks(
    connection: BaseDatabaseWrapper,
    statements: Sequence[Composable],
    *,
    table_oids: Sequence[int],
    tries: LockTries,
    as_project: bool = False,
) -> None:
    """Execute `statements` in one transaction, waiting at most `lock_timeout` seconds for a lock.

    Tried again with growing, jittered pauses until `patience` seconds are over; then raises
    LockNotObtainedError. Between two tries every writer that queued behind us goes on. Where only
    an autovacuum is in the way it is asked to end; where it works against wraparound,
    AutovacuumAgainstWraparoundError is raised. Names in them are looked up in pg_catalog, or
    `as_project` does.
    """
    begin = transaction_as_project if as_project else transaction
    deadline = time.monotonic() + tries.patience
    seconds = lock_timeout = tries.lock_timeout
    waited_long = False
    while True:
        started = time.monotonic()
        try:
            with begin(connection) as cursor:
                cursor.execute(
                    "SELECT pg_catalog.set_config('lock_timeout', %s, true)",
                    [as_timeout(lock_timeout)],
                )
                for statement in statements:
                    cursor.execute(statement)
            return
        except OperationalError as error:
            if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
                raise
            tries.waits.note(time.monotonic() - started)
            if time.monotonic() > deadline:
                raise LockNotObtainedError(_held_by(connection, table_oids)) from error
        longer = None if waited_long else make_way(connection, table_oids, tries.announce)
        waited_long = waited_long or longer is not None
        lock_timeout = longer or tries.lock_timeout
        if longer is None:
            tries.say(f"waiting: {_held_by(connection, table_oids)}")
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
            pause(connection, seconds * jitter)
            seconds = min(seconds * 2, LONGEST_PAUSE)


def _held_by(connection: BaseDatabaseWrapper, table_oids: Sequence[int]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [list(table_oids)])
        rows = cursor.fetchall()
    holders = [
        f"process {pid} ({name or 'unnamed'}, {state or 'no session'}"
        + (f", in its transaction for {seconds} s)" if seconds is not None else ")")
        for pid, name, state, seconds in rows
    ]
    return "the table is held by " + ("; ".join(holders) or "a session that has ended since")
