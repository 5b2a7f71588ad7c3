"""One run on a database, or on a tenant's schema of it, at a time.

Also against another host, and after a SIGKILL.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.advisory import already_running, holder_of, obtain
from opsmigrate.postgres.identity import identity_of
from opsmigrate.postgres.session import (
    Session,
    is_pooled_by_transaction,
    no_time_limits,
    second_connection,
    set_for_session,
)
from opsmigrate.postgres.tenant import schema_of

LOCK_SPACE = 0x6D696772
# The first is held by the session of the command. The second is shared by the sessions of its
# process that migrates: a server goes on with a statement for a while after its client has died.
OF_THE_COMMAND, OF_ITS_PROCESS, OF_THE_PLAYBOOK, OF_A_FLEET = 0, 1, 2, 3
SECONDS_TO_END = 10.0
SECONDS_BETWEEN_LOOKS = 0.2
SESSIONS = """
SELECT l.pid FROM pg_catalog.pg_locks l
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.classid::bigint = %s AND l.objid::bigint = %s
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""


def key_of(connection: BaseDatabaseWrapper, key: int) -> int:
    """Return the key of the lock: for a tenant one of its schema, of 32 bits.

    Two schemas with the same key wait for each other, and nothing worse.
    """
    schema = schema_of(connection)
    if schema is None:
        return key
    digest = sha256(f"{key} {schema}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big", signed=True)


def require_session(connection: BaseDatabaseWrapper, what: str) -> None:
    """Raise RefusedError where a pooler hands our session to others between two transactions."""
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            f"there is a connection pooler in transaction mode; {what} needs a session of its own",
            id="pooled-by-transaction",
            hint="let DATABASES point to the server itself, not to the pooler",
        )


@contextmanager
def one_at_a_time(
    connection: BaseDatabaseWrapper, session: Session, *, key: int, what: str
) -> Iterator[BaseDatabaseWrapper]:
    """Hold the lock of the database, or of the tenant's schema, while the block runs.

    Raises RefusedError where another one holds it.
    Yields the session that holds it, which is our own and does nothing else.
    """
    with second_connection(connection) as holder:
        set_for_session(holder, **no_time_limits(holder))
        if identity_of(holder) != identity_of(connection):
            raise RefusedError(
                f"the alias {connection.alias!r} leads to several databases: the session that "
                "would hold the lock is in another one",
                id="another-database",
                hint="let the alias lead to one database, whoever asks and whenever",
            )
        number = key_of(connection, key)
        if not obtain(holder, LOCK_SPACE, number, what=what):
            raise _already_running(holder, session, what, number)
        if key == OF_THE_COMMAND:
            _require_no_orphan(holder, session, what)
        yield holder


def _require_no_orphan(holder: BaseDatabaseWrapper, session: Session, what: str) -> None:
    """Raise RefusedError where a process of a run that was killed is still at work."""
    number = key_of(holder, OF_ITS_PROCESS)
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, number])
        if not cursor.fetchone()[0]:
            raise _already_running(holder, session, what, number)
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, number])


def _already_running(
    connection: BaseDatabaseWrapper, session: Session, what: str, number: int
) -> RefusedError:
    schema = schema_of(connection)
    where = f"the schema {schema} of " if schema is not None else ""
    who = f"another {what} of {where}database {session.database} is running"
    holder = holder_of(connection, LOCK_SPACE, number)
    return already_running(who, holder, again="run the command again")


def sessions_of_process(connection: BaseDatabaseWrapper) -> list[int]:
    """Return the server processes of the process that migrates."""
    with connection.cursor() as cursor:
        number = key_of(connection, OF_ITS_PROCESS) & 0xFFFFFFFF
        cursor.execute(SESSIONS, [LOCK_SPACE, number])
        return [pid for (pid,) in cursor.fetchall()]


def end_sessions_of_process(connection: BaseDatabaseWrapper) -> bool:
    """End what is left on the server of a process that has ended; return whether it is gone."""
    deadline = time.monotonic() + interrupts.seconds_left(SECONDS_TO_END)
    while pids := sessions_of_process(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
        if time.monotonic() > deadline:
            return False
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return True
