"""What stands in the grammar's messages: names, texts, words of a choice."""

from collections.abc import Iterable, Iterator
from typing import Any


def label(node: Any, field: str) -> str:
    """Return the word that a field with a choice has, as in "OBJECT_ROLE"."""
    descriptor = node.DESCRIPTOR.fields_by_name[field]
    return str(descriptor.enum_type.values_by_number[getattr(node, field)].name)


def names(nodes: Iterable[Any]) -> list[str]:
    """Return the parts of a name with its schema; "" where there are none."""
    return [str(each.string.sval) for each in nodes] or [""]


def text(node: Any) -> str | None:
    """Return what a name or a constant of text says, None for anything else."""
    if node.WhichOneof("node") == "string":
        return str(node.string.sval)
    return str(node.a_const.sval.sval) if node.a_const.WhichOneof("val") == "sval" else None


def all_names(node: Any) -> Iterator[str]:
    """Yield every name in a message, however deep."""
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for each in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from all_names(each)
        elif node.DESCRIPTOR.name == "String":
            yield value
