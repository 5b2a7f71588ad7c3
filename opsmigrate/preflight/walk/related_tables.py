"""What altering a table reaches besides it: its children, and columns that hold its rows."""

from functools import cached_property

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.simulation import SimulatedTable

# ALTER TABLE goes on to the children and partitions, and asks to own each of them.
FOREIGN_CHILDREN = """
WITH RECURSIVE tree (top, relation) AS (
    SELECT inhparent, inhrelid FROM pg_inherits
    UNION SELECT tree.top, i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
)
SELECT n.nspname, c.relname, min(tree.relation::regclass::text)
FROM tree JOIN pg_class c ON c.oid = tree.top JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class child ON child.oid = tree.relation
WHERE NOT pg_has_role(current_user, child.relowner, 'USAGE') AND child.relkind IN ('r', 'p', 'f')
GROUP BY 1, 2
"""
# A column that is added to the parent takes a number in each child.
NUMBERS = """
WITH RECURSIVE tree (top, relation) AS (
    SELECT inhparent, inhrelid FROM pg_inherits
    UNION SELECT tree.top, i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
)
SELECT n.nspname, c.relname, max(child.relnatts)::text
FROM tree JOIN pg_class c ON c.oid = tree.top JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class child ON child.oid = tree.relation WHERE child.relkind IN ('r', 'p', 'f')
GROUP BY 1, 2
"""
# By itself, or as an array of them (find_composite_type_dependencies, tablecmds.c).
ROW_TYPES = """
SELECT n.nspname, c.relname, min(format('%I of %s', a.attname, a.attrelid::regclass))
FROM pg_attribute a JOIN pg_type t ON a.atttypid IN (t.oid, nullif(t.typarray, 0))
JOIN pg_class c ON c.oid = t.typrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class u ON u.oid = a.attrelid
WHERE c.relkind IN ('r', 'p') AND u.relkind IN ('r', 'p', 'm') AND NOT a.attisdropped
GROUP BY 1, 2
"""
DESCENDANTS = """
WITH RECURSIVE tree (relation) AS (
    SELECT format('%%I.%%I', %s::text, %s::text)::regclass::oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
), child AS (
    SELECT a.attrelid, a.attnum, format_type(a.atttypid, a.atttypmod) AS type
    FROM tree JOIN pg_attribute a ON a.attrelid = tree.relation
    WHERE a.attname = %s AND NOT a.attisdropped
        AND a.attrelid <> format('%%I.%%I', %s::text, %s::text)::regclass
)
"""
COLUMN_OF_CHILDREN = DESCENDANTS + "SELECT attrelid::regclass::text, type FROM child"  # noqa: S608
# As in catalog_sql.py, where the tables' own are; a view uses a column by its rule.
USERS_IN_CHILDREN = (
    DESCENDANTS
    + """
SELECT DISTINCT w.type, w.identity
FROM child JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = child.attrelid
    AND d.refobjsubid = child.attnum
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) w
WHERE d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
                    'pg_publication_rel'::regclass, 'pg_rewrite'::regclass)
ORDER BY 1, 2
"""
)
# What is asked of the rows of the table and its children, and holds for the table's own only.
OF_ITS_OWN = frozenset({"duplicate-values", "orphan-rows", "index-row-too-big"})
Names = dict[tuple[str, str], str]


class RelatedTables:
    """Answers from the catalog of `connection`, which is asked once for each kind."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def foreign_child(self, table: SimulatedTable) -> str | None:
        """Return a table that inherits from it and belongs to another role."""
        return self._foreign_children.get(table.origin) if table.origin else None

    def numbers_of_children(self, table: SimulatedTable) -> int:
        """Return how many columns the child that had most has had; dropped ones count."""
        return int(self._numbers.get(table.origin, 0)) if table.origin else 0

    def column_of_its_rows(self, table: SimulatedTable) -> str | None:
        """Return, in words, a column that holds rows of the table."""
        return self._row_types.get(table.origin) if table.origin else None

    def alone(self, table: SimulatedTable, id: str) -> bool:
        """Say whether rows that a probe has found are its own, as far as that matters for `id`."""
        return table.kind == "p" or id not in OF_ITS_OWN or table.origin not in self._numbers

    def in_children(self, table: SimulatedTable, column: str) -> list[tuple[str, str]]:
        """Return the children that have a column of this name, each with its type there."""
        return self._of_children(COLUMN_OF_CHILDREN, table, column)

    def users_besides(self, table: SimulatedTable, column: str) -> list[str]:
        """Return, in words, what besides the table itself forbids another type of the column."""
        rows = self.column_of_its_rows(table)
        found = self._of_children(USERS_IN_CHILDREN, table, table.origins.get(column, column))
        return [
            *([f"the column {rows}"] if rows else []),
            *(f"the {k} {name}" for k, name in found),
        ]

    def _of_children(self, query: str, table: SimulatedTable, column: str) -> list[tuple[str, str]]:
        if table.origin is None or table.origin not in self._numbers:
            return []
        params = [*table.origin, column, *table.origin]
        return [
            (first, second) for first, second in seen_by_project(self._connection, query, params)
        ]

    @cached_property
    def _foreign_children(self) -> Names:
        return self._ask(FOREIGN_CHILDREN)

    @cached_property
    def _numbers(self) -> Names:
        return self._ask(NUMBERS)

    @cached_property
    def _row_types(self) -> Names:
        return self._ask(ROW_TYPES)

    def _ask(self, query: str) -> Names:
        rows = seen_by_project(self._connection, query)
        return {(schema, name): found for schema, name, found in rows}
