"""A foreign key is checked with the rights of the owner of the table that it points to."""

from __future__ import annotations

from collections.abc import Iterator

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.walk.changed_rows import grant_on_new_tables
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedForeignKey
from opsmigrate.steps import statement

# The row is read and locked: SELECT … FOR KEY SHARE (ri_triggers.c), which takes UPDATE on some
# column of it (documentation of GRANT).
LACKING = """
SELECT verb FROM (SELECT relowner, oid FROM pg_class WHERE oid = %s) c,
    unnest(ARRAY['SELECT', 'UPDATE']) AS verb
WHERE NOT has_any_column_privilege(c.relowner, c.oid, verb)
"""


def lacks_of_owner(walk: SchemaWalk, key: SimulatedForeignKey) -> Iterator[Rejection]:
    """Yield what the owner of the target has taken from itself, so that no row gets a key to it."""
    target = key.target
    relation = live_relation(walk.catalog, target.origin)
    if relation is not None:
        with walk.connection.cursor() as cursor:
            cursor.execute(LACKING, [relation.oid])
            verbs = [str(row[0]) for row in cursor.fetchall()]
    elif target.made_after is not None:
        verbs = [verb for verb in ("SELECT", "UPDATE") if verb in walk.catalog.withheld]
    else:
        return
    for verb in verbs:
        grant = grant_on_new_tables(walk, verb)
        if relation is not None:
            grant = statement(f"GRANT {verb} ON TABLE {target.live} TO {quoted(relation.owner)}")
        yield Rejection(
            f"its foreign key {key.name} is checked as the owner of {target.label}, who has no "
            f"{verb} on it",
            hint="that owner, or a superuser, types this",
            steps=(grant,),
        )
