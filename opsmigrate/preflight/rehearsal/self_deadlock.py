"""A rehearsal that waits for itself: one of its sessions for a lock that another of them holds."""

import os
import time
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

# A deadlock: the same session waits for the same idle one for as long as this.
SECONDS_TO_BE_SURE = 5.0
SECONDS_BETWEEN_LOOKS = 1.0
LONGEST_SQL = 200
# Whoever is in the scratch database is the rehearsal, but for the server's own processes.
WAITING = """
SELECT w.pid, b.pid, w.query, b.state_change::text, b.query
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
JOIN pg_stat_activity b ON b.pid = blocking.pid
WHERE w.datname = %s AND b.datname = w.datname AND w.backend_type = 'client backend'
  AND b.state LIKE 'idle in transaction%%'
ORDER BY w.query_start
"""


@dataclass(frozen=True)
class Waiting:
    """A session that waits for another, with their statements; `since` is when that went idle."""

    waiting: int
    blocking: int
    sql: str
    since: str
    blocking_sql: str

    def words(self) -> str:
        """Return it as one sentence."""
        return (
            f"the session {self.waiting} waits for a lock that the session {self.blocking} of the "
            f"same migrate holds, which is idle in its transaction after "
            f"{' '.join(self.blocking_sql.split())[:LONGEST_SQL]!r}"
        )


class SelfDeadlock:
    """Looks again and again whether the sessions of a database wait for each other for good."""

    def __init__(self, server: BaseDatabaseWrapper, database: str) -> None:
        """Look at `database` through `server`, a connection to another database beside it."""
        self._server = server
        self._database = database
        self._last_look = 0.0
        self._seen: Waiting | None = None
        self._since = 0.0

    def look(self) -> Waiting | None:
        """Return who waits for whom, once it has lasted long enough to be a deadlock."""
        now = time.monotonic()
        if now - self._last_look < SECONDS_BETWEEN_LOOKS:
            return None
        self._last_look = now
        found = self._ask()
        if found is None or found != self._seen:
            self._seen, self._since = found, now
            return None
        return found if now - self._since >= SECONDS_TO_BE_SURE else None

    def _ask(self) -> Waiting | None:
        try:
            with self._server.cursor() as cursor:
                cursor.execute(WAITING, [self._database])
                row = cursor.fetchone()
        except Error:
            self._server.close()
            return None
        return Waiting(*row) if row else None


def runs_alone(pid: int) -> bool:
    """Return whether a process has one thread only, so that nobody in it can let go of a lock."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return False
