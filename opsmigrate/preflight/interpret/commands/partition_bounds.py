"""FOR VALUES of a partition: how it is written, and what the default partition loses by it."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, coerced, typed
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.partition_keys import partition_columns
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import references
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.names import Name

# What of a range is no column, though it is written like one.
LIMITS = ((("minvalue",),), (("maxvalue",),))

DEFAULT = "DEFAULT"


def _bound_of(node: Any) -> str:
    """Return a PartitionBoundSpec as SQL."""
    if node.is_default:
        return DEFAULT
    words = {"l": _list, "r": _range, "h": _hash}[node.strategy]
    return f"FOR VALUES {words(node)}"


def _list(node: Any) -> str:
    return f"IN ({', '.join(map(deparse, node.listdatums))})"


def _range(node: Any) -> str:
    low, high = (", ".join(map(deparse, each)) for each in (node.lowerdatums, node.upperdatums))
    return f"FROM ({low}) TO ({high})"


def _hash(node: Any) -> str:
    return f"WITH (modulus {node.modulus}, remainder {node.remainder})"


def require_bound(step: Step, parent: Relation, node: Any) -> None:
    """Refuse what transformPartitionBound() does: another kind of bound, and what is no value."""
    key = (parent.partition_key or "").lower()
    wrong = node.is_default and key.startswith("hash")
    if wrong or not (node.is_default or key.startswith(node.strategy)):
        step.refuse("42P16", "other-kind-of-bound", relation=parent.name)
    if node.strategy == "h" and not 0 <= node.remainder < node.modulus:
        step.refuse("42P16", "remainder", relation=parent.name)
    _require_values(step, parent, node)


def _require_values(step: Step, parent: Relation, node: Any) -> None:
    """Refuse what is no value of the column that it bounds, and too few or too many values."""
    columns = partition_columns(parent.partition_key or "")
    for limits in (node.lowerdatums, node.upperdatums, *((each,) for each in node.listdatums)):
        if limits and len(limits) != len(columns):
            step.refuse("42P16", "number-of-bounds", relation=parent.name)
        for name, each in zip(columns, limits, strict=False):
            if references(each) not in LIMITS:
                type_ = parent.columns[name].type if name is not None else None
                _require_value(step, parent, type_, each)


def _require_value(step: Step, parent: Relation, type_: str | None, node: Any) -> None:
    """Refuse what is no value of a type, None for that of an expression; and any column."""
    place = Place(schema=step.schema, table=None, word="default")
    try:
        value = typed(place, node)
        if type_ is not None and coerced(place, value, type_, "a") is None:
            step.refuse("42804", "bound-of-another-type", relation=parent.name)
    except UnknownError:
        # As of a date that not all calendars have.
        step.effects.unread = True


def new_bound(step: Step, parent: Relation, table: Name, node: Any) -> str:
    """Return the bound; the default partition may have rows that belong to it."""
    require_bound(step, parent, node)
    bound = _bound_of(node)
    if any(_is_converted(each.type) for each in parent.columns.values()):
        raise UnknownError("bounds that PostgreSQL writes otherwise", table, parent.name)
    # Whether it overlaps with another, only the server's operators know.
    step.effects.questions.append(
        Question(sqlstate="42P17", kind="partition", relation=parent.name)
    )
    for child in children_of(step.schema, parent.name):
        other = step.known(child)
        if other.bound == DEFAULT:
            if bound == DEFAULT:
                step.refuse("42P17", "two-defaults", relation=child)
            for name in (child, *descendants_of(step.schema, child)):
                step.effects.lock(name, ACCESS_EXCLUSIVE)
            step.effects.scans.add(child)
            step.effects.questions.append(
                Question(sqlstate="23514", kind="partition", relation=child)
            )
    if any(
        key.target == parent.name
        for each in step.schema.relations.values()
        for key in each.constraints.values()
    ):
        raise UnknownError("a partitioned table with foreign keys to it", table, parent.name)
    return bound


def _is_converted(type_: str) -> bool:
    return type_.startswith(("timestamp", "time", "interval", "numeric", "double", "real"))
