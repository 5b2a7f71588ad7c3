"""Values that are NULL in another type: the null of JSON, and the time of infinity."""

from opsmigrate.preflight.walk.probes import nulls
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import base


def stays_not_null(
    walk: SchemaWalk, table: SimulatedTable, column: str, before: str, after: str
) -> None:
    """Report values that are one now and become NULL; the null of JSON does as of PostgreSQL 18."""
    from_json = base(before) == "jsonb" and base(after) != "jsonb"
    to_time = base(before).startswith("timestamp ") and base(after).startswith("time ")
    if (from_json or to_time) and column in table.not_null:
        walk.check_rows(
            table,
            f"whether a value of {table.label}.{column} is NULL as {after}",
            nulls(table, column),
        )
