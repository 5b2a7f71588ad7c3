"""The schema before and after the plan as the copy shows it."""

from __future__ import annotations

from opsmigrate.preflight.old_release.comparison import SchemaPair
from opsmigrate.preflight.rehearsal.migrated_schema import MigratedSchema
from opsmigrate.preflight.walk.simulation import Simulation


def schemas_of_copy(schema: MigratedSchema) -> SchemaPair:
    """Return both, with what each table after the plan was called before it."""
    after = Simulation(schema.after)
    names = {each.oid: (each.schema, each.name) for each in schema.before.relations}
    for relation in schema.after.relations:
        table = after.table_of((relation.schema, relation.name))
        if table is not None:
            table.origin = names.get(relation.oid)
    return SchemaPair(Simulation(schema.before), after)
