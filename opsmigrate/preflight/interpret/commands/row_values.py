"""The values of an INSERT or UPDATE of one table: whether their columns take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from opsmigrate.preflight.interpret.coercion import how
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, coerced, condition, typed
from opsmigrate.preflight.interpret.queries import is_systems, queried
from opsmigrate.preflight.interpret.query_columns import Query, columns_of
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import nodes_in

# With these in it, names may mean something else than columns of the table.
ELSEWHERE = frozenset({"SubLink", "CurrentOfExpr", "MultiAssignRef", "RowExpr", "CommonTableExpr"})
Pair = tuple[str, Any]


def look_at(step: Step, table: Relation, node: Any, pairs: Sequence[Pair]) -> None:
    """Refuse a value that its column does not take (42804), and what is wrong in WHERE.

    `pairs` are columns and what they are given. Where all was understood, the statement is no
    longer said to be unread.
    """
    if node.relation.alias.aliasname or {"from_clause", "using_clause"} & _filled(node):
        return
    if any(each.DESCRIPTOR.name in ELSEWHERE for each in nodes_in(node)):
        return
    place = Place(schema=step.schema, table=table, word="query")
    try:
        _look(step, place, table, pairs)
        if "where_clause" in _filled(node):
            condition(place, node.where_clause)
    except UnknownError:
        return
    step.effects.unread = False


def look_at_selected(step: Step, table: Relation, given: Sequence[str], query: Any) -> bool:
    """Refuse a column of a query that the column of the table it is for does not take (42804).

    Return whether each is of the very type of the other.
    """
    try:
        found = columns_of(Query(step), query, {})
    except UnknownError:
        return False
    for name, each in zip(given, found, strict=False):
        # What is no column may be taken for what it is assigned to.
        if each.use is None or each.type is None:
            continue
        if how(step.schema, each.type, table.columns[name].type, "a") is None:
            step.refuse("42804", "value-of-another-type", relation=table.name, column=name)
    return all(
        each.type == table.columns[name].type for name, each in zip(given, found, strict=False)
    )


def look_at_condition(step: Step, table: Relation, node: Any) -> None:
    """Refuse what is wrong in a condition on one table; where not all is understood, note that."""
    try:
        condition(Place(schema=step.schema, table=table, word="query"), node)
    except UnknownError:
        step.effects.unread = True


def condition_holds(step: Step, query: Any) -> None:
    """Refuse what is wrong in the WHERE of a query on one table, as far as it is understood."""
    sources = [each.range_var for each in query.from_clause]
    if len(sources) != 1 or not query.HasField("where_clause") or query.HasField("with_clause"):
        return
    [source] = sources
    if not source.relname or source.HasField("alias") or is_systems(source):
        return
    if any(each.DESCRIPTOR.name in ELSEWHERE for each in nodes_in(query.where_clause)):
        return
    table = queried(step, source)
    if table.kind == "S" or "?" in {each.type for each in table.columns.values()}:
        return
    with suppress(UnknownError):
        condition(Place(schema=step.schema, table=table, word="query"), query.where_clause)


def _look(step: Step, place: Place, table: Relation, pairs: Iterable[Pair]) -> None:
    for name, value in pairs:
        if value.WhichOneof("node") == "set_to_default":
            continue
        column = table.columns[name]
        if coerced(place, typed(place, value), column.type, "a") is None:
            step.refuse("42804", "value-of-another-type", relation=table.name, column=name)


def _filled(node: Any) -> set[str]:
    return {field.name for field, _ in node.ListFields()}
