"""PostgreSQL's grammar, from the package postgast: the only module that imports it, lazily."""

from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import quoted
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement, Token

INSTALL = 'python -m pip install "postgast>=0.2,<0.3"'
# Characters of the parser's words, which may repeat the text.
LONGEST_WORDS = 200


@lru_cache(maxsize=1)
def _postgast() -> Any:
    try:
        import postgast
    # A wheel for another system, or another protobuf than it was made for, fails in its own way.
    except Exception as error:
        raise NoGrammarError(f"the package postgast cannot be imported: {error}") from error
    return postgast


def require_grammar() -> None:
    """Raise NoGrammarError where the package is not there, or cannot be imported."""
    _postgast()


def parse(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text; raise NotParsedError for what PostgreSQL would not take.

    Also for what it would take and the package cannot hand over: expressions nested too deeply.
    """
    raw = _bytes(text)
    postgast = _postgast()
    try:
        tree = postgast.parse(text)
    # PgQueryError, protobuf's DecodeError (depth), MemoryError: none of them is an answer.
    except Exception as error:
        raise NotParsedError(_words(error)) from error
    found = []
    for each in tree.stmts:
        # Offsets are in bytes; a length of 0 is up to the end (pg_query's RawStmt).
        end = each.stmt_location + each.stmt_len if each.stmt_len else len(raw)
        kind = each.stmt.WhichOneof("node")
        found.append(
            Statement(
                text=raw[each.stmt_location : end].decode().strip(),
                kind=kind,
                node=getattr(each.stmt, kind),
            )
        )
    return tuple(found)


def scan(text: str) -> tuple[Token, ...]:
    """Return the words of a text, without its comments; raise NotParsedError as parse() does."""
    raw = _bytes(text)
    postgast = _postgast()
    try:
        scanned = postgast.scan(text)
    except Exception as error:
        raise NotParsedError(_words(error)) from error
    kind_of = postgast.pg_query_pb2.Token.Name
    tokens = (
        _token(
            kind_of(each.token),
            raw[each.start : each.end].decode(),
            keyword=each.keyword_kind != 0,
        )
        for each in scanned.tokens
    )
    return tuple(token for token in tokens if token.kind not in ("SQL_COMMENT", "C_COMMENT"))


def _token(kind: str, text: str, *, keyword: bool) -> Token:
    if kind != "UIDENT":
        return Token(kind, text, keyword)
    # A name with escapes, U&"…": as it would stand without them.
    (statement,) = parse(f"SELECT 1 AS {text}")
    name = statement.node.target_list[0].res_target.name
    return Token("IDENT", quoted(name), keyword=False)


def constant(text: str) -> str:
    """Return what a literal stands for, whatever its quotes: '…', E'…', $$…$$, U&'…'."""
    (statement,) = parse(f"SELECT {text}")
    return str(statement.node.target_list[0].res_target.val.a_const.sval.sval)


def _bytes(text: str) -> bytes:
    # The parser is written in C: a NUL would end the text for it, and hide what follows.
    if "\0" in text:
        raise NotParsedError("it has a NUL character")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotParsedError("it has characters that are not valid in UTF-8") from error


def _words(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:LONGEST_WORDS] if lines else type(error).__name__
