"""Numbers of columns that were dropped: a table keeps them, and its copy begins anew."""

from contextlib import suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.transaction import SNAPSHOT, transaction

# Far from the limit of 1600, nothing comes of it.
MANY = 1000
NUMBERS = """
SELECT n.nspname, c.relname, c.relnatts
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relnatts >= %s
"""
HAS = "SELECT relnatts FROM pg_class WHERE oid = to_regclass(%s)"


def repeat_dropped_columns(source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper) -> None:
    """Add columns to the copy's tables and drop them, until as many have been used as live."""
    with transaction(source, SNAPSHOT) as cursor:
        cursor.execute(NUMBERS, [MANY])
        tables = cursor.fetchall()
    for schema, name, numbers in tables:
        table = sql.Identifier(schema, name)
        with suppress(Error), transaction(scratch) as cursor:
            cursor.execute(HAS, [table.as_string(cursor.cursor)])
            # What was left out of the copy has no number there.
            [first] = cursor.fetchone() or (numbers,)
            used = [f"opsmigrate used {each}" for each in range(first, numbers)]
            for change in ("ADD COLUMN {} int", "DROP COLUMN {}") if used else ():
                changes = (sql.SQL(change).format(sql.Identifier(each)) for each in used)
                cursor.execute(
                    sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(changes))
                )
