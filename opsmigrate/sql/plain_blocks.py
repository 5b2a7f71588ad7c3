"""DO blocks that do nothing else than execute some statements, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opsmigrate.sql.bodies import body_of
from opsmigrate.sql.grammar import parse, scan
from opsmigrate.sql.statement import NotParsedError, Statement, Token
from opsmigrate.sql.transactions import stands_alone

LANGUAGE = "plpgsql"
# PL/pgSQL hands these to the server as they stand. It has statements of its own, and of a query it
# wants to know where the result goes.
PLAIN = frozenset(
    {"ALTER", "COMMENT", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "REVOKE", "UPDATE"}
)
# The one variable of every block (documentation, Obtaining the Result Status): a column of this
# name is ambiguous there.
VARIABLE = "found"
# Conditions that a handler names (documentation, PostgreSQL Error Codes): what is there already, or
# is not there. Of others, the rows may be the reason.
SQLSTATES = {
    "DUPLICATE_COLUMN": "42701",
    "DUPLICATE_FUNCTION": "42723",
    "DUPLICATE_OBJECT": "42710",
    "DUPLICATE_SCHEMA": "42P06",
    "DUPLICATE_TABLE": "42P07",
    "UNDEFINED_COLUMN": "42703",
    "UNDEFINED_FUNCTION": "42883",
    "UNDEFINED_OBJECT": "42704",
    "UNDEFINED_TABLE": "42P01",
}


@dataclass(frozen=True)
class Block:
    """What a DO block executes: `statements`, each once, and in this order.

    An error with one of the SQLSTATEs that are `handled` undoes them, and is none of the block's.
    """

    statements: tuple[Statement, ...]
    handled: frozenset[str] = frozenset()


def plain_block(statement: Statement) -> Block | None:
    """Return what a DO block executes.

    None where the statement is no such block, or has anything else in it: a variable, a condition,
    a query, a handler that does something.
    """
    body = body_of(statement) if statement.kind == "do_stmt" else None
    if body is None or body.text is None or body.language != LANGUAGE:
        return None
    try:
        tokens = _within_begin_and_end(scan(body.text))
        before, handled = _apart(tokens)
        found = [parse(text) for text in _texts(before) or ()]
    except NotParsedError:
        return None
    # None of them may stand alone, as a block is always in a transaction.
    if not all(len(each) == 1 and not stands_alone(each[0]) for each in found):
        return None
    if not found or handled is None:
        return None
    return Block(tuple(each for [each] in found), handled)


def _within_begin_and_end(tokens: Sequence[Token]) -> Sequence[Token]:
    """Return what stands between the first BEGIN and the last END; nothing of another body."""
    words = [token.text.upper() for token in tokens]
    if words[-1:] == [";"]:
        words = words[:-1]
    whole = words[:1] == ["BEGIN"] and words[-1:] == ["END"] and words[-2:-1] == [";"]
    return tokens[1 : len(words) - 1] if whole else ()


def _apart(tokens: Sequence[Token]) -> tuple[Sequence[Token], frozenset[str] | None]:
    """Return what stands before EXCEPTION, and what is handled with NULL; None of any other."""
    words = [token.text.upper() for token in tokens]
    if "EXCEPTION" not in words:
        return tokens, frozenset()
    number = words.index("EXCEPTION")
    handler = words[number + 1 :]
    named = handler[1:-3]
    if (
        handler[:1] != ["WHEN"]
        or handler[-3:] != ["THEN", "NULL", ";"]
        or set(named[1::2]) - {"OR"}
    ):
        return tokens[:number], None
    if not len(named) % 2 or not SQLSTATES.keys() >= set(named[::2]):
        return tokens[:number], None
    return tokens[:number], frozenset(SQLSTATES[name] for name in named[::2])


def _texts(tokens: Sequence[Token]) -> list[str] | None:
    """Return the texts of the statements; None where one is not PLAIN."""
    texts = []
    for part in _parts(tokens):
        own = [each.text.upper() for each in part]
        into = [number for number, word in enumerate(own) if word == "INTO" and number > 1]
        named = {token.name for token in part}
        if own[0] not in PLAIN or "RETURNING" in own or into or VARIABLE in named:
            return None
        # A line each: then literals that follow each other stay one.
        texts.append("\n".join(token.text for token in part))
    return texts


def _parts(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield what stands before each semicolon, but for those with nothing before them."""
    begins = 0
    for number, token in enumerate(tokens):
        if token.text == ";":
            if number > begins:
                yield tokens[begins:number]
            begins = number + 1
