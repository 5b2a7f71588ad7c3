"""Who holds what the migration waits for now, and the end of those who only idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.playbook.one_at_a_time import LOCK_SPACE, OF_ITS_PROCESS, key_of
from opsmigrate.postgres.advisory import APPLICATION, age
from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate
from opsmigrate.preflight.live.blockers import words_of
from opsmigrate.preflight.live.planned_locks import PlannedLock

# Between two statements of a transaction that is at work, a session idles for a moment too.
IDLE_SECONDS = 5.0
ABOUT = """a.usename::text, a.application_name, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8, a.query,
       coalesce(a.backend_type = 'client backend' AND a.datname = current_database(), false)"""
# pg_blocking_pids says 0 of a prepared transaction (its documentation).
WAITED_FOR = f"""
SELECT DISTINCT b.pid, {ABOUT}
FROM pg_locks l JOIN pg_stat_activity w ON w.pid = l.pid AND w.wait_event_type = 'Lock'
CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) AS b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.classid::bigint = %s AND l.objid::bigint = %s
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY b.pid
"""  # noqa: S608 - of our own words
HELD = f"""
SELECT coalesce(l.pid, 0), {ABOUT}, n.nspname || '.' || c.relname, array_agg(l.mode)
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND n.nspname || '.' || c.relname = ANY(%s)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ORDER BY 1
"""  # noqa: S608 - as above
# Looked at once more in the same statement: it may have gone on since.
END = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
WHERE a.pid = %s AND a.datname = current_database() AND a.state ^@ 'idle in transaction'
  AND clock_timestamp() - a.state_change >= make_interval(secs => %s)
"""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A session that the migration waits for; None is what the role may not see.

    `pid` is 0 for a prepared transaction. `seconds` is the age of its transaction, `idle` how long
    it has been in its state.
    """

    pid: int
    role: str | None
    application: str | None
    state: str | None
    seconds: float | None
    idle: float | None
    query: str | None
    client: bool

    @property
    def only_idles(self) -> bool:
        """Return whether it does nothing but hold a transaction open, and is none of our own."""
        return (
            self.client
            and (self.state or "").startswith("idle in transaction")
            and (self.idle or 0.0) >= IDLE_SECONDS
            and not (self.application or "").startswith(APPLICATION)
        )

    def __str__(self) -> str:
        if self.pid == 0:
            return "a prepared transaction (see pg_prepared_xacts)"
        who = [self.application or "no application name"]
        who += [f"role {self.role}"] if self.role else []
        said = f"process {self.pid} ({', '.join(who)}), {self.state or 'in a state not visible'}"
        if self.seconds is not None:
            said += f", its transaction open for {age(int(self.seconds))}"
        # The first words, none of the values: they may be secret.
        words = words_of(self.query)
        return said + (f", last: {words} …" if words else "")


def waited_for(connection: BaseDatabaseWrapper) -> list[Holder]:
    """Return whom the sessions of the process that migrates wait for at this moment."""
    with connection.cursor() as cursor:
        number = key_of(connection, OF_ITS_PROCESS) & 0xFFFFFFFF
        cursor.execute(WAITED_FOR, [LOCK_SPACE, number])
        return [_holder(row) for row in cursor.fetchall()]


def holding(connection: BaseDatabaseWrapper, wanted: Sequence[PlannedLock]) -> list[Holder]:
    """Return who holds what these locks of the plan have to wait for."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, [sorted({each.table for each in wanted})])
        rows = cursor.fetchall()
    found = {}
    for *about, table, modes in rows:
        if any(each.table == table and each.conflicts_with(frozenset(modes)) for each in wanted):
            found[about[0]] = _holder(about)
    return list(found.values())


def _holder(row: Sequence[Any]) -> Holder:
    names = ("pid", "role", "application", "state", "seconds", "idle", "query", "client")
    return Holder(**dict(zip(names, row, strict=True)))


def end_idle(connection: BaseDatabaseWrapper, holder: Holder) -> bool | None:
    """End the session if it still only idles; return whether that was done, None without a right.

    What it has not committed is undone.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(END, [holder.pid, IDLE_SECONDS])
            row = cursor.fetchone()
    except Error as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        return None
    return bool(row and row[0])
