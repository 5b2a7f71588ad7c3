"""Expressions that have an answer for every row: those that only compare, and test for NULL."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.expressions import nodes_of, without_casts
from opsmigrate.sql.nodes import label

FUNCTIONS = frozenset({"length", "lower", "upper"})
COMPARING = frozenset({"<", "<=", "<>", "=", ">", ">=", "!~~", "~~"})
# As the grammar calls the types that every value can become.
ANYTHINGS_TYPES = frozenset({"text", "varchar"})
HARMLESS = frozenset({
    "A_Const", "BoolExpr", "Boolean", "BooleanTest", "CoalesceExpr", "CollateClause", "ColumnRef",
    "Float", "Integer", "List", "Node", "NullTest", "ParamRef", "ResTarget", "String", "TypeName",
})  # fmt: skip
KINDS = frozenset({"AEXPR_BETWEEN", "AEXPR_IN", "AEXPR_LIKE", "AEXPR_NOT_BETWEEN", "AEXPR_OP"})


def cannot_fail(expressions: str) -> bool:
    """Return whether no row makes it fail; of what cannot be read, or is not known, it may."""
    found = nodes_of(expressions)
    return found is not None and all(map(_is_harmless, found))


def _is_harmless(node: Any) -> bool:
    kind = node.DESCRIPTOR.name
    rule = RULES.get(kind)
    return kind in HARMLESS if rule is None else rule(node)


def _compares(node: Any) -> bool:
    kind, name = label(node, "kind"), node.name[-1].string.sval
    if kind not in KINDS or not (name in COMPARING or name.startswith(("BETWEEN", "NOT BETWEEN"))):
        return False
    # A pattern must not end with an escape character (SQLSTATE 22025).
    return "~~" not in name or _is_whole(node.rexpr)


def _is_whole(pattern: Any) -> bool:
    node = without_casts(pattern)
    literal = node.WhichOneof("node") == "a_const" and node.a_const.WhichOneof("val") == "sval"
    return literal and not node.a_const.sval.sval.endswith("\\")


def _calls(node: Any) -> bool:
    names = [as_stored(each.string.sval) for each in node.funcname]
    return names[-1] in FUNCTIONS and names[:-1] in ([], ["pg_catalog"])


def _casts(node: Any) -> bool:
    """Return whether each value can be cast; of a literal, it is known before the rows are read."""
    literal = without_casts(node.arg).WhichOneof("node") in ("a_const", "param_ref")
    return literal or node.type_name.names[-1].string.sval in ANYTHINGS_TYPES


RULES = {"A_Expr": _compares, "FuncCall": _calls, "TypeCast": _casts}
