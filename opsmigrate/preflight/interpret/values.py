"""What the values in the rows may be refused for as they are computed, or put into an index."""

from __future__ import annotations

from collections.abc import Container
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from opsmigrate.preflight.interpret.coercion import (
    UNKNOWN,
    has_domain_constraints,
    user_type_of,
)
from opsmigrate.preflight.interpret.effects import Question
from opsmigrate.preflight.interpret.literals import RANGES, TEXTS
from opsmigrate.preflight.interpret.schema import Column, Index, Relation, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.typed_values import Typed
from opsmigrate.sql.expressions import (
    columns_used,
    columns_used_by,
    constant_of,
    nodes_in,
)
from opsmigrate.sql.grammar import deparse, parse_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.never_null import OPERATORS, never_null
from opsmigrate.sql.types import SYSTEM, without_modifier

# What gives a value, or NULL, for all that it can be given.
TOTAL_OPERATORS = frozenset({
    "=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "||", "->", "->>", "#>", "#>>",
    "@>", "<@", "?", "?|", "?&", "&&", "BETWEEN", "NOT BETWEEN",
})  # fmt: skip
TOTAL_FUNCTIONS = frozenset({
    "lower", "upper", "length", "char_length", "octet_length", "btrim", "ltrim", "rtrim", "md5",
    "concat", "now", "gen_random_uuid", "num_nulls", "num_nonnulls", "starts_with", "uuid_send",
    "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random",
    "uuidv4", "uuidv7", "pi", "txid_current", "pg_backend_pid", "version",
})  # fmt: skip
# Looked at where they are cast.
LITERALS = ("a_const", "a_array_expr")
CASTS_TO_TEXT = frozenset({"text", "varchar", "bpchar"})
# Of any length; a btree takes no key that is longer than a third of a page (BTMaxItemSize).
LONG = frozenset({"text", "character varying", "character", "bytea", "json", "jsonb", "xml"})
LONGEST_OF_SHORT = 600
# A constant of another of these types, of more digits than each of them has, is cast for each row.
NUMBERS = frozenset({"smallint", "integer", "bigint", "real", "double precision", "numeric"})
DIGITS_OF_ALL = 4


WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "real", "double precision"),
    "bigint": ("numeric", "real", "double precision"),
    "real": ("double precision",),
}


def may_fail_to_become(type_: str, wanted: str) -> bool:
    """Return whether some value of one type is none of the other: a number beyond it, for instance.

    Lengths are asked about by themselves.
    """
    if type_ in (wanted, UNKNOWN) or {type_, wanted} <= TEXTS:
        return False
    return wanted not in WIDER.get(type_, ())


def require_number(step: Step, table: Name, column: str, value: Typed, wanted: str) -> None:
    """Refuse a constant that is beyond the type: PostgreSQL computes it, though there be no row."""
    if value.constant and value.text and value.type in NUMBERS and wanted in RANGES:
        number = Decimal(value.text).to_integral_value(ROUND_HALF_UP)
        if not -RANGES[wanted] <= number < RANGES[wanted]:
            step.refuse("22003", "out-of-range", relation=table, column=column)


def ask_expression(step: Step, table: Relation, node: Any) -> None:
    """Note that computing an expression for the rows may raise, as a division does."""
    if table.kind == "r" and may_raise(step.schema, node):
        step.effects.questions.append(
            Question(
                sqlstate="22",
                kind="expression",
                relation=table.name,
                columns=columns_used(node),
                expression=deparse(node),
            )
        )


def ask_domain(step: Step, table: Name, column: Column) -> None:
    """Note that values of a domain have to pass its constraints."""
    if has_domain_constraints(step.schema, column.type):
        for state in ("23502", "23514"):
            step.effects.questions.append(
                Question(sqlstate=state, kind="domain", relation=table, columns=(column.name,))
            )


def ask_length(step: Step, table: Name, column: Column, kind: str = "cast") -> None:
    """Note that values have to fit within something, that of a domain too."""
    if _has_length(step.schema, column.type):
        # Of bits and padded text it is not asked how long they are.
        kind = kind if column.type.startswith(("character varying", "numeric")) else "cast"
        for state in ("22001", "22003", "22026"):
            step.effects.questions.append(Question(sqlstate=state, kind=kind, relation=table))


def _has_length(schema: Schema, type_: str) -> bool:
    domain = user_type_of(schema, type_)
    return "(" in type_ or (domain is not None and _has_length(schema, domain.base or ""))


def has_value(schema: Schema, node: Any) -> bool:
    """Return whether an expression without columns never gives NULL."""
    operators = schema.system.operators
    others = {
        *(each.name.name for each in schema.functions),
        *(each for each in OPERATORS if {one.schema for one in operators.get(each, ())} - {SYSTEM}),
    }
    return never_null(node, others)


def may_raise(schema: Schema, node: Any) -> bool:
    """Return whether computing an expression may raise for some values, or for those in it."""
    own = {each.name.name for each in schema.functions}
    return any(_raises(each, own) for each in nodes_in(node))


def _raises(node: Any, own: Container[str]) -> bool:
    kind = node.DESCRIPTOR.name
    if kind == "FuncCall":
        name = str(node.funcname[-1].string.sval)
        return name not in TOTAL_FUNCTIONS or name in own
    if kind == "A_Expr":
        name = str(node.name[-1].string.sval)
        # A pattern must not end with an escape character (22025).
        return name not in TOTAL_OPERATORS or ("~~" in name and not _is_whole(node.rexpr))
    if kind == "TypeCast" and node.arg.WhichOneof("node") not in LITERALS:
        name = node.type_name.names[-1].string.sval
        return name not in CASTS_TO_TEXT or bool(node.type_name.typmods)
    return False


def _is_whole(pattern: Any) -> bool:
    text = constant_of(pattern)
    return text is not None and not text.endswith("\\")


def computes(schema: Schema, table: Relation, node: Any) -> bool:
    """Return whether a statement computes what may raise and is not in its text.

    That is what columns are generated as, and the defaults of an INSERT, or of a SET … = DEFAULT.
    """
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    writes = node.DESCRIPTOR.name in ("InsertStmt", "UpdateStmt", "MergeStmt")
    defaults = node.DESCRIPTOR.name in ("InsertStmt", "MergeStmt") or "SetToDefault" in kinds
    return any(
        each.generated == "v"
        or ((writes if each.generated else defaults) and _may_be_refused(schema, each))
        for each in table.columns.values()
    )


def _may_be_refused(schema: Schema, column: Column) -> bool:
    """Return whether a column's expression may raise, or be no value of its type."""
    if column.default is None or column.default.startswith("nextval("):
        return False
    if "(" in column.type or "." in column.type:
        # Of a length, or a domain: looked at when there is a row.
        return True
    node = parse_expression(column.default)
    number = column.type in NUMBERS and len(constant_of(node) or "") > DIGITS_OF_ALL
    return number or may_raise(schema, node)


def ask_index(step: Step, table: Relation, index: Index) -> None:
    """Note what building an index may raise for the values: as computed, and by their length."""
    for text in filter(None, (*(key.expression for key in index.keys), index.predicate)):
        ask_expression(step, table, parse_expression(text))
    columns = _columns(index)
    if index.method == "btree" and any(_is_long(table, name) for name in columns):
        step.effects.questions.append(
            Question(sqlstate="54000", kind="index-row", relation=table.name, columns=columns)
        )


def _columns(index: Index) -> tuple[str, ...]:
    found = [
        name
        for key in index.keys
        for name in ([key.column] if key.column else columns_used_by(key.expression or "NULL"))
    ]
    return tuple(dict.fromkeys([*found, *index.include]))


def _is_long(table: Relation, name: str) -> bool:
    column = table.columns[name]
    if column.type.endswith("[]"):
        return True
    length = column.type.partition("(")[2].removesuffix(")")
    short = length.isdigit() and int(length) <= LONGEST_OF_SHORT
    return without_modifier(column.type) in LONG and not short
