"""Whether all of a query is understood: nothing is left for which the server could refuse it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import RefusedError, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, condition, typed
from opsmigrate.preflight.interpret.index_methods import default_class
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.queries import is_systems
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import nodes_in, references
from opsmigrate.sql.nodes import label

# Of a SelectStmt, what is looked at; with anything else in it, it is not understood.
LOOKED_AT = frozenset({"target_list", "from_clause", "where_clause", "limit_option", "op"})
JOINS = frozenset({"JOIN_INNER", "JOIN_LEFT", "JOIN_RIGHT", "JOIN_FULL"})
# With these in it, names may mean something else than columns of its tables.
ELSEWHERE = frozenset({"SubLink", "RowExpr", "CommonTableExpr"})
# Aggregates, window functions and functions of several rows.
ONLY_IN_QUERIES = ("not-a-plain-function", "set-returning")
Tables = Mapping[str, Relation]


def is_understood(step: Step, query: Any) -> bool:
    """Return whether every name and type in a query was looked at; refuse what is wrong in it.

    Of one table, it may have any expression whose type is told here; of several, columns with
    their tables, and comparisons of two of one type.
    """
    kinds = {each.DESCRIPTOR.name for each in nodes_in(query)}
    if {field.name for field, _ in query.ListFields()} - LOOKED_AT or kinds & ELSEWHERE:
        return False
    tables = _tables(step, query.from_clause)
    conditions = [*_joined_on(query.from_clause)]
    if query.HasField("where_clause"):
        conditions.append(query.where_clause)
    values = [each.res_target.val for each in query.target_list]
    if tables is None or not values:
        return False
    if len(tables) > 1:
        return all(_is_column(tables, each) for each in values) and all(
            _compares(step.schema, tables, each) for each in conditions
        )
    return _of_one_table(step, tables, values, conditions)


def _of_one_table(step: Step, tables: Tables, values: list[Any], conditions: list[Any]) -> bool:
    [(name, table)] = tables.items()
    place = Place(
        schema=step.schema, table=replace(table, name=table.name._replace(name=name)), word="query"
    )
    try:
        for each in values:
            if references(each) not in ((("*",),), ((name, "*"),)):
                typed(place, each)
        for each in conditions:
            condition(place, each)
    except UnknownError:
        return False
    except RefusedError as refused:
        # Of an expression of its own, which a query is not.
        if refused.refusal.kind in ONLY_IN_QUERIES:
            return False
        raise
    return True


def _tables(step: Step, nodes: Iterable[Any]) -> Tables | None:
    """Return the tables by what they are called here; None where that is not all there is."""
    found: dict[str, Relation] = {}
    for node in nodes:
        kind = node.WhichOneof("node")
        if kind == "join_expr":
            join = node.join_expr
            plain = label(join, "jointype") in JOINS and not join.is_natural
            sides = _tables(step, (join.larg, join.rarg)) if plain else None
            if sides is None or join.using_clause or sides.keys() & found.keys():
                return None
            found.update(sides)
            continue
        if kind != "range_var" or is_systems(node.range_var) or node.range_var.alias.colnames:
            return None
        name = as_stored(node.range_var.alias.aliasname or node.range_var.relname)
        table = relation_of(step, node.range_var)
        told = table.kind != "S" and all(each.type != "?" for each in table.columns.values())
        if name in found or not told:
            return None
        found[name] = table
    return found or None


def _joined_on(nodes: Iterable[Any]) -> Iterable[Any]:
    for node in nodes:
        if node.WhichOneof("node") == "join_expr":
            join = node.join_expr
            yield from _joined_on((join.larg, join.rarg))
            if join.HasField("quals"):
                yield join.quals


def _type(tables: Tables, node: Any) -> str | None:
    """Return the type of a column that is named with its table; None for anything else."""
    if node.WhichOneof("node") != "column_ref" or len(parts := references(node)[0]) != 2:
        return None
    table = tables.get(parts[0])
    column = table.columns.get(parts[1]) if table is not None else None
    return column.type if column is not None else None


def _is_column(tables: Tables, node: Any) -> bool:
    return _type(tables, node) is not None


def _compares(schema: Schema, tables: Tables, node: Any) -> bool:
    """Return whether it compares columns of one type, or asks whether they are NULL."""
    if node.WhichOneof("node") == "bool_expr":
        return all(_compares(schema, tables, each) for each in node.bool_expr.args)
    if node.WhichOneof("node") == "null_test":
        return _is_column(tables, node.null_test.arg)
    expression = node.a_expr
    if label(expression, "kind") != "AEXPR_OP" or len(expression.name) != 1:
        return False
    if expression.name[0].string.sval not in ("=", "<>", "<", ">", "<=", ">="):
        return False
    sides = {_type(tables, each) for each in (expression.lexpr, expression.rexpr)}
    return None not in sides and len(sides) == 1 and _is_sorted(schema, sides.pop() or "")


def _is_sorted(schema: Schema, type_: str) -> bool:
    return "." not in type_ and default_class(schema, "btree", type_) is not None
