"""Code of a migration that lets sequences go on behind the last row, as Django's own SQL does."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import AutoField

from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.updated_rows import OpenError, require_as_described

# setval() of no sequence does nothing (it is strict).
FITS = """
SELECT coalesce(bool_and(has_sequence_privilege(q.seqrelid, 'UPDATE')
                         AND {highest} BETWEEN q.seqmin AND q.seqmax), true)
FROM pg_sequence q WHERE q.seqrelid = to_regclass(pg_get_serial_sequence(%s, %s))
"""


def require_resettable(walk: SchemaWalk, model: Any) -> None:
    """Raise OpenError unless what sequence_reset_sql() gives for the model is executed.

    From django.db.backends.postgresql.operations.
    """
    keys = [each for each in model._meta.local_fields if isinstance(each, AutoField)]
    if not keys:
        return
    column = column_of(keys[0])
    made = walk.schema.table(model._meta.db_table)
    if made is not None and made.made_after is not None and walk.rows(made) == 0:
        if column not in made.types:
            raise OpenError(f"{made.label} has no column {column}")
        return
    table = require_as_described(walk, model, [column])
    live = table.origins.get(column)
    if table.origin is None or live is None:
        raise OpenError(f"what {table.label} will hold is not known")
    highest = sql.SQL("(SELECT coalesce(max({}), 1) FROM {})").format(
        sql.Identifier(live), sql.Identifier(*table.origin)
    )
    query = sql.SQL(FITS).format(highest=highest)
    [[fits]] = seen_by_project(walk.connection, query, [quoted(*table.origin), live])
    if not fits:
        raise OpenError(f"whether the sequence of {table.label}.{column} can be set")
