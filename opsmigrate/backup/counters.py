"""How many rows were written to each table, by the server's own cumulative statistics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.digest.tables import label

KNOWS_AT_ONCE = 150_000
COLLECTOR_SECONDS = 1.1
COUNTERS = """
SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del, relid::bigint
FROM pg_stat_user_tables
ORDER BY 1, 2
"""
# A crash of the server resets all statistics, and is seen at those of the whole server only.
RESET = """
SELECT greatest(a.stats_reset, d.stats_reset) > %s::timestamptz
FROM pg_stat_archiver a, pg_stat_database d WHERE d.datname = current_database()
"""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written to a table since a moment; None where it cannot be known."""

    table: str
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None

    def __str__(self) -> str:
        """Return it as a person reads it."""
        if self.inserted is None:
            return (
                f"{self.table}: not known (created since the backup, or its statistics were reset)"
            )
        return (
            f"{self.table}: {self.inserted:,} inserted, {self.updated:,} updated, "
            f"{self.deleted:,} deleted"
        )


Counters = Mapping[str, Sequence[int]]


def read_counters(connection: BaseDatabaseWrapper) -> dict[str, list[int]]:
    """Return (rows inserted, updated, deleted, oid) of each table, ever, by its label.

    Rolled back ones count too (documentation, The Cumulative Statistics System). Before PostgreSQL
    15 it takes a second: what sessions send to the statistics collector may be half a second late,
    and what is read of it half a second old (documentation of 14, 28.2.3).
    """
    connection.ensure_connection()
    if connection.connection.info.server_version < KNOWS_AT_ONCE:
        time.sleep(COLLECTOR_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(COUNTERS)
        return {
            label(schema, name): [int(number) for number in numbers]
            for schema, name, *numbers in cursor.fetchall()
        }


def were_reset(connection: BaseDatabaseWrapper, since: str) -> bool:
    """Return whether statistics were reset after `since` (ISO 8601): no difference is valid."""
    with connection.cursor() as cursor:
        cursor.execute(RESET, [since])
        return bool(cursor.fetchone()[0])


def written_since(before: Counters, now: Counters, *, reset: bool = False) -> tuple[Written, ...]:
    """Return what was written to each table between two readings, without those untouched.

    Where the statistics were `reset` in between, nothing is known of any table.
    """
    found = []
    for table in sorted({*before, *now}):
        if table not in now:
            continue  # dropped since: there is nothing in it to lose
        difference = _difference(before.get(table), now[table])
        if difference is None or reset:
            found.append(Written(table=table))
        elif any(difference):
            inserted, updated, deleted = difference
            found.append(Written(table=table, inserted=inserted, updated=updated, deleted=deleted))
    return tuple(found)


def _difference(before: Sequence[int] | None, now: Sequence[int]) -> tuple[int, int, int] | None:
    # Another oid: another table of that name. Less than before: the statistics were reset.
    if before is None or before[3] != now[3]:
        return (now[0], now[1], now[2]) if before is None else None
    difference = (now[0] - before[0], now[1] - before[1], now[2] - before[2])
    return None if min(difference) < 0 else difference
