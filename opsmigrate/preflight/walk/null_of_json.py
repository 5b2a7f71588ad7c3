"""The null of JSON is a value, until it becomes another type: then it is NULL."""

from opsmigrate.preflight.walk.probes import nulls
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import base


def stays_not_null(
    walk: SchemaWalk, table: SimulatedTable, column: str, before: str, after: str
) -> None:
    """Report values that are one now and become NULL: the null of JSON, as of PostgreSQL 18."""
    if base(before) == "jsonb" and base(after) != "jsonb" and column in table.not_null:
        walk.check_rows(
            table,
            f"whether a value of {table.label}.{column} is NULL as {after}",
            nulls(table, column),
        )
