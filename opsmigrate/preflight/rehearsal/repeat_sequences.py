"""Where sequences stand: repeated on a copy that was made earlier, as no row shows it."""

from collections.abc import Iterator
from itertools import islice

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.transaction import SNAPSHOT, transaction

SEQUENCES = of_users("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {of_users} ORDER BY 1, 2
""")
POSITION = "SELECT {}, {}, last_value, is_called FROM {}"
AT_ONCE = 200

Positions = dict[tuple[str, str], tuple[int, bool]]


def repeat_sequences(source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Let the sequences of the copy stand where those of `source` do; return why not, in words."""
    try:
        live, there = _positions(source), _positions(scratch)
        with transaction(scratch) as cursor:
            for (schema, name), (value, called) in live.items():
                if there.get((schema, name)) != (value, called):
                    where = sql.Literal(sql.Identifier(schema, name).as_string(scratch.connection))
                    cursor.execute(
                        sql.SQL("SELECT setval({}::regclass, {}, {})").format(
                            where, sql.Literal(value), sql.Literal(called)
                        )
                    )
    except Error as error:
        return (f"where the sequences stand, which the copy could not repeat: {first_line(error)}",)
    return ()


def _positions(connection: BaseDatabaseWrapper) -> Positions:
    found: Positions = {}
    with transaction(connection, SNAPSHOT) as cursor:
        cursor.execute(SEQUENCES)
        names = iter(cursor.fetchall())
        while queries := list(_queries(islice(names, AT_ONCE))):
            cursor.execute(sql.SQL(" UNION ALL ").join(queries))
            for schema, name, value, called in cursor.fetchall():
                found[schema, name] = int(value), bool(called)
    return found


def _queries(names: Iterator[tuple[str, str]]) -> Iterator[Composable]:
    for schema, name in names:
        yield sql.SQL(POSITION).format(
            sql.Literal(schema), sql.Literal(name), sql.Identifier(schema, name)
        )
