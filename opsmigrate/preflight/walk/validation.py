"""What VALIDATE CONSTRAINT asks of the rows."""

from __future__ import annotations

from opsmigrate.postgres.catalog import Constraint
from opsmigrate.preflight.walk.constraints import require_constraint
from opsmigrate.preflight.walk.expressions import require_no_failure
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.probes import Probe, orphans_of, violations
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK, FOREIGN_KEY, SimulatedTable


def validate_constraint(walk: SchemaWalk, table: SimulatedTable, name: str) -> None:
    """The constraint must be there, and every row satisfy it; one that is valid is not asked."""
    require_constraint(walk, table, name, "validates")
    live = _live(walk, table, name)
    check = table.not_valid.pop(name, None)
    if check is None and live is not None:
        if live.validated:
            return
        names_are_live = all(column == before for column, before in table.origins.items())
        check = live.condition if live.kind == CHECK and names_are_live else None
    if check and not require_no_failure(walk, table, check, f"the check {name}"):
        return
    walk.check_rows(
        table,
        f"whether the rows of {table.label} satisfy {name}",
        violations(table, check, walk.columns_in(table, check))
        if check is not None
        else _orphans(walk, table, name),
    )


def _live(walk: SchemaWalk, table: SimulatedTable, name: str) -> Constraint | None:
    relation = live_relation(walk.catalog, table.origin)
    found = relation.constraints if relation and name in table.constraints else ()
    return next((item for item in found if item.name == name), None)


def _orphans(walk: SchemaWalk, table: SimulatedTable, name: str) -> Probe | None:
    if table.constraints.get(name, ("",))[0] != FOREIGN_KEY:
        return None
    for key in walk.schema.foreign_keys:
        if key.table is table and key.name == name:
            return orphans_of(walk.connection, key)
    return None
