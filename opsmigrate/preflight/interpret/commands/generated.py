"""The expression of a generated column, and what it may not be."""

from __future__ import annotations

from typing import Any

from opsmigrate.preflight.interpret.coercion import base_type, user_type_of
from opsmigrate.preflight.interpret.effects import Question
from opsmigrate.preflight.interpret.expression_types import Place, Typed, coerced, typed
from opsmigrate.preflight.interpret.schema import Column, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.values import (
    ask_expression,
    may_fail_to_become,
    require_number,
)
from opsmigrate.sql.expressions import columns_used
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.types import without_modifier


def require_generated(step: Step, table: Relation, column: Column, node: Any) -> Typed:
    """Return the expression as a value of the column; refuse what the server does not take."""
    place = Place(schema=step.schema, table=table, word="generated")
    value = typed(place, node)
    for name in value.columns:
        other = table.columns.get(name)
        if (other is not None and other.generated) or name == column.name:
            step.refuse("42P17", "generated-of-generated", relation=table.name, column=column.name)
    if value.settled() != "i":
        step.refuse("42P17", "not-immutable", relation=table.name, column=column.name)
    # What a cast to the column's type does is not looked at (cookDefault).
    found = coerced(place, value, column.type, "a")
    if found is None:
        step.refuse("42804", "default-of-another-type", relation=table.name, column=column.name)
    return found


def ask_generated(step: Step, table: Relation, column: Column, node: Any) -> None:
    """Note what may be raised as a stored column is computed for the rows, and cast to its type."""
    ask_expression(step, table, node)
    value = typed(Place(schema=step.schema, table=table, word="generated"), node)
    wanted = base_type(step.schema, column.type)
    require_number(step, table.name, column.name, value, wanted)
    if table.kind == "r" and may_fail_to_become(without_modifier(value.type), wanted):
        own = user_type_of(step.schema, wanted) is not None
        step.effects.questions.append(
            Question(
                sqlstate="22",
                kind="cast" if own else "expression",
                relation=table.name,
                columns=columns_used(node),
                expression=None if own else f"({deparse(node)})::{wanted}",
            )
        )
