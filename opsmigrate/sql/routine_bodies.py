"""Bodies of functions in PL/pgSQL: what they declare, and what the language has against them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opsmigrate.sql.grammar import error_of_routine, scan
from opsmigrate.sql.statement import NotParsedError, Token

# Types of PostgreSQL's own that a declaration usually names; of others the grammar knows nothing.
TYPES = frozenset(
    {
        "BIGINT", "BOOL", "BOOLEAN", "BYTEA", "DATE", "FLOAT4", "FLOAT8",
        "INT", "INT2", "INT4", "INT8", "INTEGER", "INTERVAL", "JSON",
        "JSONB", "NAME", "NUMERIC", "OID", "REAL", "RECORD", "SMALLINT",
        "TEXT", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "UUID", "VARCHAR",
    }
)  # fmt: skip
SEVERAL_WORDS = frozenset(
    {
        "CHARACTER VARYING",
        "DOUBLE PRECISION",
        "TIME WITHOUT TIME ZONE",
        "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMP WITHOUT TIME ZONE",
    }
)
# What begins the value of a variable, or forbids it to be NULL.
BEHIND_TYPE = frozenset({":=", "=", "DEFAULT", "NOT"})
# Of a variable that is declared NOT NULL.
NO_DEFAULT = "must have a default value"
# pl_gram.y and pl_comp.c: the function that says so -> what else it is than 42601, syntax_error.
SQLSTATES = {
    "make_return_stmt": "42804",
    "make_return_next_stmt": "42804",
    "make_return_query_stmt": "42804",
    "plpgsql_parse_err_condition": "42704",
    "plpgsql_recognize_err_condition": "42704",
}


class BodyError(NamedTuple):
    """What PostgreSQL refuses a body for."""

    sqlstate: str
    words: str


def error_of_body(text: str) -> BodyError | None:
    """Return what a CREATE FUNCTION or PROCEDURE in PL/pgSQL is refused for (plpgsql_validator)."""
    error = error_of_routine(text)
    if error is None:
        return None
    if NO_DEFAULT in str(error):
        return BodyError("22004", str(error))
    return BodyError(SQLSTATES.get(error.function, "42601"), str(error))


def declares_plain_types(body: str) -> bool:
    """Return whether all variables of a body are of PostgreSQL's own types, as far as is seen."""
    try:
        tokens = scan(body)
    except NotParsedError:
        return False
    words = [token.text.upper() for token in tokens]
    if "DECLARE" not in words:
        return True
    if words[0] != "DECLARE" or words.count("DECLARE") > 1 or "BEGIN" not in words:
        return False
    return all(map(_is_plain, _declarations(tokens[1 : words.index("BEGIN")])))


def _declarations(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    begin = 0
    for number, token in enumerate(tokens):
        if token.text == ";":
            yield tokens[begin:number]
            begin = number + 1


def _is_plain(declaration: Sequence[Token]) -> bool:
    words = [token.text.upper() for token in declaration[1:]]
    end = next((number for number, word in enumerate(words) if word in BEHIND_TYPE), len(words))
    given = " ".join(words[:end]).removesuffix(" [ ]")
    name, _, modifier = given.partition(" (")
    return name in TYPES | SEVERAL_WORDS and set(modifier) <= set("0123456789 ,)")
