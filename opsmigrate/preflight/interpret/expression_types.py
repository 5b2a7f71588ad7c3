"""The type of an expression on one table, and what the server refuses in it.

What is not understood has no type: its statement ends as unknown rather than be judged wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import WITH_SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.coercion import (
    POLYMORPHIC,
    UNKNOWN,
    base_type,
    facts_of,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import find_type, visible_type
from opsmigrate.preflight.interpret.overloads import chosen
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.system import Callee
from opsmigrate.preflight.interpret.typed_values import (
    Place,
    Typed,
    coerced,
    common_type,
    joined,
    refuse,
)
from opsmigrate.sql.nodes import label
from opsmigrate.sql.types import KNOWN, element_type, without_modifier

__all__ = ["Place", "Typed", "coerced", "common_type", "condition", "joined", "refuse", "typed"]

SYSTEM_COLUMNS = {
    "tableoid": "oid",
    "ctid": "tid",
    "xmin": "xid",
    "xmax": "xid",
    "cmin": "cid",
    "cmax": "cid",
}
VALUE_FUNCTIONS = {
    "SVFOP_CURRENT_DATE": "date",
    "SVFOP_CURRENT_TIME": "time with time zone",
    "SVFOP_CURRENT_TIME_N": "time with time zone",
    "SVFOP_CURRENT_TIMESTAMP": "timestamp with time zone",
    "SVFOP_CURRENT_TIMESTAMP_N": "timestamp with time zone",
    "SVFOP_LOCALTIME": "time without time zone",
    "SVFOP_LOCALTIME_N": "time without time zone",
    "SVFOP_LOCALTIMESTAMP": "timestamp without time zone",
    "SVFOP_LOCALTIMESTAMP_N": "timestamp without time zone",
}
# Where an expression may name tableoid alone (scanNSItemForColumn).
NO_SYSTEM_COLUMNS = ("check", "generated")
LONGEST_INTEGER = 2**31 - 1


def typed(place: Place, node: Any) -> Typed:
    """Return the type of an expression; raise RefusedError as the server, or UnknownError."""
    kind = node.WhichOneof("node")
    rule = RULES.get(kind)
    if rule is None:
        raise UnknownError(f"{kind} in an expression")
    return rule(place, getattr(node, kind))


def _constant(place: Place, node: Any) -> Typed:
    if node.isnull:
        return Typed(type=UNKNOWN, constant=True, null=True)
    kind = node.WhichOneof("val")
    if kind == "sval":
        return Typed(type=UNKNOWN, constant=True, text=node.sval.sval)
    if kind == "boolval":
        return Typed(type="boolean", constant=True)
    if kind == "ival":
        return Typed(type="integer", constant=True, text=str(node.ival.ival))
    if kind == "bsval":
        return Typed(type="bit", constant=True)
    text = str(node.fval.fval)
    if text.isdigit() and int(text) < 2**63:
        return Typed(type="bigint", constant=True, text=text)
    return Typed(type="numeric", constant=True, text=text)


def _parameter(place: Place, node: Any) -> Typed:
    """Return what stands for a value that is not told: of a default, one that suits its column."""
    if place.word != "default":
        raise UnknownError("a parameter in an expression")
    return Typed(type=UNKNOWN, constant=True)


def _column(place: Place, node: Any) -> Typed:
    if any(each.WhichOneof("node") != "string" for each in node.fields):
        raise UnknownError("a whole row in an expression")
    names = [as_stored(each.string.sval) for each in node.fields]
    table = place.table
    if table is None:
        # A DEFAULT names no column, not even one that there is not (transformColumnRef).
        raise refuse("0A000", "column-in-default", column=names[-1])
    if (len(names) == 2 and names[0] != table.name.name) or len(names) > 2:
        if len(names) == 2:
            raise refuse("42P01", "missing-table", name=names[0])
        raise UnknownError("a column with its schema")
    name = names[-1]
    column = table.columns.get(name)
    if column is not None:
        return Typed(type=column.type, columns=(name,))
    if name in SYSTEM_COLUMNS and table.kind in WITH_SYSTEM_COLUMNS:
        if name != "tableoid" and place.word in NO_SYSTEM_COLUMNS:
            raise refuse("42P10", "system-column", column=name)
        return Typed(type=SYSTEM_COLUMNS[name], columns=(name,))
    if name == table.name.name:
        raise UnknownError("a whole row in an expression")
    raise refuse("42703", "missing-column", relation=table.name, column=name)


def _cast(place: Place, node: Any) -> Typed:
    empty = node.arg.WhichOneof("node") == "a_array_expr" and not node.arg.a_array_expr.elements
    value = Typed(type=UNKNOWN, constant=True) if empty else typed(place, node.arg)
    target = find_type(place.schema, node.type_name)
    found = coerced(place, value, target, "e")
    if found is None:
        raise refuse("42846", "no-cast", name=f"{value.type} to {target}")
    return found


def _boolean(place: Place, node: Any) -> Typed:
    return joined([_condition(place, each) for each in node.args], "boolean")


def _condition(place: Place, node: Any) -> Typed:
    value = typed(place, node)
    found = coerced(place, value, "boolean", "a")
    if found is None:
        raise refuse("42804", "not-boolean")
    return found


condition = _condition


def _null_test(place: Place, node: Any) -> Typed:
    return joined([typed(place, node.arg)], "boolean")


def _boolean_test(place: Place, node: Any) -> Typed:
    return joined([_condition(place, node.arg)], "boolean")


def _operator(place: Place, node: Any) -> Typed:
    kind = label(node, "kind")
    if kind in ("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"):
        low, high = node.rexpr.list.items
        names = (">=", "<=") if kind == "AEXPR_BETWEEN" else ("<", ">")
        left = typed(place, node.lexpr)
        parts = [
            _operated(place, name, [left, typed(place, each)])
            for name, each in zip(names, (low, high), strict=True)
        ]
        return joined(parts, "boolean")
    name = as_stored(node.name[-1].string.sval)
    if len(node.name) > 1:
        raise UnknownError("an operator with its schema")
    if kind == "AEXPR_IN":
        return _in(place, name, typed(place, node.lexpr), node.rexpr.list.items)
    if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL"):
        return _any(place, name, node)
    if kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF"):
        parts = [typed(place, node.lexpr), typed(place, node.rexpr)]
        compared = _operated(place, "=", parts)
        return joined(parts, parts[0].type) if kind == "AEXPR_NULLIF" else compared
    parts = [
        typed(place, getattr(node, side)) for side in ("lexpr", "rexpr") if node.HasField(side)
    ]
    return _operated(place, name, parts)


def _in(place: Place, name: str, left: Typed, items: Sequence[Any]) -> Typed:
    parts = [typed(place, each) for each in items]
    if len(parts) > 1:
        shown = common_type(place, [left, *parts])
        if shown is not None:
            parts = [coerced(place, each, shown, "i") or each for each in parts]
    return joined([_operated(place, name, [left, each]) for each in parts], "boolean")


def _any(place: Place, name: str, node: Any) -> Typed:
    left, right = typed(place, node.lexpr), typed(place, node.rexpr)
    element = element_type(base_type(place.schema, right.type))
    if element is None and right.type != UNKNOWN:
        raise refuse("42809", "not-an-array")
    # A literal has to be an array, also beside another literal.
    coerced(place, right, f"{without_modifier(left.type)}[]", "i")
    one = Typed(type=element or UNKNOWN, volatility=right.volatility)
    return joined([_operated(place, name, [left, one]), right, left], "boolean")


def _operated(place: Place, name: str, parts: Sequence[Typed]) -> Typed:
    schema = place.schema
    visible = ("pg_catalog", *schema.search_path)
    callees = [each for each in schema.system.operators.get(name, ()) if each.schema in visible]
    found = chosen(schema, callees, [each.type for each in parts])
    if not found:
        if any("range" in each.type for each in parts):
            raise UnknownError("the operators of ranges")
        raise refuse("42883", "missing-operator", name=name)
    if len(found) > 1 and name == "||":
        # Of an array and a literal, polymorphic operators that the literal chooses from.
        raise UnknownError("which operator || is")
    if len(found) > 1:
        raise refuse("42725", "ambiguous-operator", name=name)
    value = _called(place, found[0], parts)
    # Of text and something else, it is a function in SQL.
    in_sql = name == "||" and found[0].volatility == "s"
    return replace(value, unclear=True) if in_sql else value


def _called(place: Place, callee: Callee, parts: Sequence[Typed]) -> Typed:
    pairs = [*zip(callee.arguments, parts, strict=True)]
    if {one.type for taken, one in pairs if taken in POLYMORPHIC and taken != '"any"'} == {UNKNOWN}:
        raise UnknownError("a polymorphic result")
    for taken, part in pairs:
        if taken not in POLYMORPHIC:
            coerced(place, part, taken, "i")
        elif part.type == UNKNOWN and taken in ("anyenum", "anyarray", "anycompatiblearray"):
            known = [each.type for each in parts if each.type != UNKNOWN]
            shown = known[0] if known else taken
            if (
                taken != "anyenum"
                and known
                and element_type(base_type(place.schema, shown)) is None
            ):
                shown = f"{without_modifier(shown)}[]"
            coerced(place, part, shown, "i")
    result = _result(place, callee, parts)
    return joined(parts, result, callee.volatility)


def _result(place: Place, callee: Callee, parts: Sequence[Typed]) -> str:
    if callee.result not in POLYMORPHIC:
        return callee.result
    given = [
        (taken, base_type(place.schema, part.type))
        for taken, part in zip(callee.arguments, parts, strict=True)
        if taken in POLYMORPHIC and part.type != UNKNOWN
    ]
    taken, shown = given[0]
    if len({each for _, each in given}) > 1 or "range" in callee.result + taken:
        raise UnknownError("a polymorphic result")
    array = element_type(shown) is not None and "array" in taken
    wants = "array" in callee.result and "nonarray" not in callee.result
    if array and not wants:
        return element_type(shown) or shown
    return f"{shown}[]" if wants and not array else shown


def _common(place: Place, nodes: Sequence[Any]) -> Typed:
    parts = [typed(place, each) for each in nodes]
    shown = common_type(place, parts)
    if shown is None:
        raise refuse("42804", "no-common-type")
    for each in parts:
        coerced(place, each, shown, "i")
    return joined(parts, shown)


def _case(place: Place, node: Any) -> Typed:
    if node.HasField("arg"):
        tested = typed(place, node.arg)
        conditions = [
            _operated(place, "=", [tested, typed(place, each.case_when.expr)]) for each in node.args
        ]
    else:
        conditions = [_condition(place, each.case_when.expr) for each in node.args]
    results = [each.case_when.result for each in node.args]
    # ELSE comes first where the type is chosen (transformCaseExpr).
    value = _common(place, ([node.defresult] if node.HasField("defresult") else []) + results)
    return joined([*conditions, value], value.type)


def _call(place: Place, node: Any) -> Typed:
    names = [as_stored(each.string.sval) for each in node.funcname]
    plain = not (node.agg_star or node.agg_distinct or node.func_variadic or node.HasField("over"))
    if not plain or node.agg_order or node.HasField("agg_filter"):
        raise UnknownError(f"the call of {names[-1]}")
    parts = [typed(place, each) for each in node.args]
    if len(names) > 1 and names[-2] not in ("pg_catalog", *place.schema.schemas):
        raise refuse("3F000", "missing-schema", name=names[-2])
    callees = _callees(place.schema, names)
    found = chosen(place.schema, callees, [each.type for each in parts])
    if not found:
        # A cast that is written as a call, or a name of PostgreSQL's that was not read.
        if _may_be_a_cast(place.schema, names[-1], parts):
            raise UnknownError(f"the function {names[-1]}")
        raise refuse("42883", "missing-function", name=names[-1])
    if len(found) > 1:
        raise refuse("42725", "ambiguous-function", name=names[-1])
    [callee] = found
    if callee.kind != "f":
        wrong = {"a": "42803", "w": "42809", "p": "42809"}[callee.kind]
        raise refuse(wrong, "not-a-plain-function", name=names[-1])
    if callee.set_returning:
        raise refuse("0A000", "set-returning", name=names[-1])
    value = _called(place, callee, parts)
    return Typed(
        type=value.type,
        volatility=value.volatility,
        columns=value.columns,
        calls=(*value.calls, names[-1]),
        unclear=value.unclear or callee.in_sql,
    )


def _may_be_a_cast(schema: Schema, name: str, parts: Sequence[Typed]) -> bool:
    """Return whether what is called may be a type, or a column of a row."""
    if len(parts) != 1:
        return False
    facts = facts_of(schema, base_type(schema, parts[0].type))
    is_type = name in KNOWN or visible_type(schema, None, name) is not None
    return is_type or facts is None or facts.kind == "c"


def _callees(schema: Schema, names: Sequence[str]) -> list[Callee]:
    name = names[-1]
    found: list[Callee] = []
    if len(names) == 1 or names[0] == "pg_catalog":
        found += schema.system.functions.get(name, ())
    path = (names[0],) if len(names) > 1 else schema.search_path
    for signature, each in schema.functions.items():
        if signature.name.name == name and signature.name.schema in path:
            if each.kind != "f" or not each.plain:
                raise UnknownError(f"the function {name}")
            found.append(
                Callee(
                    signature.arguments,
                    each.returns,
                    each.volatility,
                    schema=signature.name.schema,
                    in_sql=each.language == "sql",
                )
            )
    return found


def _value_function(place: Place, node: Any) -> Typed:
    return Typed(type=VALUE_FUNCTIONS.get(label(node, "op"), "name"), volatility="s")


def _array(place: Place, node: Any) -> Typed:
    if not node.elements:
        raise refuse("42P18", "type-not-determined")
    value = _common(place, node.elements)
    return joined([value], f"{without_modifier(value.type)}[]")


def _collated(place: Place, node: Any) -> Typed:
    value = typed(place, node.arg)
    facts = facts_of(place.schema, value.type)
    if value.type != UNKNOWN and (facts is None or not _has_collation(place.schema, value.type)):
        raise refuse("42804", "not-collatable")
    return value


def _has_collation(schema: Schema, shown: str) -> bool:
    base = base_type(schema, shown)
    base = element_type(base) or base
    return base in ("text", "character varying", "character", "name", "citext")


def _subquery(place: Place, node: Any) -> Typed:
    raise refuse("0A000", "subquery")


Rule = Callable[[Place, Any], Typed]
RULES: Mapping[str, Rule] = {
    "a_const": _constant,
    "param_ref": _parameter,
    "column_ref": _column,
    "type_cast": _cast,
    "bool_expr": _boolean,
    "null_test": _null_test,
    "boolean_test": _boolean_test,
    "a_expr": _operator,
    "func_call": _call,
    "case_expr": _case,
    "coalesce_expr": lambda place, node: _common(place, node.args),
    "min_max_expr": lambda place, node: _common(place, node.args),
    "sqlvalue_function": _value_function,
    "a_array_expr": _array,
    "collate_clause": _collated,
    "sub_link": _subquery,
}
