"""Expressions in which something is called otherwise than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.expressions import nodes_in
from opsmigrate.sql.grammar import deparse, parse, parse_expression, quoted_if_needed
from opsmigrate.sql.names import Name, may_name, parts_of

# What takes a sequence by name; PostgreSQL makes its argument a regclass, which follows a rename.
OF_SEQUENCES = frozenset({"nextval", "currval", "setval"})


def has_subquery(expression: str) -> bool:
    """Return whether columns in an expression may be those of another table."""
    return any(each.DESCRIPTOR.name == "SubLink" for each in nodes_in(parse_expression(expression)))


def with_column(expression: str, column: str, new: str) -> str:
    """Return an expression on one table, with one of its columns called anew."""
    return _changed(expression, column, lambda node: _rename_column(node, column, new))


def with_function(expression: str, function: Name, new: Name) -> str:
    """Return an expression with a function called anew, where it is in that schema or in none."""
    return _changed(expression, function.name, lambda node: _rename_function(node, function, new))


def with_relation(expression: str, relation: Name, new: Name, *, bare: bool) -> str:
    """Return an expression with the constants that name a relation naming it anew."""
    if not mentions_relation(expression, relation, bare=bare):
        return expression

    def change(node: Any) -> None:
        for each in relation_constants(node):
            if names_relation(each.sval.sval, relation, bare=bare):
                each.sval.sval = f"{quoted_if_needed(new.schema)}.{quoted_if_needed(new.name)}"

    return _changed(expression, relation.name, change)


def with_label(expression: str, enum: str, pair: tuple[str, str]) -> str:
    """Return an expression with a label of an enum called anew, where it is cast to the enum.

    A constant alone is taken for a label: it is the default of a column of the type.
    """
    old, new = pair

    def change(node: Any) -> None:
        for each in nodes_in(node):
            if each.DESCRIPTOR.name == "TypeCast":
                if as_stored(each.type_name.names[-1].string.sval) != enum:
                    continue
                each = each.arg
            elif each is not node:
                continue
            if each.a_const.sval.sval == old:
                each.a_const.sval.sval = new

    return _changed(expression, old, change)


def with_type(expression: str, type_: Name, new: Name) -> str:
    """Return an expression with a type called anew, where something is cast to it."""

    def change(node: Any) -> None:
        for each in nodes_in(node):
            if each.DESCRIPTOR.name != "TypeName":
                continue
            *schema, name = [as_stored(part.string.sval) for part in each.names]
            if name == type_.name and schema in ([], [type_.schema]):
                del each.names[:]
                for part in new:
                    each.names.add().string.sval = part

    return _changed(expression, type_.name, change)


def names_relation(text: str, relation: Name, *, bare: bool) -> bool:
    """Return whether a regclass's text is this relation; `bare`: it is found without its schema."""
    return parts_of(text) in (tuple(relation), *([relation[1:]] if bare else ()))


@lru_cache(maxsize=4096)
def mentions_relation(expression: str, name: Name, *, bare: bool = True) -> bool:
    """Return whether an expression has a constant that names the relation, as nextval() has it."""
    if not may_name(expression, name.name):
        return False
    constants = relation_constants(parse_expression(expression))
    return any(names_relation(each.sval.sval, name, bare=bare) for each in constants)


def relation_constants(node: Any) -> Iterator[Any]:
    """Yield the constants that are relations: cast to regclass, or what nextval() is given."""
    for each in nodes_in(node):
        kind = each.DESCRIPTOR.name
        if kind == "TypeCast" and each.type_name.names[-1].string.sval == "regclass":
            found = [each.arg]
        elif kind == "FuncCall" and each.funcname[-1].string.sval in OF_SEQUENCES:
            found = list(each.args[:1])
        else:
            continue
        yield from (
            arg.a_const
            for arg in found
            if arg.WhichOneof("node") == "a_const" and arg.a_const.WhichOneof("val") == "sval"
        )


def partition_key(text: str, column: str, new: str) -> str:
    """Return what stands behind PARTITION BY, with one of its columns called anew."""
    (statement,) = parse(f"CREATE TABLE a () PARTITION BY {text}")
    for each in statement.node.partspec.part_params:
        if as_stored(each.partition_elem.name) == column:
            each.partition_elem.name = new
        _rename_column(each, column, new)
    return deparse(statement.node).partition(" PARTITION BY ")[2]


def _changed(expression: str, word: str, change: Callable[[Any], None]) -> str:
    if not may_name(expression, word):
        return expression
    node = parse_expression(expression)
    change(node)
    return deparse(node)


def _rename_column(node: Any, column: str, new: str) -> None:
    for each in nodes_in(node):
        if each.DESCRIPTOR.name == "ColumnRef":
            last = each.fields[-1]
            if last.WhichOneof("node") == "string" and as_stored(last.string.sval) == column:
                last.string.sval = new


def _rename_function(node: Any, function: Name, new: Name) -> None:
    for each in nodes_in(node):
        if each.DESCRIPTOR.name != "FuncCall":
            continue
        *schema, name = [as_stored(part.string.sval) for part in each.funcname]
        if name == function.name and schema in ([], [function.schema]):
            each.funcname[-1].string.sval = new.name
            if schema:
                each.funcname[-2].string.sval = new.schema
