"""Advisory locks of opsmigrate: who holds the one that another run needs, and how to end it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.postgres.session import set_for_session
from opsmigrate.steps import Step, statement

# What the sessions that hold such a lock are called in pg_stat_activity.
APPLICATION = "opsmigrate"
# A run that works asks its server something every second or so; only while it reads its own files
# it says nothing for longer.
SECONDS_UNTIL_ABANDONED = 60
# A role without pg_read_all_stats sees of others' sessions the process and the application only.
HOLDER = """
SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), a.state,
    coalesce(host(a.client_addr), CASE WHEN a.client_port = -1 THEN 'this server''s socket' END),
    extract(epoch FROM clock_timestamp() - a.state_change)::bigint,
    extract(epoch FROM clock_timestamp() - a.backend_start)::bigint,
    extract(epoch FROM clock_timestamp() - a.xact_start)::bigint
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.classid::bigint = %s AND l.objid::bigint = %s
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """The session that holds a lock; ages in seconds, None where the role may not see it."""

    pid: int
    application: str
    role: str
    state: str | None
    client: str | None
    seconds_in_state: int | None
    session_seconds: int | None
    transaction_seconds: int | None

    @property
    def is_abandoned(self) -> bool:
        """Return whether it looks like a session of opsmigrate whose client is gone."""
        ours = self.application.startswith(APPLICATION)
        idle = (self.state or "").startswith("idle")
        return ours and idle and (self.seconds_in_state or 0) >= SECONDS_UNTIL_ABANDONED

    def __str__(self) -> str:
        who = [self.application or "no application name"]
        who += [f"role {self.role}"] if self.role else []
        who += [f"from {self.client}"] if self.client else []
        said = f"process {self.pid} ({', '.join(who)})"
        if self.state is None:
            return f"{said}; the role may not see its state (pg_read_all_stats)"
        said += f", {self.state} for {age(self.seconds_in_state)}"
        said += f", in a session of {age(self.session_seconds)}"
        if self.transaction_seconds is not None:
            said += f" and a transaction of {age(self.transaction_seconds)}"
        if self.is_abandoned:
            said += "; it looks abandoned: an idle session of opsmigrate"
        return said

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.is_abandoned:
            return "if no such run is alive, end its session"
        return "wait for it to end; only if it is certainly dead, end its session"

    @property
    def steps(self) -> tuple[Step, ...]:
        """What to type to be rid of it."""
        return (statement(f"SELECT pg_terminate_backend({self.pid})", risk="ends that run"),)

    @property
    def evidence(self) -> Mapping[str, Any]:
        """The same for programs."""
        return {**asdict(self), "abandoned": self.is_abandoned}


def obtain(connection: BaseDatabaseWrapper, space: int, key: int, *, what: str) -> bool:
    """Try to get the lock of the session, and say so; the session is called after `what`."""
    set_for_session(connection, application_name=f"{APPLICATION} {what}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [space, key])
        return bool(cursor.fetchone()[0])


def holder_of(connection: BaseDatabaseWrapper, space: int, key: int) -> LockHolder | None:
    """Return who holds the lock in this database; None where it has just been let go."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDER, [space, key & 0xFFFFFFFF])
        row = cursor.fetchone()
    if row is None:
        return None
    pid, application, role, state, client, in_state, session, transaction = row
    return LockHolder(
        pid=pid,
        application=application,
        role=role,
        state=state,
        client=client,
        seconds_in_state=in_state,
        session_seconds=session,
        transaction_seconds=transaction,
    )


def already_running(
    who: str, holder: LockHolder | None, *, again: str, table: str | None = None
) -> RefusedError:
    """Return the refusal that says that another run, `who`, holds the lock, and what to do.

    `again` is what to do where it has just been let go.
    """
    return RefusedError(
        f"{who}: {holder}" if holder else who,
        id="already-running",
        hint=holder.hint if holder else f"it has just ended: {again}",
        steps=holder.steps if holder else (),
        table=table,
        evidence=holder.evidence if holder else None,
    )


def age(seconds: int | None) -> str:
    """Return so many seconds in the two largest units that they have."""
    left, words = seconds or 0, []
    for size, unit in UNITS:
        if left >= size:
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join([*words, *([f"{left} s"] if not words else [])][:2])
