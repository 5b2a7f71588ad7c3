"""What PostgreSQL calls an expression: the column of a result, and of an index on it."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.nodes import label

# How good a name is: a better one of what is inside is preferred (FigureColnameInternal).
NONE, WEAK, STRONG = 0, 1, 2
BY_KIND = {"a_array_expr": "array", "row_expr": "row", "coalesce_expr": "coalesce"}


def shown_name(node: Any) -> str | None:
    """Return the name of an expression; None where it has none, and is called ?column? or expr."""
    return _named(node)[1]


def _named(node: Any) -> tuple[int, str | None]:
    kind = node.WhichOneof("node")
    if kind in BY_KIND:
        return STRONG, BY_KIND[kind]
    rule = RULES.get(kind)
    return (NONE, None) if rule is None else rule(getattr(node, kind))


def _column(node: Any) -> tuple[int, str | None]:
    names = [each.string.sval for each in node.fields if each.WhichOneof("node") == "string"]
    return (STRONG, as_stored(names[-1])) if names else (NONE, None)


def _call(node: Any) -> tuple[int, str | None]:
    return STRONG, as_stored(node.funcname[-1].string.sval)


def _operator(node: Any) -> tuple[int, str | None]:
    return (STRONG, "nullif") if label(node, "kind") == "AEXPR_NULLIF" else (NONE, None)


def _cast(node: Any) -> tuple[int, str | None]:
    strength, name = _named(node.arg)
    if strength > WEAK:
        return strength, name
    return WEAK, as_stored(node.type_name.names[-1].string.sval)


def _case(node: Any) -> tuple[int, str | None]:
    strength, name = _named(node.defresult)
    return (strength, name) if strength > WEAK else (WEAK, "case")


def _extreme(node: Any) -> tuple[int, str | None]:
    return STRONG, "greatest" if label(node, "op") == "IS_GREATEST" else "least"


def _value(node: Any) -> tuple[int, str | None]:
    return STRONG, label(node, "op").removeprefix("SVFOP_").removesuffix("_N").lower()


def _part(node: Any) -> tuple[int, str | None]:
    names = [each.string.sval for each in node.indirection if each.WhichOneof("node") == "string"]
    return (STRONG, as_stored(names[-1])) if names else _named(node.arg)


RULES = {
    "column_ref": _column,
    "func_call": _call,
    "a_expr": _operator,
    "type_cast": _cast,
    "collate_clause": lambda node: _named(node.arg),
    "case_expr": _case,
    "min_max_expr": _extreme,
    "sqlvalue_function": _value,
    "a_indirection": _part,
}
