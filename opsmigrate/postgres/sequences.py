"""The sequences that columns own, and whether they are ahead of the values in them."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

# deptype: a for serial columns, i for identity columns.
OWNED = """
SELECT n.nspname, s.relname, tn.nspname, t.relname, a.attname, q.seqincrement, q.seqcycle
FROM pg_depend d
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i') AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND tn.nspname !~ '^pg_' AND tn.nspname <> 'information_schema'
ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A sequence with its column (`schema.table.column`), what it gives next, and what is there."""

    label: str
    column: str
    increment: int
    next_value: int
    highest: int | None
    remedy: str

    @property
    def is_behind(self) -> bool:
        """Return whether it will give a value that a row has, or has been past, already."""
        if self.highest is None:
            return False
        ahead = self.next_value - self.highest
        return ahead <= 0 if self.increment > 0 else ahead >= 0


def read_sequences(
    connection: BaseDatabaseWrapper, *, of: tuple[str, str] | None = None
) -> tuple[Sequence, ...]:
    """Return every sequence that an integer column owns; those that begin anew are left out.

    The highest value is a look into the key's index, where there is one. `of` is the one table
    (schema, name) to look at.
    """
    with connection.cursor() as cursor:
        cursor.execute(OWNED)
        owned = [row for row in cursor.fetchall() if not row[6]]
    return tuple(_read(connection, *row[:6]) for row in owned if of in (None, row[2:4]))


def _read(
    connection: BaseDatabaseWrapper,
    schema: str,
    name: str,
    table_schema: str,
    table: str,
    column: str,
    increment: int,
) -> Sequence:
    sequence, relation = sql.Identifier(schema, name), sql.Identifier(table_schema, table)
    farthest = sql.SQL("max({})" if increment > 0 else "min({})").format(sql.Identifier(column))
    # The sequence is read last: a row that comes in between has its key from before.
    query = sql.SQL("SELECT {} FROM {}").format(farthest, relation)
    state = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)
    remedy = sql.SQL("SELECT setval({}, (SELECT {} FROM {}))").format(
        sql.Literal(f'"{schema}"."{name}"'), farthest, relation
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        highest = cursor.fetchone()[0]
        cursor.execute(state)
        last, called = cursor.fetchone()
        words = remedy.as_string(cursor.connection)
    return Sequence(
        label=f"{schema}.{name}",
        column=f"{table_schema}.{table}.{column}",
        increment=increment,
        next_value=last + increment if called else last,
        highest=highest,
        remedy=words,
    )
