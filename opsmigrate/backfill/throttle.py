"""What the server says of how we burden it: waiting sessions, standbys, WAL, autovacuum."""

import time
from collections import deque
from dataclasses import dataclass, field

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.pace import BatchSize, Gate, Pace

# WAL that fills max_wal_size faster than this forces checkpoints, which slow everybody down. It
# comes in bursts: the first change of a page after a checkpoint takes the whole page with it.
WAL_SECONDS = 10.0
REST_FOR_AUTOVACUUM = 0.2
REST_FOR_WAITERS = 1.0
REST_FOR_WAL = 1.0
STANDBYS = "replication lag of the standbys"

BLOCKED = """
SELECT count(*) FROM pg_stat_activity a
WHERE a.wait_event_type = 'Lock' AND a.pid <> ALL (%s::int[])
  AND pg_blocking_pids(a.pid) && %s::int[]
"""
# An ordinary role sees that there are standbys, but not how far they are. An archiver of WAL
# replays nothing: what it has flushed counts.
LAG = """
SELECT count(*), count(sent_lsn), coalesce(max(pg_wal_lsn_diff(
    pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn))), 0)::bigint
FROM pg_stat_replication WHERE state IS NULL OR state IN ('streaming', 'catchup')
"""
AUTOVACUUM = """
SELECT EXISTS (
    SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
      AND l.relation = ANY (%s::oid[]) AND a.usesysid IS NULL
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
# What is inserted, written or not: with synchronous_commit off, it is written later.
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
MAX_WAL_SIZE = "SELECT pg_size_bytes(current_setting('max_wal_size'))"


@dataclass
class Throttle:
    """Asks the server now and then, and sets the gate; `unseen` is what the role may not see."""

    connection: BaseDatabaseWrapper
    pace: Pace
    gate: Gate
    size: BatchSize
    table_oids: tuple[int, ...]
    unseen: set[str] = field(default_factory=set)
    _wal: deque[tuple[float, int]] = field(default_factory=deque)
    _allowed_wal: float | None = None
    _last: float = field(default_factory=time.monotonic)

    def look(self, workers: list[int]) -> None:
        """Ask, and set the gate for the workers with these process ids."""
        now = time.monotonic()
        self.gate.note(now - self._last)
        self._last = now
        with self.connection.cursor() as cursor:
            lag = self._lag(cursor)
            if lag > self.pace.largest_lag:
                self.gate.set(rest=0, paused=True, reason=STANDBYS)
                return
            rests = {
                "sessions that wait for the fill": REST_FOR_WAITERS * self._blocks(cursor, workers),
                "the rate of WAL": REST_FOR_WAL * self._writes_much_wal(cursor, now),
                "autovacuum of the table": REST_FOR_AUTOVACUUM * self._vacuumed(cursor),
            }
        reasons = [reason for reason, rest in rests.items() if rest > 0]
        self.gate.set(rest=max(rests.values()), paused=False, reason=", ".join(reasons))

    def _blocks(self, cursor: CursorWrapper, workers: list[int]) -> bool:
        cursor.execute(BLOCKED, [workers, workers])
        blocked = bool(cursor.fetchone()[0])
        if blocked:
            self.size.shrink()
        return blocked

    def _lag(self, cursor: CursorWrapper) -> int:
        cursor.execute(LAG)
        standbys, seen, lag = cursor.fetchone()
        if standbys > seen:
            self.unseen.add(STANDBYS)
        return int(lag)

    def _writes_much_wal(self, cursor: CursorWrapper, now: float) -> bool:
        if self._allowed_wal is None:
            cursor.execute(MAX_WAL_SIZE)
            rate = self.pace.wal_rate
            self._allowed_wal = rate * WAL_SECONDS if rate else float(cursor.fetchone()[0])
        cursor.execute(WAL)
        self._wal.append((now, int(cursor.fetchone()[0])))
        while now - self._wal[0][0] > WAL_SECONDS:
            self._wal.popleft()
        return self._wal[-1][1] - self._wal[0][1] > self._allowed_wal

    def _vacuumed(self, cursor: CursorWrapper) -> bool:
        cursor.execute(AUTOVACUUM, [list(self.table_oids)])
        return bool(cursor.fetchone()[0])
