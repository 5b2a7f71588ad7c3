"""The sessions of a seed: what is set in them, the one lock per table, and getting them back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.advisory import already_running, holder_of, obtain
from opsmigrate.postgres.locks import as_timeout
from opsmigrate.postgres.session import (
    is_pooled_by_transaction,
    open_second,
    read_session,
    set_for_session,
)

# The first half of the advisory lock's key, "seed" in ASCII; the second half is the table's oid.
LOCK_SPACE = 0x73656564
LONGEST_PAUSE = 8.0
SECONDS_BETWEEN_TRIES = 0.2

# A time-out set for the role is meant for the application, not for a table of any size. Setting
# those that the server has: transaction_timeout came with PostgreSQL 17.
NO_TIMEOUTS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
               'transaction_timeout', 'idle_session_timeout')
"""
# Every batch is to survive a crash of the server: readers have seen its values.
DURABLE = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'
"""


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Set what every session of a seed needs: no time-outs, durable commits, every row seen."""
    with connection.cursor() as cursor:
        cursor.execute(NO_TIMEOUTS)
        cursor.execute(DURABLE)
    set_for_session(
        connection,
        row_security="off",
        jit="off",
        # In a stricter one a row that somebody changed meanwhile would end the batch.
        default_transaction_isolation="read committed",
    )


def filling_sessions(
    lock_timeout: float, *, skip_triggers: bool
) -> Callable[[BaseDatabaseWrapper], BaseDatabaseWrapper]:
    """Return what opens one more session, in which batches run; `lock_timeout` in seconds."""

    def open_session(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
        other = open_second(connection)
        prepare(other)
        set_for_session(other, lock_timeout=as_timeout(lock_timeout))
        if skip_triggers:
            set_for_session(other, session_replication_role="replica")
        return other

    return open_session


def require_session(connection: BaseDatabaseWrapper) -> None:
    """Raise RefusedError where a pooler hands our session to others between transactions."""
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "there is a connection pooler in transaction mode in between; a seed needs one session",
            id="pooled-by-transaction",
            hint="let DATABASES point to the server itself, not to the pooler",
        )


def require_writable(connection: BaseDatabaseWrapper) -> None:
    """Raise RefusedError where the session cannot write."""
    session = read_session(connection)
    if session.in_recovery or session.read_only:
        what = "the server is a standby" if session.in_recovery else "the session is read-only"
        raise RefusedError(
            f"{what}; nothing can be seeded here",
            id="read-only",
            hint="let DATABASES point to the primary, and unset default_transaction_read_only",
        )


@contextmanager
def seed_lock(
    connection: BaseDatabaseWrapper, oid: int, spec: ColumnSpec, *, patience: float = 0.0
) -> Iterator[None]:
    """Hold the lock that lets one run work on the table; raise RefusedError where another does.

    Tried for `patience` seconds: a server may not have noticed yet that our own session was lost.
    """
    # As a signed int4: oids go to 2^32 - 1.
    key = oid - (1 << 32) if oid >= 1 << 31 else oid
    deadline = time.monotonic() + patience
    while not obtain(connection, LOCK_SPACE, key, what="seed"):
        if time.monotonic() >= deadline:
            raise already_running(
                f"another run is seeding {spec.label}",
                holder_of(connection, LOCK_SPACE, key),
                again="run the command again",
                table=spec.label,
            )
        interrupts.raise_if_asked()
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, key])


def is_lost(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the session is gone."""
    return connection.connection is None or not connection.is_usable()


def reconnect(
    connection: BaseDatabaseWrapper, *, patience: float, between: Callable[[], None]
) -> bool:
    """Connect again, with growing pauses for `patience` seconds; say whether it worked."""
    deadline, pause = time.monotonic() + patience, 0.25
    while True:
        interrupts.raise_if_asked()
        connection.close()
        try:
            connection.ensure_connection()
            prepare(connection)
        except Error:
            if time.monotonic() > deadline:
                return False
        else:
            return True
        between()
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
