"""The expressions of an index, without their order and their operator classes."""

from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.indexes import OpClass
from django.db.backends.ddl_references import Expressions
from django.db.models.expressions import OrderBy


@dataclass(frozen=True)
class Key:
    """An expression in SQL; `operators` is its operator class, "" for the type's default.

    `operator` is what an exclusion constraint compares it with.
    """

    text: str
    operators: str
    operator: str


def keys_of(part: Any) -> list[Key]:
    """Return the keys of an index on expressions, none of one on columns."""
    if not isinstance(part, Expressions):
        return []
    expressions: Any = part
    return [_key(part, item) for item in expressions.expressions.get_source_expressions()]


def _key(part: Any, item: Any) -> Key:
    operators = ""
    (inner,) = item.get_source_expressions()
    while isinstance(inner, OrderBy | OpClass):
        if isinstance(inner, OpClass):
            operators = str(inner.extra["name"])
        (inner,) = inner.get_source_expressions()
    text, params = part.compiler.compile(inner)
    text = text % tuple(map(part.quote_value, params))
    return Key(text, operators, str(item.extra.get("operator", "")))
