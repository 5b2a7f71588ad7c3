"""The migrations that a database records as applied."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.schema.history_table import HISTORY

# A table: to read a view is to run what its owner wrote.
TABLE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')
"""


def applied_migrations(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the applied migrations as sorted `app.name`; empty where nothing was ever applied,
    and where what has the name is no table.

    Read on this very connection, for instance inside its snapshot: the recorder itself asks
    whichever connection its alias has.
    """
    name = connection.ops.quote_name(HISTORY)
    found = seen_by_project(connection, TABLE, [name])
    if not found:
        return ()
    query = sql.SQL("SELECT app, name FROM {}").format(sql.Identifier(*found[0]))
    with connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(sorted(f"{app}.{name}" for app, name in cursor.fetchall()))
