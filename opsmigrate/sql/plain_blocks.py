"""DO blocks that do nothing else than execute some statements, one after the other."""

from collections.abc import Iterator, Sequence

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


def plain_block(statement: Statement) -> tuple[Statement, ...] | None:
    """Return the statements that a DO block executes, each once, and in this order.

    None where the statement is no such block, or has anything else in it: a variable, a condition,
    a handler of exceptions, a query.
    """
    body = body_of(statement) if statement.kind == "do_stmt" else None
    if body is None or body.text is None or body.language != LANGUAGE:
        return None
    try:
        texts = _texts(scan(body.text))
        found = [parse(text) for text in texts or ()]
    except NotParsedError:
        return None
    # None of them may stand alone, as a block is always in a transaction.
    if not all(len(each) == 1 and not stands_alone(each[0]) for each in found):
        return None
    return tuple(each for [each] in found) or None


def _texts(tokens: Sequence[Token]) -> list[str] | None:
    """Return the texts between BEGIN and END; None where one is not PLAIN."""
    words = [token.text.upper() for token in tokens]
    if words[-1:] == [";"]:
        words = words[:-1]
    if words[:1] != ["BEGIN"] or words[-1:] != ["END"] or words[-2:-1] != [";"]:
        return None
    texts = []
    for part in _parts(tokens[1 : len(words) - 1]):
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
