"""A NOT NULL that a table has from its parent: only the parent can drop it."""

from __future__ import annotations

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.steps import statement

# Before PostgreSQL 18 a NOT NULL is no constraint, and only a partition keeps that of its table
# (documentation, ALTER TABLE; source, ATExecDropNotNull).
PARENTS = """
SELECT n.nspname, p.relname, c.relispartition
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_namespace n ON n.oid = p.relnamespace
JOIN pg_attribute a ON a.attrelid = p.oid AND a.attname = %(column)s AND a.attnotnull
WHERE i.inhrelid = %(oid)s AND (c.relispartition OR EXISTS (
    SELECT FROM pg_constraint k
    JOIN pg_attribute own ON own.attrelid = k.conrelid AND own.attnum = k.conkey[1]
    WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.coninhcount > 0
        AND own.attname = %(column)s))
ORDER BY 1, 2
"""


def require_own_not_null(walk: SchemaWalk, table: SimulatedTable, column: str, doing: str) -> None:
    """Report if the table has its NOT NULL on the column from a parent, which keeps it."""
    relation = live_relation(walk.catalog, table.origin)
    if relation is None or column not in table.origins:
        return
    with walk.connection.cursor() as cursor:
        cursor.execute(PARENTS, {"oid": relation.oid, "column": table.origins[column]})
        parents = cursor.fetchall()
    for schema, name, is_partition in parents:
        live = f"{schema}.{name}"
        apart = (
            f"ALTER TABLE {quoted(schema, name)} DETACH PARTITION {table.live}"
            if is_partition
            else f"ALTER TABLE {table.live} NO INHERIT {quoted(schema, name)}"
        )
        walk.ledger.find(
            "inherited-column",
            f"{table.label} has NOT NULL on {column} from {live}, so {doing} is refused",
            hint=f"let {live} drop its own NOT NULL, or take {table.label} out of it",
            steps=(
                statement(
                    apart, risk=f"queries of {live} no longer show the rows of {table.label}"
                ),
            ),
            table=table.label,
            column=column,
        )
