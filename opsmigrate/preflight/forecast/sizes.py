"""How big the live tables are, as estimates."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import LOCK_NOT_AVAILABLE, QUERY_CANCELED, sqlstate
from opsmigrate.postgres.transaction import transaction

# pg_table_size() waits for whoever holds the table exclusively; relpages waits for nobody.
TIMEOUT = "2s"
MEASURED = "pg_table_size(c.oid)"
ESTIMATED = """
((c.relpages + coalesce((SELECT relpages FROM pg_class WHERE oid = c.reltoastrelid), 0))
 * current_setting('block_size')::bigint)
"""
# reltuples is -1 where the table was never vacuumed or analyzed (documentation of pg_class). A
# partitioned table has no rows itself; its partitions are locked with it.
SIZES = """
SELECT n.nspname || '.' || c.relname,
       CASE WHEN c.relkind = 'p' THEN (
                SELECT sum(p.reltuples) FROM pg_partition_tree(c.oid) t JOIN pg_class p
                ON p.oid = t.relid WHERE t.isleaf AND p.reltuples >= 0)
            WHEN c.reltuples >= 0 AND c.relpages > 0 THEN
                c.reltuples / c.relpages * {pages}
            WHEN {size} = 0 THEN 0
            ELSE nullif(pg_stat_get_live_tuples(c.oid), 0) END::bigint,
       CASE WHEN c.relkind = 'p' THEN (
                SELECT sum(p.relpages) * current_setting('block_size')::bigint
                FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf)
            ELSE {size} END::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname || '.' || c.relname = ANY(%s)
"""
PAGES = "(pg_relation_size(c.oid) / current_setting('block_size')::bigint)"


@dataclass(frozen=True)
class Size:
    """Rows and bytes of a table, with its TOAST; None where the server does not know."""

    rows: int | None
    bytes: int | None


def read_sizes(connection: BaseDatabaseWrapper, labels: Collection[str]) -> dict[str, Size]:
    """Return the size of each table (`schema.name`), in one query.

    Where somebody holds one of them exclusively, the catalog's own, older figures.
    """
    try:
        return _read(connection, labels, size=MEASURED, pages=PAGES)
    except Error as error:
        if sqlstate(error) not in (LOCK_NOT_AVAILABLE, QUERY_CANCELED):
            raise
        return _read(connection, labels, size=ESTIMATED, pages="c.relpages")


def _read(
    connection: BaseDatabaseWrapper, labels: Collection[str], *, size: str, pages: str
) -> dict[str, Size]:
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [TIMEOUT])
        cursor.execute(SIZES.format(size=size, pages=pages), [list(labels)])
        return {label: Size(rows, size_) for label, rows, size_ in cursor.fetchall()}
