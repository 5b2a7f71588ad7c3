"""The UPDATEs and DELETEs of `migrate` itself: rights, and what tells published rows apart."""

from __future__ import annotations

from typing import Literal

from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.privileges import (
    BY_OTHERS,
    MissingPrivilege,
    live_relation,
    missing_privilege,
)
from opsmigrate.preflight.walk.replica_identity import has_identity, whole_row
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.steps import Step, statement

# A row for each publication of the table, or of what it is a partition of: the index that is the
# replica identity, and whether a filter or a list of columns must suit it (documentation of CREATE
# PUBLICATION, Notes; both came with PostgreSQL 15).
PUBLISHED = """
SELECT DISTINCT p.pubname, c.relreplident::text, x.relname,
       to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class published ON published.oid = c.oid
    OR published.oid IN (SELECT relid FROM pg_partition_ancestors(c.oid))
JOIN pg_namespace s ON s.oid = published.relnamespace
JOIN pg_publication_tables t ON t.schemaname = s.nspname AND t.tablename = published.relname
JOIN pg_publication p ON p.pubname = t.pubname
LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = published.oid
LEFT JOIN pg_index i ON i.indrelid = c.oid
    AND (c.relreplident = 'i' AND i.indisreplident OR c.relreplident = 'd' AND i.indisprimary)
LEFT JOIN pg_class x ON x.oid = i.indexrelid
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'
  AND CASE %s WHEN 'UPDATE' THEN p.pubupdate ELSE p.pubdelete END
ORDER BY p.pubname
"""


def grant_on_new_tables(walk: SchemaWalk, privilege: str) -> Step:
    """Return what lets the role have a privilege on the tables that it makes from then on."""
    role = quoted(walk.role)
    return statement(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT {privilege} ON TABLES TO {role}"
    )


def require_fillable(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    """Report what refuses UPDATE … SET column = … WHERE column IS NULL, whatever the rows are."""
    purpose = f"filling {table.label}.{column}"
    relation = live_relation(walk.catalog, table.origin)
    for verb in ("UPDATE", "SELECT"):
        lack: MissingPrivilege | None = None
        if relation is not None:
            live = [table.origins[column]] if column in table.origins else []
            lack = missing_privilege(walk.connection, relation, verb, live)
        if lack is None and not (table.made_after is not None and verb in walk.catalog.withheld):
            continue
        walk.ledger.find(
            "missing-privilege",
            f"{purpose} needs {verb} on {table.label}, which the role has not",
            hint=BY_OTHERS if lack else "the role types this",
            steps=lack.steps(walk.role) if lack else (grant_on_new_tables(walk, verb),),
            table=table.label,
        )
    require_told_apart(walk, table, "UPDATE", purpose)


def require_told_apart(
    walk: SchemaWalk, table: SimulatedTable, verb: Literal["UPDATE", "DELETE"], purpose: str
) -> None:
    """Report a published table, or a child, whose rows have no replica identity: 55000.

    PostgreSQL refuses the statement also where there is no row.
    """
    children = (walk.schema.of_origin(*each[:2]) for each in walk.relatives.descendants(table))
    for each in (table, *children):
        if each is None or each.origin is None:
            continue
        rows = seen_by_project(walk.connection, PUBLISHED, [*each.origin, verb])
        for publication, identity, index, partly in rows:
            by_key = identity == "d"
            if identity == "f":
                continue
            if index is None or not has_identity(each, index, by_key=by_key):
                walk.ledger.find(
                    "no-replica-identity",
                    f"{purpose} needs a replica identity of {each.label}, which the publication "
                    f"{publication} has: PostgreSQL refuses every {verb} of it",
                    hint="set a unique index on NOT NULL columns as its replica identity; or use "
                    "the whole row",
                    steps=(whole_row(each),),
                    table=each.label,
                    name=publication,
                )
            elif partly:
                walk.ledger.mark_undecided(
                    f"whether the replica identity of {each.label} suits the columns that the "
                    f"publication {publication} has: if not, PostgreSQL refuses every {verb} of it"
                )
