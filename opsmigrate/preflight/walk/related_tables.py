"""What altering a table reaches besides it: its children, and columns that hold its rows."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

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
TREE = """
WITH RECURSIVE tree (top, relation) AS (
    SELECT inhparent, inhrelid FROM pg_inherits
    UNION SELECT tree.top, i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
)
SELECT n.nspname, c.relname, cn.nspname, child.relname, child.relkind::text
FROM tree JOIN pg_class c ON c.oid = tree.top JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class child ON child.oid = tree.relation
JOIN pg_namespace cn ON cn.oid = child.relnamespace
WHERE child.relkind IN ('r', 'p', 'f', 'i', 'I')
ORDER BY child.oid
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
# What each of the tree has the column from: its own definition, and how many parents, in the tree.
COLUMN_OF_CHILDREN = """
WITH RECURSIVE top AS (
    SELECT format('%%I.%%I', %s::text, %s::text)::regclass::oid AS oid
), tree (relation, depth) AS (
    SELECT oid, 0 FROM top
    UNION SELECT i.inhrelid, tree.depth + 1 FROM pg_inherits i JOIN tree ON i.inhparent = relation
)
SELECT c.oid::text, n.nspname, c.relname, a.attrelid::regclass::text,
       format_type(a.atttypid, a.atttypmod), c.relkind::text, a.attislocal, a.attinhcount,
       (SELECT array_agg(i.inhparent::text) FROM pg_inherits i
        WHERE i.inhrelid = c.oid AND i.inhparent IN (SELECT relation FROM tree)),
       (SELECT oid::text FROM top)
FROM (SELECT relation, max(depth) AS depth FROM tree GROUP BY relation) t
JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped
WHERE c.oid <> (SELECT oid FROM top)
ORDER BY t.depth, c.oid
"""
# What is asked of the rows of the table and its children, and holds for the table's own only.
OF_ITS_OWN = frozenset({"duplicate-values", "orphan-rows", "index-row-too-big"})
Names = dict[tuple[str, str], str]


class Child(NamedTuple):
    """A relation that inherits: `kind` is its pg_class.relkind."""

    schema: str
    name: str
    kind: str


class ColumnOfChild(NamedTuple):
    """A column of a table that inherits: whether it is its own, and from how many others it is.

    `parents` are the oids of those of them that are in the tree of `top`.
    """

    oid: str
    schema: str
    name: str
    words: str
    type: str
    kind: str
    local: bool
    inherited: int
    parents: list[str] | None
    top: str


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
        """Return whether rows that a probe found are its own, as far as that matters for `id`."""
        return table.kind == "p" or id not in OF_ITS_OWN or table.origin not in self._numbers

    def descendants(self, table: SimulatedTable) -> tuple[Child, ...]:
        """Return what inherits from the live table, however far; also foreign tables."""
        return tuple(self._tree.get(table.origin, ())) if table.origin else ()

    @property
    def attached_indexes(self) -> frozenset[tuple[str, str]]:
        """Return, by schema and name, the live indexes that belong to a partitioned table's."""
        return frozenset(
            (each.schema, each.name)
            for children in self._tree.values()
            for each in children
            if each.kind in "iI"
        )

    def foreign_tables_with(self, table: SimulatedTable, column: str) -> list[tuple[str, str]]:
        """Return the foreign tables that inherit and have the column, each with its type there."""
        return [
            (each.words, each.type) for each in self._columns(table, column) if each.kind == "f"
        ]

    def with_other_parents(self, table: SimulatedTable, column: str) -> list[str]:
        """Return, in words, the children that have the live column from another table too."""
        live = table.origins.get(column, column)
        return [
            each.words
            for each in self._columns(table, live)
            if each.inherited > len(each.parents or ())
        ]

    def inherited_only(self, table: SimulatedTable, live: str) -> set[tuple[str, str]]:
        """Return, by schema and name, the children that have a live column from the table alone."""
        going: set[str] = set()
        lost: set[tuple[str, str]] = set()
        for each in self._columns(table, live):
            going.add(each.top)
            if not each.local and each.inherited <= len(going.intersection(each.parents or ())):
                going.add(each.oid)
                lost.add((each.schema, each.name))
        return lost

    def _columns(self, table: SimulatedTable, live: str) -> list[ColumnOfChild]:
        if table.origin is None or table.origin not in self._numbers:
            return []
        params = [*table.origin, live]
        rows = seen_by_project(self._connection, COLUMN_OF_CHILDREN, params)
        return [ColumnOfChild(*row) for row in rows]

    @cached_property
    def _tree(self) -> dict[tuple[str, str], list[Child]]:
        found: dict[tuple[str, str], list[Child]] = {}
        for schema, name, *child in seen_by_project(self._connection, TREE):
            found.setdefault((schema, name), []).append(Child(*child))
        return found

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
