"""What VALIDATE CONSTRAINT asks of the rows."""

from __future__ import annotations

from opsmigrate.postgres.catalog import Constraint
from opsmigrate.preflight.walk.constraints import need_constraint
from opsmigrate.preflight.walk.expressions import require_no_failure
from opsmigrate.preflight.walk.probes import Probe, orphans_of, violations
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.rights import live_relation
from opsmigrate.preflight.walk.simulation import CHECK, FOREIGN_KEY, SimulatedTable


def validate_constraint(requirements: Requirements, table: SimulatedTable, name: str) -> None:
    """The constraint must be there, and every row satisfy it; one that is valid is not asked."""
    need_constraint(requirements, table, name, "validates")
    live = _live(requirements, table, name)
    check = table.not_valid.pop(name, None)
    if check is None and live is not None:
        if live.validated:
            return
        names_are_live = all(column == before for column, before in table.origins.items())
        check = live.condition if live.kind == CHECK and names_are_live else None
    if check and not require_no_failure(requirements, table, check, f"the check {name}"):
        return
    requirements.if_rows(
        table,
        f"whether the rows of {table.label} satisfy {name}",
        violations(table, check, requirements.columns_in(table, check))
        if check is not None
        else _orphans(requirements, table, name),
    )


def _live(requirements: Requirements, table: SimulatedTable, name: str) -> Constraint | None:
    relation = live_relation(requirements.catalog, table.origin)
    found = relation.constraints if relation and name in table.constraints else ()
    return next((item for item in found if item.name == name), None)


def _orphans(requirements: Requirements, table: SimulatedTable, name: str) -> Probe | None:
    if table.constraints.get(name, ("",))[0] != FOREIGN_KEY:
        return None
    for key in requirements.schema.foreign_keys:
        if key.table is table and key.name == name:
            return orphans_of(requirements.connection, key)
    return None
