"""NOT NULL as a constraint that is NOT VALID or NO INHERIT: attnotnull is set all the same.

Both came with PostgreSQL 18 (release notes); before it, no column has one.
"""

from __future__ import annotations

from opsmigrate.postgres.catalog import Constraint
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.steps import statement


def set_not_null(walk: SchemaWalk, table: SimulatedTable, column: str) -> bool:
    """SET NOT NULL on a column that has such a constraint; say whether it is NOT VALID.

    That one is then validated, so that every row is looked at; NO INHERIT is refused.
    """
    weak = table.weak_not_null.pop(column, None)
    if weak is None:
        return False
    if weak.no_inherit:
        _find(walk, table, column, weak, f"making {table.label}.{column} NOT NULL")
    return not weak.validated


def require_strong(walk: SchemaWalk, table: SimulatedTable, column: str, doing: str) -> None:
    """Report what prevents a primary key or an identity on the column."""
    weak = table.weak_not_null.pop(column, None)
    if weak is not None:
        _find(walk, table, column, weak, doing)


def _find(
    walk: SchemaWalk, table: SimulatedTable, column: str, weak: Constraint, doing: str
) -> None:
    alter, name = f"ALTER TABLE {table.live}", quoted(weak.name)
    inherits = statement(f"{alter} ALTER CONSTRAINT {name} INHERIT")
    validates = statement(f"{alter} VALIDATE CONSTRAINT {name}")
    walk.ledger.find(
        "constraint-in-the-way",
        f"{doing} is refused: its NOT NULL constraint {weak.name} is "
        f"{'NO INHERIT' if weak.no_inherit else 'NOT VALID'}",
        hint=None if weak.validated else "if it is refused, rows have NULL: correct them first",
        steps=(
            *([inherits] if weak.no_inherit else []),
            *([] if weak.validated else [validates]),
        ),
        table=table.label,
        column=column,
        name=weak.name,
    )
