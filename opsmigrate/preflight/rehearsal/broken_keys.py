"""Foreign keys in which the server believes, though rows contradict them: a copy refuses them."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint, add_unchecked
from opsmigrate.preflight.rehearsal.selection import CopySelection

# Those of partitions come with their parent's.
KEYS = """
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
"""


def add_broken_keys(
    source: BaseDatabaseWrapper,
    scratch: BaseDatabaseWrapper,
    selection: CopySelection,
) -> tuple[BrokenConstraint, ...]:
    """Add to the copy the foreign keys that it refused, unchecked, and return them.

    What the selection leaves out is none of them. Only a superuser can make the server believe in
    an unchecked one. Raises Error where one cannot be added at all.
    """
    there = {key[:3] for key in _keys(scratch)} | {*selection.absent_keys}
    broken = []
    for schema, table, name, definition in _keys(source):
        if (schema, table, name) in there or not selection.has_schema(schema):
            continue
        broken.append(add_unchecked(scratch, schema, table, name, definition, kind="foreign key"))
    return tuple(broken)


def _keys(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str, str]]:
    with transaction(connection, SNAPSHOT) as cursor:
        # So that every name in a definition has its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(KEYS)
        return [(schema, table, name, text) for schema, table, name, text in cursor.fetchall()]
