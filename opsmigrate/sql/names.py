"""Names in statements, and those that PostgreSQL makes up."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain, count
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored, generated_name

# What is doubled in SQL where a name, or a constant with it, is in quotes.
QUOTES = re.compile("[\"']")
# The parts of a name in a text, as regclass reads it: in quotes, or folded.
PARTS = re.compile(r'"((?:[^"]|"")+)"|([^".\s]+)')


class Name(NamedTuple):
    """The name of an object with its schema: a key, never a text to show."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def range_name(node: Any) -> tuple[str | None, str]:
    """Return schema and name of a RangeVar, as PostgreSQL stores them; None where it has none."""
    return as_stored(node.schemaname) if node.schemaname else None, as_stored(node.relname)


def chosen_name(table: str, column: str, label: str, is_taken: Callable[[str], bool]) -> str:
    """Return the first of `table_column_label`, …1, …2 that is free (ChooseRelationName).

    Of a constraint, the names of all constraints of its schema are taken (ChooseConstraintName).
    """
    labels = chain([label], (f"{label}{number}" for number in count(1)))
    return next(
        name for each in labels if not is_taken(name := generated_name(table, column, each))
    )


def may_name(text: str, name: str) -> bool:
    """Return whether SQL may have a name in it, in quotes or not: to look no further where not."""
    return all(part in text for part in QUOTES.split(name))


def parts_of(text: str) -> tuple[str, ...]:
    """Return the parts of a name that is given as a text, as to regclass."""
    return tuple(
        as_stored(quoted.replace('""', '"') or plain.lower())
        for quoted, plain in PARTS.findall(text)
    )
