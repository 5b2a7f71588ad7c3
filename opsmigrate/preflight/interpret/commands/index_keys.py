"""The keys of an index as a statement writes them: columns, expressions, classes, order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.collation import (
    DEFAULT,
    is_collatable,
    own_collation,
    visible_collation,
)
from opsmigrate.preflight.interpret.expression_types import (
    SYSTEM_COLUMNS,
    Place,
    condition,
    typed,
)
from opsmigrate.preflight.interpret.index_methods import METHODS, default_class, named_class
from opsmigrate.preflight.interpret.schema import Key, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.nodes import label


def keys_of(
    step: Step, table: Relation, elements: Sequence[Any], method: str
) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """Return the keys, and the type of each; refuse what the server does."""
    found = [_key(step, table, each, method) for each in elements]
    return tuple(key for key, _ in found), tuple(type_ for _, type_ in found)


def expressions_hold(step: Step, table: Relation, elements: Sequence[Any]) -> None:
    """Refuse what is wrong in the expressions, before anything else is looked at."""
    for each in elements:
        if each.HasField("expr"):
            typed(Place(schema=step.schema, table=table, word="index"), each.expr)


def _key(step: Step, table: Relation, element: Any, method: str) -> tuple[Key, str]:
    name, expression, type_ = _what(step, table, element)
    column = table.columns.get(name) if name else None
    own = own_collation(step.schema, column) if column is not None else DEFAULT
    collation = None
    named = element.collation or _collate_within(element)
    if named:
        found = visible_collation(step, [as_stored(each.string.sval) for each in named])
        if not is_collatable(step.schema, type_):
            step.refuse("42804", "not-collatable", relation=table.name, column=name)
        # The default one is noted where the column has another.
        collation = None if found == own else found
    operator_class = _class(step, table, element, method, type_)
    descending, nulls_first = _order(step, element, method)
    key = Key(
        column=name,
        expression=expression,
        operator_class=operator_class,
        collation=collation,
        descending=descending,
        nulls_first=nulls_first,
    )
    return key, type_


def _collate_within(element: Any) -> Any:
    """Return the name in `column COLLATE …`, which is taken for that of the key."""
    inner = element.expr if element.HasField("expr") else None
    if inner is None or inner.WhichOneof("node") != "collate_clause":
        return ()
    return inner.collate_clause.collname


def _what(step: Step, table: Relation, element: Any) -> tuple[str | None, str | None, str]:
    """Return the column, or the expression, and the type of a key."""
    if element.name:
        name = as_stored(element.name)
        column = table.columns.get(name)
        if column is None:
            if name in SYSTEM_COLUMNS:
                return name, None, SYSTEM_COLUMNS[name]
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        return name, None, column.type
    value = typed(Place(schema=step.schema, table=table, word="index"), element.expr)
    bare = element.expr
    if bare.WhichOneof("node") == "collate_clause":
        bare = bare.collate_clause.arg
    if bare.WhichOneof("node") == "column_ref" and value.columns:
        return value.columns[0], None, value.type
    if value.settled() != "i":
        step.refuse("42P17", "not-immutable", relation=table.name)
    # The collation is the key's, not the expression's.
    return None, deparse(bare), value.type


def _class(step: Step, table: Relation, element: Any, method: str, type_: str) -> Any:
    if element.opclassopts:
        step.refuse("22023", "class-option", relation=table.name, certain=False)
    if not element.opclass:
        if default_class(step.schema, method, type_) is None:
            step.refuse("42704", "no-operator-class", relation=table.name, name=type_)
        return None
    parts = [as_stored(each.string.sval) for each in element.opclass]
    if len(parts) > 1 and parts[0] not in ("pg_catalog", *step.schema.schemas):
        step.refuse("3F000", "missing-schema", name=parts[0])
    found = named_class(step.schema, method, parts, type_)
    if found is None:
        step.refuse("42704", "missing-operator-class", relation=table.name, name=parts[-1])
    if isinstance(found, str):
        step.refuse("42804", "class-of-another-type", relation=table.name, name=parts[-1])
    return None if found.default else found.name


def _order(step: Step, element: Any, method: str) -> tuple[bool, bool]:
    order, nulls = label(element, "ordering"), label(element, "nulls_ordering")
    if not METHODS[method].ordered:
        if order != "SORTBY_DEFAULT" or nulls != "SORTBY_NULLS_DEFAULT":
            step.refuse("0A000", "order-not-supported")
        return False, False
    descending = order == "SORTBY_DESC"
    if nulls == "SORTBY_NULLS_DEFAULT":
        return descending, descending
    return descending, nulls == "SORTBY_NULLS_FIRST"


def predicate_of(step: Step, table: Relation, node: Any) -> str:
    """Return the condition of a partial index."""
    condition(Place(schema=step.schema, table=table, word="predicate"), node)
    return deparse(node)


def predicate_is_immutable(step: Step, table: Relation, node: Any) -> None:
    """Refuse a condition that may change (CheckPredicate)."""
    value = condition(Place(schema=step.schema, table=table, word="predicate"), node)
    if value.settled() != "i":
        step.refuse("42P17", "not-immutable", relation=table.name)


def included(step: Step, table: Relation, elements: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns that an index carries besides its keys."""
    found = []
    for each in elements:
        if each.HasField("expr"):
            step.refuse("0A000", "expression-included", relation=table.name)
        name = as_stored(each.name)
        if name not in table.columns and name not in SYSTEM_COLUMNS:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        found.append(name)
    return tuple(found)


def require_stored(step: Step, table: Relation, elements: Sequence[Any], where: Any) -> None:
    """Refuse columns that are not in the rows: those of the system, and virtual ones.

    When all else is said (DefineIndex). `elements` are those carried along too.
    """
    place = Place(schema=step.schema, table=table, word="index")
    bare = [as_stored(each.name) for each in elements if each.name]
    nodes = [each.expr for each in elements if each.HasField("expr")]
    within = [name for node in nodes for name in typed(place, node).columns]
    if where is not None:
        within += typed(place, where).columns
    for name in (*bare, *within):
        if name in SYSTEM_COLUMNS:
            step.refuse("0A000", "system-column", relation=table.name, column=name)
        if table.columns[name].generated == "v":
            step.refuse("0A000", "virtual-column", relation=table.name, column=name)
