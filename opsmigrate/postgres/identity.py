"""What tells a database from every other one, also from a copy of its server's files."""

from typing import Any

# A standby, or a clone of the server's files, has the same identifier and oids, and is another
# process.
IDENTITY = """
SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::pg_catalog.text,
       oid::pg_catalog.text,
       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text
FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
"""
# Counted up whenever a standby is promoted, or a backup restored to a point in time (documentation,
# Timelines). A standby has no WAL of its own to name.
TIMELINE = """
SELECT CASE WHEN pg_is_in_recovery() THEN NULL
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END
"""


def identity_of(connection: Any) -> list[str]:
    """Return what no other database has, nor the same one on another server, or after a restart.

    It may be a driver's own connection. What was planted there answers nothing of it.
    """
    with connection.cursor() as cursor:
        cursor.execute(IDENTITY)
        return list(cursor.fetchone())


def timeline_of(connection: Any) -> int | None:
    """Return the timeline that the server writes, None of a standby."""
    with connection.cursor() as cursor:
        cursor.execute(TIMELINE)
        [timeline] = cursor.fetchone()
        return timeline if timeline is None else int(timeline)
