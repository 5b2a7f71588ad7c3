"""What GENERATED ALWAYS AS needs: of the row and of nothing else, and of the column's type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Field

from opsmigrate.preflight.walk.casts import bad_values, castable
from opsmigrate.preflight.walk.default_values import PLANNED, added_at_once, expression_fits
from opsmigrate.preflight.walk.expressions import require_fit, require_no_failure, types_of
from opsmigrate.preflight.walk.fields import column_of, generated_sql
from opsmigrate.preflight.walk.immutability import require_immutable
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.type_compatibility import always_casts


def require_generated(walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any]) -> bool:
    """Say whether the expression fits the columns that it names, and its own; report if not."""
    expression, purpose = generated_sql(walk.connection, field), _purpose(field)
    _uses_no_generated(walk, table, expression, purpose, column_of(field))
    fits = require_fit(walk, table, expression, purpose)
    if fits:
        require_immutable(walk, table, expression, purpose)
    return fits and _may_be_assigned(walk, table, field, expression)


def require_computable(walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any]) -> None:
    """ADD COLUMN: report if a row, or the planner, computes what the column cannot hold."""
    expression, after = generated_sql(walk.connection, field), _type(walk, field)
    if not walk.columns_in(table, expression):
        # The planner computes a constant, whatever the rows; of a virtual column too.
        computed = added_at_once(walk, table) and PLANNED
        expression_fits(walk, table, column_of(field), after, expression, computed=computed)
    # A virtual column is computed when it is read: ADD COLUMN looks at no row.
    elif getattr(field, "db_persist", True):
        require_no_failure(walk, table, expression, _purpose(field), column_of(field))
        _becomes_its_type(walk, table, field, expression)


def _type(walk: SchemaWalk, field: Field[Any, Any]) -> str:
    return str(field.db_parameters(connection=walk.connection)["type"])


def _purpose(field: Field[Any, Any]) -> str:
    return f"the expression of column {column_of(field)}"


def _may_be_assigned(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], expression: str
) -> bool:
    """Report a type that no value of the expression becomes by itself (42804)."""
    column, after = column_of(field), _type(walk, field)
    if not walk.columns_in(table, expression):
        # It may be a literal, which has no type yet.
        return True
    for before in types_of(walk, table, expression):
        if castable(walk.connection, before, after, explicit=False) is not False:
            continue
        if not walk.sees_everything():
            walk.ledger.mark_undecided(f"whether {before} becomes {after}, in {_purpose(field)}")
            return False
        walk.ledger.find(
            "expression-invalid",
            f"{_purpose(field)} is {before}, which does not become {after} by itself",
            hint=f"let the expression cast it to {after}, or give the field an output_field of "
            "its type",
            table=table.label,
            column=column,
        )
        return False
    return True


def _uses_no_generated(
    walk: SchemaWalk, table: SimulatedTable, expression: str, purpose: str, own: str
) -> None:
    others = table.generated - {own}
    for used in others.intersection(walk.columns_in(table, expression)):
        walk.ledger.find(
            "expression-invalid",
            f"{purpose} uses {used}, which is a generated column of {table.label} itself",
            hint=f"write the expression of {used} instead of its name",
            table=table.label,
            column=used,
        )


def _becomes_its_type(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], expression: str
) -> None:
    """Report if a value of the expression cannot be assigned to the column's type."""
    after = _type(walk, field)
    for before in types_of(walk, table, expression):
        if not always_casts(before, after):
            probe = bad_values(
                table,
                walk.columns_in(table, expression),
                sql.SQL(f"({expression})"),
                (before, after),
                column=column_of(field),
                version=walk.catalog.version,
            )
            question = f"whether every value of {table.label}.{column_of(field)} becomes {after}"
            walk.check_rows(table, question, probe)


def refuse_virtual(
    walk: SchemaWalk, table: SimulatedTable, what: str, columns: Iterable[str]
) -> None:
    """Report the virtual columns that an index, or a constraint with one, names (0A000)."""
    for column in sorted(table.virtual.intersection(columns)):
        walk.ledger.find(
            "computed-column",
            f"{what} is refused on {table.label}.{column}: it is a virtual generated column",
            hint="store the field: db_persist=True",
            table=table.label,
            column=column,
        )
