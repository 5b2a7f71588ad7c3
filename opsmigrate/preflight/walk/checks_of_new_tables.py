"""Whether a check that is part of CREATE TABLE fits the columns; it is asked of no row."""

from typing import Any

from django.db.models import CheckConstraint, Model

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.expressions import misfit, require_fit
from opsmigrate.preflight.walk.schema_walk import SchemaWalk


def new_check_fits(
    walk: SchemaWalk, model: type[Model], constraint: CheckConstraint, editor: Any
) -> None:
    """Report a check that PostgreSQL refuses; what it computes of constants is not computed yet."""
    table = walk.schema.table(model._meta.db_table)
    statement: Any = constraint.create_sql(model, editor)
    if table is None:
        return
    check, purpose = str(statement.parts["check"]), f"the check {as_stored(constraint.name)}"
    table.made_checks[as_stored(constraint.name)] = check
    if require_fit(walk, table, check, purpose, by_row=True, computed=False):
        # But a literal is read at once: '3000000000'::integer.
        words = misfit(walk, table, check, {})
        if words:
            walk.ledger.mark_undecided(f"whether {purpose} fits {table.label}: {words}")
