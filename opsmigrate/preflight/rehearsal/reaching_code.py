"""Whether code in the database may reach neighbours of a tenant, without a statement that says so.

Where it may, a copy must have them: what it does with them would not be seen on one without.
"""

from __future__ import annotations

import re

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.neighbours import Neighbours

# Functions in the schemas that are read, and those that event triggers call, with the settings that
# they run with. What one in C does, nobody can read.
BODIES = """
SELECT CASE l.lanname WHEN 'c' THEN 'execute'
       ELSE concat_ws(' ', p.prosrc, array_to_string(p.proconfig, ' ')) END
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE (p.pronamespace = ANY (%(read)s::oid[])
       OR p.oid IN (SELECT evtfoid FROM pg_event_trigger WHERE evtenabled <> 'D'))
  AND l.lanname <> 'internal'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                  AND d.objid = p.oid AND d.deptype = 'e')
"""
# A relation of the catalog, no function; and what makes up statements.
LOOKS = re.compile(r"\b(?:information_schema|pg_(?!catalog\b)[a-z_]+)\b(?!\s*\()", re.IGNORECASE)
MAKES_UP = re.compile(r"\b(?:execute|dblink\w*|search_path|set_config)\b", re.IGNORECASE)
# Whoever looks only for what is in the search_path, finds the same without neighbours.
VISIBLE = "pg_table_is_visible"


def stays_within(connection: BaseDatabaseWrapper, neighbours: Neighbours) -> bool:
    """Return whether no function, as far as the words of its body tell, reaches a neighbour."""
    if not neighbours.schemas:
        return True
    with connection.cursor() as cursor:
        cursor.execute(BODIES, {"read": list(neighbours.read)})
        bodies = [str(body) for (body,) in cursor.fetchall()]
    return not any(
        neighbours.named_in(body) or looks(body) or MAKES_UP.search(body) for body in bodies
    )


def looks(text: str) -> bool:
    """Return whether SQL looks for things that may be in any schema."""
    return VISIBLE not in text and LOOKS.search(text) is not None
