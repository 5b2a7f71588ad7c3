"""The triggers behind foreign keys that were switched off: pg_dump knows nothing of their state."""

from contextlib import suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.transaction import SNAPSHOT, transaction

# ALTER TABLE … DISABLE TRIGGER ALL, as loads of data do, switches them off too; their names have an
# oid in them, so that they are identified by their constraint and function.
SWITCHED = """
SELECT n.nspname, c.relname, k.conname, s.nspname, t.relname, f.proname, g.tgenabled::text
FROM pg_trigger g JOIN pg_constraint k ON k.oid = g.tgconstraint
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace s ON s.oid = t.relnamespace
JOIN pg_proc f ON f.oid = g.tgfoid
WHERE g.tgisinternal AND g.tgenabled <> 'O'
"""
SWITCH = """
UPDATE pg_trigger g SET tgenabled = %s
FROM pg_constraint k, pg_class c, pg_namespace n, pg_class t, pg_namespace s, pg_proc f
WHERE k.oid = g.tgconstraint AND c.oid = k.conrelid AND n.oid = c.relnamespace
  AND t.oid = g.tgrelid AND s.oid = t.relnamespace AND f.oid = g.tgfoid AND g.tgisinternal
  AND (n.nspname, c.relname, k.conname, s.nspname, t.relname, f.proname) = (%s, %s, %s, %s, %s, %s)
"""


def repeat_key_triggers(source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper) -> None:
    """Switch off in the copy what is switched off in `source`, which takes a superuser.

    What another role cannot switch is found by copy_differences.py.
    """
    with transaction(source, SNAPSHOT) as cursor:
        cursor.execute(SWITCHED)
        switched = cursor.fetchall()
    if not switched:
        return
    with suppress(Error), transaction(scratch) as cursor:
        for *trigger, state in switched:
            cursor.execute(SWITCH, [state, *trigger])
