"""Published tables whose rows nothing tells apart after the plan: their updates are refused."""

from __future__ import annotations

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import PRIMARY_KEY, SimulatedTable
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import Step, statement

# Those that have a replica identity now: an index of their own choice, or the primary key.
IDENTITIES = """
SELECT DISTINCT n.nspname, c.relname, x.relname, c.relreplident = 'd'
FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname
JOIN pg_namespace n ON n.nspname = t.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
JOIN pg_index i ON i.indrelid = c.oid
    AND (c.relreplident = 'i' AND i.indisreplident OR c.relreplident = 'd' AND i.indisprimary)
JOIN pg_class x ON x.oid = i.indexrelid
WHERE p.pubupdate OR p.pubdelete
"""
BY_HAND = "replica identity"


def require_replica_identities(walk: SchemaWalk) -> None:
    """Report each published table that loses its replica identity for good: 55000."""
    ledger = walk.ledger
    if BY_HAND in " ".join(ledger.by_hand).lower():
        return
    for schema, name, index, by_key in seen_by_project(walk.connection, IDENTITIES):
        table = walk.schema.of_origin(schema, name)
        if table is not None and not has_identity(table, index, by_key=by_key):
            ledger.add(_finding(table, index))


def has_identity(table: SimulatedTable, index: str, *, by_key: bool) -> bool:
    """Return whether the index is still there, under whatever name, or another primary key.

    A table whose identity is an index of its choice has none when that goes, whatever its key.
    """
    names = {item.name for item in table.indexes.values()}
    key = any(kind == PRIMARY_KEY for kind, _ in table.constraints.values())
    return index in names or (by_key and key)


def whole_row(table: SimulatedTable) -> Step:
    """Return what lets the whole row be the replica identity."""
    return statement(
        f"ALTER TABLE {table.live} REPLICA IDENTITY FULL",
        risk="an UPDATE or DELETE sends the whole row, and subscribers have to search for it",
    )


def _finding(table: SimulatedTable, index: str) -> Finding:
    return Finding(
        id="replica-identity-lost",
        severity=Severity.WARNING,
        message=f"the plan drops {index} of {table.label}, which is published: it has no replica "
        "identity then, and every UPDATE and DELETE of it is refused",
        hint="after migrate, set another unique index as its replica identity; or use the whole "
        "row",
        steps=(whole_row(table),),
        table=table.label,
    )
