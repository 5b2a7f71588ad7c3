"""Who works on a unit now: an advisory lock of its database, gone with the process that held it.

A broker may deliver a unit twice: its visibility timeout is over, a worker was lost, it was sent
again. Only who holds the claim works on the unit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import sha256

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.unit import Unit
from opsmigrate.playbook.one_at_a_time import require_session
from opsmigrate.postgres.advisory import APPLICATION, obtain
from opsmigrate.postgres.session import no_time_limits, second_connection, set_for_session

SPACE = 0x666C6565
HELD = """
SELECT l.objid::bigint FROM pg_catalog.pg_locks l
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::bigint = %s
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""


def key_of(unit: Unit) -> int:
    """Return the key of a unit's lock, of 32 bits.

    Two units with the same key are not worked on at the same time, and nothing worse.
    """
    digest = sha256(f"{unit.run_id}\n{unit.target.label}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big", signed=True)


@contextmanager
def claim(connection: BaseDatabaseWrapper, unit: Unit) -> Iterator[bool]:
    """Hold the claim on a unit while the block runs; yield whether it could be had.

    It is held by a session of its own. Raises django.db.OperationalError where the server cannot
    be reached, RefusedError where a pooler lends sessions for a transaction only.
    """
    with second_connection(connection) as holder:
        require_session(holder, "a fleet on a queue")
        set_for_session(holder, **no_time_limits(holder))
        yield obtain(holder, SPACE, key_of(unit), what="fleet")


def claimed(connection: BaseDatabaseWrapper, units: Collection[Unit]) -> set[str]:
    """Return the labels of those units, all of this database, that somebody works on now."""
    with second_connection(connection) as other, other.cursor() as cursor:
        set_for_session(other, application_name=f"{APPLICATION} fleet")
        cursor.execute(HELD, [SPACE])
        held = {key for (key,) in cursor.fetchall()}
    return {each.target.label for each in units if key_of(each) & 0xFFFFFFFF in held}
