"""The sequences that columns own, and whether they are ahead of the values in them."""

from dataclasses import dataclass
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.of_users import of_users

# The sequence s that the column a of the table t owns; deptype: a for a serial column, i for an
# identity.
OWNED = """
FROM pg_depend d
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i')
"""


def of_owned(query: str) -> str:
    """Return the query with `{of_owned}` as FROM and WHERE of the sequences that columns own."""
    return query.replace("{of_owned}", OWNED)


SEQUENCES = of_users(
    of_owned("""
SELECT sn.nspname, s.relname, n.nspname, t.relname, a.attname, q.seqincrement
{of_owned}
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND NOT q.seqcycle AND {of_users}
ORDER BY 1, 2
""")
)


class Owned(NamedTuple):
    """A sequence, the column that owns it, and by how much it counts."""

    schema: str
    name: str
    table_schema: str
    table: str
    column: str
    increment: int


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
        cursor.execute(SEQUENCES)
        owned = [Owned(*row) for row in cursor.fetchall()]
    return tuple(
        _read(connection, each) for each in owned if of in (None, (each.table_schema, each.table))
    )


def _read(connection: BaseDatabaseWrapper, owned: Owned) -> Sequence:
    schema, name, table_schema, table, column, increment = owned
    sequence, relation = sql.Identifier(schema, name), sql.Identifier(table_schema, table)
    # The sequence is read last: a row that comes in between has its key from before.
    query = sql.SQL("SELECT {} FROM {}").format(_farthest(owned), relation)
    state = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)
    with connection.cursor() as cursor:
        cursor.execute(query)
        highest = cursor.fetchone()[0]
        cursor.execute(state)
        last, called = cursor.fetchone()
    return Sequence(
        label=f"{schema}.{name}",
        column=f"{table_schema}.{table}.{column}",
        increment=increment,
        next_value=last + increment if called else last,
        highest=highest,
        remedy=behind_last_row(connection, owned),
    )


def behind_last_row(connection: BaseDatabaseWrapper, owned: Owned) -> str:
    """Return the statement that lets a sequence go on behind the last row."""
    remedy = sql.SQL("SELECT setval({}, (SELECT {} FROM {}))").format(
        sql.Literal(quoted(owned.schema, owned.name)),
        _farthest(owned),
        sql.Identifier(owned.table_schema, owned.table),
    )
    with connection.cursor() as cursor:
        return str(remedy.as_string(cursor.connection))


def _farthest(owned: Owned) -> Composable:
    farthest = sql.SQL("max({})" if owned.increment > 0 else "min({})")
    return farthest.format(sql.Identifier(owned.column))
