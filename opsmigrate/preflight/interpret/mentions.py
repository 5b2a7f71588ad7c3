"""Whether an expression names an object, and which objects it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.schema import Schema, Signature
from opsmigrate.preflight.interpret.thing import Thing
from opsmigrate.sql.expressions import functions_called, nodes_in
from opsmigrate.sql.grammar import parse_expression
from opsmigrate.sql.names import Name, may_name


@lru_cache(maxsize=4096)
def calls(expression: str, signature: Signature) -> bool:
    """Return whether an expression may call a function: by name and number of arguments."""
    name = signature.name
    if not may_name(expression, name.name):
        return False
    return any(
        each.name == name.name
        and each.schema in (None, name.schema)
        and each.arguments <= len(signature.arguments)
        for each in functions_called(parse_expression(expression))
    )


@lru_cache(maxsize=4096)
def casts_to(expression: str, type_: Name) -> bool:
    """Return whether something in an expression is said to be of a type, or an array of it."""
    if not may_name(expression, type_.name):
        return False
    casts = (each for each in nodes_in(parse_expression(expression)) if _is(each, "TypeCast"))
    return any(_may_be(each.type_name.names, type_) for each in casts)


@lru_cache(maxsize=4096)
def collates_by(expression: str, collation: Name) -> bool:
    """Return whether something in an expression is sorted by a collation."""
    if not may_name(expression, collation.name):
        return False
    nodes = nodes_in(parse_expression(expression))
    return any(_may_be(each.collname, collation) for each in nodes if _is(each, "CollateClause"))


def _is(node: Any, kind: str) -> bool:
    return bool(node.DESCRIPTOR.name == kind)


def _may_be(nodes: Iterable[Any], name: Name) -> bool:
    parts = [as_stored(each.string.sval) for each in nodes]
    return parts[-1] == name.name and (len(parts) == 1 or parts[-2] == name.schema)


def named_in(schema: Schema, node: Any) -> Iterator[Thing]:
    """Yield the functions and types that an expression or a query names."""
    for each in functions_called(node):
        for signature in schema.functions:
            if signature.name == Name(each.schema or signature.name.schema, each.name):
                yield Thing("function", signature)
    for each in nodes_in(node):
        if _is(each, "TypeCast"):
            parts = [as_stored(part.string.sval) for part in each.type_name.names]
            found = schema.visible_type(parts[-2] if len(parts) > 1 else None, parts[-1])
            if found is not None:
                yield Thing("type" if found in schema.types else "relation", found)
