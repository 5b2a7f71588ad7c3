"""Whether an expression has a value whatever the rows hold: no NULL can come of it."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from opsmigrate.sql.nodes import label

# Functions of pg_catalog without a NULL among their results, given values that are none.
FUNCTIONS = frozenset({
    "now", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "timeofday",
    "gen_random_uuid", "uuidv4", "uuidv7", "random", "nextval", "pi", "txid_current",
    "pg_backend_pid", "version", "lower", "upper", "md5", "length", "btrim", "replace", "abs",
    "floor", "ceil", "round", "timezone", "jsonb_build_object", "json_build_object",
    "jsonb_build_array", "json_build_array",
})  # fmt: skip
OPERATORS = frozenset({"+", "-", "*", "/", "||"})
# CURRENT_SCHEMA may be none, as the search_path is.
NULLABLE_WORDS = frozenset({"SVFOP_CURRENT_SCHEMA"})
# As of PostgreSQL 18 JSON's null becomes NULL in a cast to a number.
JSON = frozenset({"json", "jsonb"})


def never_null(node: Any, others: Container[str] = ()) -> bool:
    """Return whether an expression never gives NULL, False where that is not known.

    `others` are the names of functions and operators that are not only PostgreSQL's.
    """
    kind = node.WhichOneof("node")
    inner = getattr(node, kind)
    if kind == "a_const":
        return not inner.isnull
    if kind == "type_cast":
        return never_null(inner.arg, others) and not _is_json(inner.arg)
    if kind == "collate_clause":
        return never_null(inner.arg, others)
    if kind == "sqlvalue_function":
        return label(inner, "op") not in NULLABLE_WORDS
    if kind == "coalesce_expr":
        return any(never_null(each, others) for each in inner.args)
    if kind == "func_call":
        known = _is_known(inner.funcname, FUNCTIONS, others)
        return known and all(never_null(each, others) for each in inner.args)
    if kind == "a_expr" and label(inner, "kind") == "AEXPR_OP":
        operands = [inner.lexpr] if inner.HasField("lexpr") else []
        known = _is_known(inner.name, OPERATORS, others)
        return known and all(never_null(each, others) for each in (*operands, inner.rexpr))
    return bool(kind in ("a_array_expr", "null_test"))


def _is_known(name: Any, known: Container[str], others: Container[str]) -> bool:
    last = str(name[-1].string.sval)
    own = len(name) > 1 and name[0].string.sval != "pg_catalog"
    return last in known and last not in others and not own


def _is_json(node: Any) -> bool:
    cast = node.WhichOneof("node") == "type_cast"
    return cast and node.type_cast.type_name.names[-1].string.sval in JSON
