"""A statement that names a schema, as it would be for another schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opsmigrate.postgres.names import quoted
from opsmigrate.sql.grammar import constant, parse, quoted_if_needed, scan_with_places
from opsmigrate.sql.statement import NoGrammarError, NotParsedError


class NotMovableError(Exception):
    """Where the schema is meant in the statement is not certain."""


def moved_by(text: str, schema: str) -> Callable[[str], str]:
    """Return a function that gives the statement for another schema instead of `schema`.

    Raises NotMovableError where the schema's name stands in the statement in another way than
    before a name: as an alias, or in a constant, which may be cast to a name.
    """
    try:
        places = list(_places(text, schema))
        if schema in _aliases(text):
            raise NotMovableError(f"{schema} is an alias in it")
    except (NotParsedError, NoGrammarError) as error:
        raise NotMovableError(str(error)) from error
    raw = text.encode()
    parts: list[str | bool] = []
    end = 0
    for start, stop in places:
        parts.append(raw[end:start].decode())
        in_quotes = raw[start:stop].startswith(b'"')
        parts.append(in_quotes)
        end = stop
    parts.append(raw[end:].decode())

    def moved(other: str) -> str:
        written = {True: quoted(other), False: quoted_if_needed(other)}
        return "".join(each if isinstance(each, str) else written[each] for each in parts)

    return moved


def _places(text: str, schema: str) -> Iterator[tuple[int, int]]:
    """Yield where the schema stands before a name, in bytes."""
    tokens = scan_with_places(text)
    for number, (token, start, stop) in enumerate(tokens):
        if token.kind == "SCONST" and _may_name(constant(token.text), schema):
            raise NotMovableError("a constant in it may name the schema")
        after = tokens[number + 1][0].text if number + 1 < len(tokens) else ""
        before = tokens[number - 1][0].text if number else ""
        if token.name == schema and after == "." and before != ".":
            yield start, stop


def _may_name(constant: str, schema: str) -> bool:
    return constant == schema or f"{schema}." in constant or quoted(schema) in constant


def _aliases(text: str) -> set[str]:
    return {
        part.value.aliasname
        for statement in parse(text)
        for part in statement.parts()
        if part.kind == "Alias"
    }
