"""Indexes that pg_dump leaves out, as they are INVALID: on the copy they are made INVALID too."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import no_time_limits, second_connection, set_for_session
from opsmigrate.postgres.transaction import SNAPSHOT, transaction

# What pg_dump passes over (source of pg_dump, getIndexes()), of relations that it dumps at all. An
# index behind a constraint cannot be made so without its constraint.
LEFT_OUT = of_users("""
SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid), i.indisready
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT ((i.indisvalid OR c.relkind = 'p') AND i.indisready)
  AND {of_users}
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
                  AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indexrelid
""")


def repeat_invalid_indexes(source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper) -> None:
    """Make in the copy what an interrupted CREATE INDEX CONCURRENTLY has left in `source`.

    In the same way, which takes no superuser: it is interrupted while it waits for a transaction
    of ours. What cannot be made is missing, and found by copy_differences.py.
    """
    with transaction(source, SNAPSHOT) as cursor:
        # So that every name in a definition has its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(LEFT_OUT)
        left_out = cursor.fetchall()
    if not left_out:
        return
    with second_connection(scratch) as other:
        set_for_session(scratch, **no_time_limits(scratch))
        set_for_session(scratch, lock_timeout="1ms")
        for schema, table, definition, ready in left_out:
            _make(scratch, other, sql.Identifier(schema, table), definition, ready=ready)
    scratch.close()


def _make(
    scratch: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    table: Composable,
    definition: str,
    *,
    ready: bool,
) -> None:
    # As pg_get_indexdef() writes it: CREATE INDEX or CREATE UNIQUE INDEX.
    concurrently = definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
    try:
        with transaction(other, "ISOLATION LEVEL REPEATABLE READ") as waited_for:
            if ready:
                # For an older snapshot it waits last, when the index is written to already.
                waited_for.execute("SELECT 1")
            else:
                # For who may write it waits first, when only the name is there.
                waited_for.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(table))
            with scratch.cursor() as cursor:
                cursor.execute(concurrently)
    except Error:
        # The wait that ends is what leaves it; so does a row twice in one that is unique.
        return
