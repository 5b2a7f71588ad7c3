"""An autovacuum that holds the table we need: it yields only to who waits long, or is ended."""

from collections.abc import Callable, Sequence

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate

SECONDS_AFTER_DEADLOCK_TIMEOUT = 0.5

# Autovacuum workers belong to no role; their other columns are hidden from ordinary ones.
HOLDERS = """
SELECT l.pid, bool_and(a.pid IS NOT NULL AND a.usesysid IS NULL)
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation = ANY (%s::oid[])
GROUP BY l.pid
"""
# A vacuum against wraparound yields to nobody (PostgreSQL documentation, Routine Vacuuming). A
# role that may not read the worker's statement goes by the table's age, as the server does.
AGAINST_WRAPAROUND = """
SELECT coalesce(bool_or(age(c.relfrozenxid) > least(
           current_setting('autovacuum_freeze_max_age')::int,
           (SELECT option_value::int FROM pg_options_to_table(c.reloptions)
            WHERE option_name = 'autovacuum_freeze_max_age'))
       OR mxid_age(c.relminmxid) > least(
           current_setting('autovacuum_multixact_freeze_max_age')::int,
           (SELECT option_value::int FROM pg_options_to_table(c.reloptions)
            WHERE option_name = 'autovacuum_multixact_freeze_max_age'))), false)
       OR EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY (%s::int[])
                  AND query LIKE '%%(to prevent wraparound)')
FROM pg_class c WHERE c.oid = ANY (%s::oid[]) AND c.relkind = 'r'
"""


class AutovacuumAgainstWraparoundError(Exception):
    """An autovacuum holds the table that must not be ended."""


def make_way(
    connection: BaseDatabaseWrapper, table_oids: Sequence[int], say: Callable[[str], None]
) -> float | None:
    """End the autovacuum where nothing else holds the tables; return how long to wait now.

    None where something else holds them. Where the role may not end it, the time in seconds
    after which PostgreSQL itself ends it for who waits: deadlock_timeout and half a second.
    Raises AutovacuumAgainstWraparoundError.
    """
    oids = list(table_oids)
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [oids])
        holders = cursor.fetchall()
        if not holders or not all(is_autovacuum for _, is_autovacuum in holders):
            return None
        pids = [pid for pid, _ in holders]
        cursor.execute(AGAINST_WRAPAROUND, [pids, oids])
        if cursor.fetchone()[0]:
            raise AutovacuumAgainstWraparoundError(
                f"an autovacuum against transaction id wraparound (process {pids[0]}) holds the "
                "table; it must be left to finish"
            )
        try:
            for pid in pids:
                cursor.execute("SELECT pg_cancel_backend(%s)", [pid])
            say(f"ended the autovacuum of the table (process {pids[0]}); it will run again later")
        except Error as error:
            if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
                raise
        else:
            return None
        cursor.execute(
            "SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval)::float"
        )
        wait = float(cursor.fetchone()[0]) + SECONDS_AFTER_DEADLOCK_TIMEOUT
    say(
        f"an autovacuum holds the table and this role may not end it; one try waits {wait:g} s, "
        "and writers queue behind it"
    )
    return wait
