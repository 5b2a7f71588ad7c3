"""What is there of a goal: the column, its values, its constraints, and what stands in the way."""

from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.tables import Leaf, read_leaves
from opsmigrate.postgres.search_path import seen_by_project

# Stands in for NOT NULL until it is validated; scripts/add_payment_id.sql calls it so as well.
CHECK = "opsmigrate_seeded"

TABLE = """
SELECT c.oid, c.relkind, c.relispartition,
       EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
       pg_has_role(current_user, c.relowner, 'USAGE'),
       has_schema_privilege(c.relnamespace, 'CREATE'), c.reloftype <> 0, quote_ident(current_user),
       (WITH RECURSIVE tree (relation) AS (
            SELECT c.oid
            UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation)
        SELECT max(leaf.relnatts) FROM tree JOIN pg_class leaf ON leaf.oid = tree.relation)
FROM pg_class c WHERE c.oid = %s::regclass
"""
# Since PostgreSQL 18 a NOT NULL can be there and not be validated.
COLUMN = """
SELECT a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN a.attidentity <> '' THEN 'identity' END,
       pg_get_expr(d.adbin, d.adrelid),
       (SELECT n.conname FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
        AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated),
       (SELECT n.convalidated FROM pg_constraint n WHERE n.conrelid = a.attrelid
        AND n.contype = 'c' AND n.conname = %s AND n.conkey = ARRAY[a.attnum])
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attname = %s AND NOT a.attisdropped
"""
UNIQUE = """
SELECT x.relname, i.indisvalid AND i.indisready, con.conname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint con ON con.conindid = x.oid AND con.contype IN ('u', 'p')
     AND con.conrelid = i.indrelid
WHERE i.indrelid = %s AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = %s
  AND i.indpred IS NULL AND i.indexprs IS NULL AND (i.indimmediate OR NOT i.indisvalid)
ORDER BY con.conname IS NULL, i.indisvalid DESC
"""
NAME_TAKEN = """
SELECT x.relname FROM pg_class x JOIN pg_class t ON t.relnamespace = x.relnamespace
WHERE t.oid = %s AND x.relname = %s
"""


@dataclass(frozen=True, kw_only=True)
class State:
    """The table and, where it is there, the column.

    `leaves` are the tables that hold rows: the table itself, its partitions, its children.
    `is_typed` says that it is a table of a composite type; `typed_user` is our role as one types
    it in SQL. `check` is whether our own check against NULLs is validated, None without it.
    """

    oid: int
    kind: str
    is_partition: bool
    has_children: bool
    owned: bool
    may_create: bool
    is_typed: bool
    typed_user: str
    numbers: int
    leaves: tuple[Leaf, ...] = field(repr=False)
    name_taken: bool = False
    number: int | None = None
    column_type: str | None = None
    not_null: bool = False
    unvalidated_not_null: str | None = None
    check: bool | None = None
    made_by_server: str | None = None
    default: str | None = None
    constraint: str | None = None
    valid_index: str | None = None
    invalid_index: str | None = None

    @property
    def has_column(self) -> bool:
        """Return whether the column is there, of whatever type."""
        return self.column_type is not None

    @property
    def in_hierarchy(self) -> bool:
        """Return whether rows stand in other tables than the one that is named."""
        return self.kind == "p" or self.has_children

    @property
    def rows(self) -> int:
        """Return about how many rows there are."""
        return sum(leaf.rows for leaf in self.leaves)

    @property
    def blocks(self) -> int:
        """Return of how many blocks the rows are."""
        return sum(leaf.blocks for leaf in self.leaves)


def read_state(connection: BaseDatabaseWrapper, spec: ColumnSpec) -> State:
    """Return what is there of `spec`, from the catalog and, at the most, a sample of blocks."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE, [spec.typed_table])
        row = cursor.fetchone()
        oid, kind, is_partition, has_children, owned, may_create, is_typed, *rest = row
        typed_user, numbers = rest
        leaves = read_leaves(cursor, oid, spec.column)
        column = next(iter(seen_by_project(connection, COLUMN, [CHECK, oid, spec.column])), None)
        number = column[0] if column else -1
        cursor.execute(UNIQUE, [oid, number])
        indexes = cursor.fetchall()
        cursor.execute(NAME_TAKEN, [oid, spec.constraint])
        # An index of the seed is used or made anew; another, also a deferrable one, is in the way.
        taken = cursor.fetchone() is not None and spec.constraint not in {row[0] for row in indexes}
    return State(
        oid=oid,
        kind=kind,
        is_partition=is_partition,
        has_children=has_children,
        owned=owned,
        may_create=may_create,
        is_typed=is_typed,
        typed_user=typed_user,
        numbers=numbers,
        leaves=leaves,
        name_taken=taken,
        **_column(column),
        **_unique(indexes),
    )


def _column(row: tuple[Any, ...] | None) -> dict[str, Any]:
    if row is None:
        return {}
    number, type_, not_null, made_by_server, default, unvalidated, check = row
    return {
        "number": number,
        "column_type": type_,
        "not_null": not_null and unvalidated is None,
        "unvalidated_not_null": unvalidated,
        "check": check,
        "made_by_server": made_by_server,
        "default": default,
    }


def _unique(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    valid = [(name, constraint) for name, is_valid, constraint in rows if is_valid]
    invalid = [name for name, is_valid, _ in rows if not is_valid]
    return {
        "constraint": valid[0][1] if valid else None,
        "valid_index": valid[0][0] if valid else None,
        "invalid_index": invalid[0] if invalid else None,
    }
