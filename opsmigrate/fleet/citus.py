"""Citus: a table that lies on several servers is not made by what PostgreSQL alone says."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.counted import counted
from opsmigrate.postgres.transaction import transaction

# The extension puts its catalog into pg_catalog (documentation of Citus, Metadata Tables).
CATALOG = """
SELECT 1 FROM pg_class c WHERE c.relname = 'pg_dist_partition'
    AND c.relnamespace = 'pg_catalog'::regnamespace AND has_table_privilege(c.oid, 'SELECT')
"""
DISTRIBUTED = "SELECT count(*) FROM pg_catalog.pg_dist_partition"
LIMITS = (
    "a UNIQUE constraint must contain the distribution column, ALTER TABLE reaches the workers "
    "from the coordinator only, and no row can be found by its place (ctid): what is said of such "
    "a table is what PostgreSQL alone would do, so try it on a copy of the cluster"
)


def on_citus(connection: BaseDatabaseWrapper) -> str | None:
    """Return in words which limits hold where tables of the database are distributed by Citus."""
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(CATALOG)
        if cursor.fetchone() is None:
            return None
        cursor.execute(DISTRIBUTED)
        [number] = cursor.fetchone()
    if not number:
        return None
    return f"{connection.alias}: Citus distributes {counted(number, 'table')}; {LIMITS}"
