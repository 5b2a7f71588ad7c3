"""What is there of a goal: the column, its values, its constraints, and what stands in the way."""

from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.goal import Goal

SAMPLED_BLOCKS = 100

TABLE = """
SELECT c.oid, c.relkind, EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)),
       pg_has_role(current_user, c.relowner, 'USAGE'),
       has_schema_privilege(c.relnamespace, 'CREATE'), c.reltuples::bigint,
       pg_relation_size(c.oid) / current_setting('block_size')::int
FROM pg_class c WHERE c.oid = %s::regclass
"""
COLUMN = """
SELECT a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
       pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attname = %s AND NOT a.attisdropped
"""
UNIQUE = """
SELECT x.relname, i.indisvalid, con.conname
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
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = x.oid AND i.indrelid = t.oid
                  AND i.indkey[0] = %s AND i.indnkeyatts = 1)
"""
# tgtype: bit 16 is UPDATE (PostgreSQL source, catalog/pg_trigger.h); column triggers fire only
# for the columns that they name.
TRIGGERS = """
SELECT tgname FROM pg_trigger
WHERE tgrelid = %s AND NOT tgisinternal AND tgtype & 16 <> 0 AND tgenabled IN ('O', 'A')
  AND tgattr = ''::int2vector
ORDER BY tgname
"""


@dataclass(frozen=True, kw_only=True)
class State:
    """The table and, where it is there, the column; `rows` is an estimate."""

    oid: int
    kind: str
    in_hierarchy: bool
    owned: bool
    may_create: bool
    rows: int
    blocks: int
    triggers: tuple[str, ...]
    name_taken: bool = False
    column_type: str | None = None
    not_null: bool = False
    generated: bool = False
    default: str | None = None
    constraint: str | None = None
    valid_index: str | None = None
    invalid_index: str | None = None

    @property
    def has_column(self) -> bool:
        """Say whether the column is there, of whatever type."""
        return self.column_type is not None


def read_state(connection: BaseDatabaseWrapper, goal: Goal) -> State:
    """Return what is there of `goal`, from the catalog and, at the most, a sample of blocks."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE, [f"{_quote(goal.schema)}.{_quote(goal.table)}"])
        oid, kind, in_hierarchy, owned, may_create, rows, blocks = cursor.fetchone()
        if rows < 1 and blocks:
            rows = _estimate(cursor, goal, blocks)
        cursor.execute(TRIGGERS, [oid])
        triggers = tuple(row[0] for row in cursor.fetchall())
        cursor.execute(COLUMN, [oid, goal.column])
        column = cursor.fetchone()
        number = column[0] if column else -1
        cursor.execute(NAME_TAKEN, [oid, goal.constraint, number])
        taken = cursor.fetchone() is not None
        cursor.execute(UNIQUE, [oid, number])
        indexes = cursor.fetchall()
    return State(
        oid=oid,
        kind=kind,
        in_hierarchy=in_hierarchy,
        owned=owned,
        may_create=may_create,
        rows=max(rows, 0),
        blocks=blocks,
        triggers=triggers,
        name_taken=taken,
        **_column(column),
        **_unique(indexes),
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _estimate(cursor: CursorWrapper, goal: Goal, blocks: int) -> int:
    """Return about how many rows a table has that was never analyzed, from its first blocks."""
    read = min(blocks, SAMPLED_BLOCKS)
    sample = sql.SQL("SELECT count(*) FROM ONLY {} WHERE ctid < {}::tid")
    cursor.execute(sample.format(goal.relation, sql.Literal(f"({read},0)")))
    return int(cursor.fetchone()[0]) * blocks // read


def _column(row: tuple[Any, ...] | None) -> dict[str, Any]:
    if row is None:
        return {}
    _, type_, not_null, generated, default = row
    return {
        "column_type": type_,
        "not_null": not_null,
        "generated": generated,
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
