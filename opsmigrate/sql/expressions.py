"""What an expression uses, and whether two mean the same: by their trees, never by their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.grammar import deparse, parse_expression
from opsmigrate.sql.nodes import label
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import NotParsedError

__all__ = [
    "Call",
    "columns_used",
    "columns_used_by",
    "constant_of",
    "deparse",
    "functions_called",
    "functions_named_in",
    "is_constant",
    "nodes_of",
    "not_null_columns",
    "other_numbers",
    "parse_expression",
    "references",
    "same_expression",
    "same_tree",
    "types_named_in",
    "without_casts",
]

# What says how a node was written, not what it means.
INCIDENTAL = frozenset({
    "location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end", "funcformat",
    "coercionform", "typmod", "row_format", "stmt_location", "stmt_len",
})  # fmt: skip
# Words of the grammar, and the operators that PostgreSQL makes of them (parse_expr.c).
PATTERNS = {"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"}
BETWEEN = {
    "AEXPR_BETWEEN": ("AND_EXPR", ">=", "<="),
    "AEXPR_NOT_BETWEEN": ("OR_EXPR", "<", ">"),
}


class Call(NamedTuple):
    """A function that an expression calls, and with how many arguments."""

    schema: str | None
    name: str
    arguments: int


def nodes_in(node: Any) -> Iterator[Any]:
    """Yield every message within a node, itself first, in the order in which they are written.

    Order of fields is order of writing, but for what has operators between its operands.
    """
    yield node
    for descriptor, value in node.ListFields():
        if descriptor.message_type is None:
            continue
        for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
            yield from nodes_in(each)


def references(node: Any) -> tuple[tuple[str, ...], ...]:
    """Return the names of columns as they are written, with their tables, in order; "*" for all."""
    return tuple(
        tuple(
            "*" if field.WhichOneof("node") == "a_star" else as_stored(field.string.sval)
            for field in each.fields
        )
        for each in nodes_in(node)
        if each.DESCRIPTOR.name == "ColumnRef"
    )


def columns_used(node: Any) -> tuple[str, ...]:
    """Return the columns that an expression on one table names, in the order of first mention.

    "*" stands for the whole row. A column may also be the name of the table, which is the whole
    row too: the caller knows its columns.
    """
    return tuple(dict.fromkeys(each[-1] for each in references(node)))


@lru_cache(maxsize=4096)
def columns_used_by(expression: str) -> tuple[str, ...]:
    """Return the columns that an expression's SQL names, as columns_used() does."""
    return columns_used(parse_expression(expression))


def functions_called(node: Any) -> tuple[Call, ...]:
    """Return the functions that are called by name, in order; operators are none."""
    return tuple(_call(each) for each in nodes_in(node) if each.DESCRIPTOR.name == "FuncCall")


def _call(node: Any) -> Call:
    return Call(*_two([each.string.sval for each in node.funcname]), len(node.args))


def _two(parts: list[str]) -> tuple[str | None, str]:
    stored = [as_stored(part) for part in parts]
    return (stored[-2] if len(stored) > 1 else None), stored[-1]


def nodes_of(expressions: str) -> tuple[Any, ...] | None:
    """Return all messages within expressions with commas between them, None where unreadable.

    They are shared by all who ask, and so must not be changed.
    """
    found = statements_if_readable(f"SELECT {expressions}")
    if found is None or len(found) != 1:
        return None
    return tuple(each for target in found[0].node.target_list for each in nodes_in(target))


def functions_named_in(expressions: str) -> tuple[str, ...] | None:
    """Return the names of the functions that are called, each once; None where unreadable."""
    found = nodes_of(expressions)
    if found is None:
        return None
    calls = (_call(each) for each in found if each.DESCRIPTOR.name == "FuncCall")
    return tuple(dict.fromkeys(call.name for call in calls))


def operators_named_in(expressions: str) -> tuple[str, ...] | None:
    """Return the operators, without their schemas, each once; None where unreadable."""
    found = nodes_of(expressions)
    if found is None:
        return None
    named = (each.name[-1].string.sval for each in found if each.DESCRIPTOR.name == "A_Expr")
    return tuple(dict.fromkeys(named))


def types_named_in(expressions: str) -> tuple[str, ...] | None:
    """Return the types that are cast to, without their schemas; None where unreadable."""
    found = nodes_of(expressions)
    if found is None:
        return None
    named = (each.names[-1].string.sval for each in found if each.DESCRIPTOR.name == "TypeName")
    return tuple(dict.fromkeys(named))


def is_constant(node: Any) -> bool:
    """Return whether nothing has to be computed but casts: a literal, NULL, an array of such."""
    bare = without_casts(node)
    kind = bare.WhichOneof("node")
    if kind == "a_array_expr":
        return all(map(is_constant, bare.a_array_expr.elements))
    return bool(kind == "a_const")


def constant_of(node: Any) -> str | None:
    """Return the text of a literal, whatever its casts; None for NULL and for anything else."""
    bare = without_casts(node)
    if bare.WhichOneof("node") != "a_const" or bare.a_const.isnull:
        return None
    return _constant(bare.a_const)[1]


def without_casts(node: Any) -> Any:
    """Return the node under the casts and collations around it."""
    while (kind := node.WhichOneof("node")) in ("type_cast", "collate_clause"):
        node = getattr(node, kind).arg
    return node


def not_null_columns(node: Any) -> frozenset[str]:
    """Return the columns of which a condition that holds, or is NULL, proves that they have values.

    `x > 0` proves nothing: with NULL it is NULL, and a CHECK passes it. What is proved by AND and
    OR is proved for ALTER COLUMN … SET NOT NULL too (ConstraintImpliedByRelConstraint).
    """
    return _has_value(node, negated=False)


def _has_value(node: Any, *, negated: bool) -> frozenset[str]:
    kind = node.WhichOneof("node")
    if kind == "null_test":
        proves = label(node.null_test, "nulltesttype") == ("IS_NULL" if negated else "IS_NOT_NULL")
        column = node.null_test.arg
        if proves and column.WhichOneof("node") == "column_ref":
            return frozenset(columns_used(column))
        return frozenset()
    if kind != "bool_expr":
        return frozenset()
    word = label(node.bool_expr, "boolop")
    if word == "NOT_EXPR":
        return _has_value(node.bool_expr.args[0], negated=not negated)
    first, *others = (_has_value(each, negated=negated) for each in node.bool_expr.args)
    every = (word == "AND_EXPR") != negated
    return first.union(*others) if every else first.intersection(*others)


def same_expression(one: str | None, other: str | None) -> bool:
    """Return whether two expressions have the same tree, but for casts, brackets and schemas.

    One may be written by hand and the other by pg_get_expr(): IN is = ANY, BETWEEN is two
    comparisons, LIKE is ~~, and CASE without ELSE has ELSE NULL. False says that they may differ:
    `'1 day'` and `'24:00'` do.
    """
    if one == other or one is None or other is None:
        return one == other
    try:
        return bool(_normal_form(one) == _normal_form(other))
    except NotParsedError:
        return False


def other_numbers(one: str, other: str) -> list[bool]:
    """Return of each number that two expressions write otherwise whether its value is another, too.

    Nothing where they are the same, or differ in something else.
    """
    try:
        pairs = list(_leaves(_normal_form(one), _normal_form(other)))
    except NotParsedError:
        return []
    numbers = [pair for pair in pairs if all(map(_is_number, pair))]
    if any(pair[0] != pair[1] for pair in pairs if not all(map(_is_number, pair))):
        return []
    return [first != second for first, second in numbers if first.text != second.text]


def _leaves(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what stands in the same place of two forms."""
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for pair in zip(one, other, strict=True):
            yield from _leaves(*pair)
    else:
        yield one, other


def _is_number(form: Any) -> bool:
    return isinstance(form, _Constant) and form.kind == "number"


def same_tree(one: Any, other: Any) -> bool:
    """Return whether two nodes, of anything, are the same as same_expression() takes it."""
    return bool(_form(one) == _form(other))


@lru_cache(maxsize=8192)
def _normal_form(expression: str) -> Any:
    return _form(parse_expression(expression))


class _Constant:
    """A literal, equal to one with the same text, or the same number where one of them is one."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Constant):
            return False
        if self.text == other.text or "number" not in (self.kind, other.kind):
            return self.text == other.text
        try:
            return Decimal(self.text) == Decimal(other.text)
        except InvalidOperation:
            return False

    __hash__ = None  # type: ignore[assignment]


def _constant(node: Any) -> tuple[str, str]:
    kind = node.WhichOneof("val")
    if kind == "ival":
        return "number", str(node.ival.ival)
    if kind == "fval":
        return "number", str(node.fval.fval)
    if kind == "boolval":
        return "text", "true" if node.boolval.boolval else "false"
    if kind == "sval":
        return "text", str(node.sval.sval)
    return "bits", str(node.bsval.bsval)


NULL = ("null",)


def _form(node: Any) -> Any:
    """Return a node as tuples in which what is incidental is left out."""
    if node.DESCRIPTOR.name == "Node":
        kind = node.WhichOneof("node")
        return _form(getattr(node, kind)) if kind else None
    rule: Callable[[Any], Any] | None = FORMS.get(node.DESCRIPTOR.name)
    if rule is not None:
        return rule(node)
    return (
        node.DESCRIPTOR.name,
        *(
            (descriptor.name, _value(value))
            for descriptor, value in node.ListFields()
            if descriptor.name not in INCIDENTAL
        ),
    )


def _value(value: Any) -> Any:
    if hasattr(value, "DESCRIPTOR"):
        return _form(value)
    return value if isinstance(value, str | int | bool | float) else _forms(value)


def _forms(nodes: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(_value(each) for each in nodes)


def _of_constant(node: Any) -> Any:
    return NULL if node.isnull else _Constant(*_constant(node))


def _of_column(node: Any) -> Any:
    return ("column", _last(node.fields))


def _last(names: Any) -> str:
    return as_stored(names[-1].string.sval) if names[-1].WhichOneof("node") == "string" else "*"


def _of_call(node: Any) -> Any:
    rest = [
        (name, _value(getattr(node, name)))
        for name in ("args", "agg_order", "agg_filter", "over", "agg_distinct", "agg_star")
    ]
    return ("call", _last(node.funcname), *rest)


def _of_operator(node: Any) -> Any:
    kind, name = label(node, "kind"), _last(node.name)
    left = _form(node.lexpr) if node.HasField("lexpr") else None
    if kind in BETWEEN:
        word, low, high = BETWEEN[kind]
        first, last = (_form(each) for each in node.rexpr.list.items)
        return _joined(word, [("operator", low, left, first), ("operator", high, left, last)])
    if kind == "AEXPR_IN":
        return _in(left, name, node.rexpr.list.items)
    right = _form(node.rexpr) if node.HasField("rexpr") else None
    if kind in PATTERNS or kind == "AEXPR_OP":
        return ("operator", name, left, right)
    return (kind, name, left, right)


def _in(left: Any, name: str, items: Any) -> Any:
    every = [_form(each) for each in items]
    if len(every) == 1:
        return ("operator", name, left, every[0])
    kind = "AEXPR_OP_ANY" if name == "=" else "AEXPR_OP_ALL"
    return (kind, name, left, ("array", tuple(every)))


def _of_boolean(node: Any) -> Any:
    return _joined(label(node, "boolop"), [_form(each) for each in node.args])


def _joined(word: str, parts: list[Any]) -> Any:
    """Return what AND and OR join, flat: `a AND (b AND c)` is `a AND b AND c`."""
    found: list[Any] = []
    for part in parts:
        same = word != "NOT_EXPR" and isinstance(part, tuple) and part[:1] == (word,)
        found += part[1:] if same else [part]
    return (word, *found)


def _of_case(node: Any) -> Any:
    last = _form(node.defresult) if node.HasField("defresult") else NULL
    return ("case", _form(node.arg) if node.HasField("arg") else None, _forms(node.args), last)


# Message -> what it is in a normal form; any other is itself, field by field.
FORMS: dict[str, Callable[[Any], Any]] = {
    "A_Const": _of_constant,
    "A_Expr": _of_operator,
    "A_ArrayExpr": lambda node: ("array", _forms(node.elements)),
    "BoolExpr": _of_boolean,
    "CaseExpr": _of_case,
    "CollateClause": lambda node: ("collate", _form(node.arg), _last(node.collname)),
    "ColumnRef": _of_column,
    "FuncCall": _of_call,
    "TypeCast": lambda node: _form(node.arg),
}
