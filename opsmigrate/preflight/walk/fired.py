"""What of a table's triggers and rules runs as a column is filled in."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

# tgtype: 1 for each row, 16 on UPDATE (pg_trigger.h); ev_type '2' is UPDATE (CmdType in nodes.h).
# A trigger of UPDATE OF columns is fired by the columns that the statement names. Which of them run
# at all, session_replication_role says (documentation of ALTER TABLE).
FIRED = """
WITH state AS (
    SELECT CASE WHEN current_setting('session_replication_role') = 'replica'
                THEN '{R,A}'::"char"[] ELSE '{O,A}'::"char"[] END AS runs
), found AS (
    SELECT c.oid, a.attnum FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped
    WHERE n.nspname = %s AND c.relname = %s
)
SELECT format('the trigger %%s', t.tgname), t.tgtype & 1 = 1
FROM found JOIN pg_trigger t ON t.tgrelid = found.oid, state
WHERE NOT t.tgisinternal AND t.tgtype & 16 = 16 AND t.tgenabled = ANY (state.runs)
    AND (t.tgattr = '' OR found.attnum = ANY (t.tgattr))
UNION ALL
SELECT format('the rule %%s', r.rulename), true
FROM found JOIN pg_rewrite r ON r.ev_class = found.oid, state
WHERE r.ev_type = '2' AND r.ev_enabled = ANY (state.runs)
ORDER BY 1
"""


def fired_by_filling(
    connection: BaseDatabaseWrapper, table: SimulatedTable, column: str, *, rows: bool
) -> list[str]:
    """Return, in words, what an UPDATE of a live column runs; without `rows`, if none matches."""
    if table.origin is None or not table.has_triggers:
        return []
    params = [table.origins.get(column, column), *table.origin]
    found = seen_by_project(connection, FIRED, params)
    return [words for words, each_row in found if rows or not each_row]
