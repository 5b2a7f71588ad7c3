"""The tables that hold the rows: the one that is named, its partitions, its children."""

from dataclasses import dataclass

from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.search_path import seen_by_project

SAMPLED_BLOCKS = 100
# A table that has grown by more since it was analyzed is not like it was.
MOST_GROWTH = 2

LEAVES = """
WITH RECURSIVE tree AS (
    SELECT %s::oid AS oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid
)
SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::bigint, c.relpages,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int,
       format_type(a.atttypid, a.atttypmod), pg_has_role(current_user, c.relowner, 'USAGE')
FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped
WHERE c.relkind <> 'p'
ORDER BY c.oid
"""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A table that holds rows itself; `rows` is an estimate, `column_type` None without it."""

    oid: int
    schema: str
    table: str
    kind: str
    rows: int
    blocks: int
    column_type: str | None
    owned: bool

    @property
    def label(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def relation(self) -> Composable:
        """Return the table's name as SQL."""
        return sql.Identifier(self.schema, self.table)

    @property
    def rows_per_block(self) -> float:
        """Return how many rows a block holds, at least one."""
        return max(self.rows / self.blocks, 1.0) if self.blocks else 1.0


def read_leaves(cursor: CursorWrapper, oid: int, column: str) -> tuple[Leaf, ...]:
    """Return the tables that hold the rows of the table `oid`, down through every level."""
    leaves = []
    for row in seen_by_project(cursor.db, LEAVES, [oid, column]):
        leaf_oid, schema, table, kind, rows, then, blocks, column_type, owned = row
        # As the planner does it: what is known is how many rows a block had when it was analyzed.
        if kind == "r" and blocks and (rows < 1 or blocks > then * MOST_GROWTH):
            rows = _estimate(cursor, sql.Identifier(schema, table), blocks)
        elif then:
            rows = rows * blocks // then
        leaves.append(
            Leaf(
                oid=leaf_oid,
                schema=schema,
                table=table,
                kind=kind,
                rows=max(rows, 0),
                blocks=blocks,
                column_type=column_type,
                owned=owned,
            )
        )
    return tuple(leaves)


def _estimate(cursor: CursorWrapper, relation: Composable, blocks: int) -> int:
    """Return about how many rows a table has, from its first blocks and no statistics."""
    read = min(blocks, SAMPLED_BLOCKS)
    sample = sql.SQL("SELECT count(*) FROM ONLY {} WHERE ctid < {}::tid")
    cursor.execute(sample.format(relation, sql.Literal(f"({read},0)")))
    return int(cursor.fetchone()[0]) * blocks // read
