"""PostgreSQL's grammar: texts to statements and words, and back; loaded with the first of them."""

from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import quoted
from opsmigrate.sql.libpg_query import LibPgQuery, ParseError, load
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement, Token

INSTALL = 'python -m pip install "postgast>=0.2,<0.3"'
# Characters of the parser's words, which may repeat the text.
LONGEST_WORDS = 200


@lru_cache(maxsize=1)
def _library() -> LibPgQuery:
    try:
        return load()
    # A wheel for another system, or another protobuf than it was made for, fails in its own way.
    except Exception as error:
        raise NoGrammarError(f"the package postgast cannot be imported: {error}") from error


def require_grammar() -> None:
    """Raise NoGrammarError where the package is not there, or cannot be imported."""
    _library()


def parse(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text; raise NotParsedError for what PostgreSQL would not take.

    Also for what it would take and the package cannot hand over: expressions nested too deeply.
    """
    raw = _bytes(text)
    library = _library()
    try:
        tree = library.parse(raw)
    # ParseError, protobuf's DecodeError (depth), MemoryError: none of them is an answer.
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


def error_of_routine(text: str) -> ParseError | None:
    """Return what PL/pgSQL's grammar has against the body of a CREATE FUNCTION or PROCEDURE.

    It has no catalog: of a type of somebody's own it knows nothing.
    """
    raw = _bytes(text)
    try:
        _library().read_routine(raw)
    except ParseError as error:
        return error
    return None


def scan(text: str) -> tuple[Token, ...]:
    """Return the words of a text, without its comments; raise NotParsedError as parse() does."""
    return tuple(token for token, _, _ in scan_with_places(text))


def scan_with_places(text: str) -> tuple[tuple[Token, int, int], ...]:
    """Return the words of a text as scan() does, each with where it begins and ends, in bytes."""
    raw = _bytes(text)
    library = _library()
    try:
        scanned = library.scan(raw)
    except Exception as error:
        raise NotParsedError(_words(error)) from error
    kind_of = library.messages.Token.Name
    tokens = (
        (
            _token(
                kind_of(each.token),
                raw[each.start : each.end].decode(),
                keyword=each.keyword_kind != 0,
            ),
            each.start,
            each.end,
        )
        for each in scanned.tokens
    )
    return tuple(each for each in tokens if each[0].kind not in ("SQL_COMMENT", "C_COMMENT"))


def _token(kind: str, text: str, *, keyword: bool) -> Token:
    if kind != "UIDENT":
        return Token(kind, text, keyword)
    # A name with escapes, U&"…": as it would stand without them.
    (statement,) = parse(f"SELECT 1 AS {text}")
    name = statement.node.target_list[0].res_target.name
    return Token("IDENT", quoted(name), keyword=False)


def parse_expression(text: str) -> Any:
    """Return the node of one expression; raise NotParsedError where the text is anything else."""
    statements = parse(f"SELECT {text}")
    targets: Any = statements[0].node.target_list if len(statements) == 1 else ()
    if len(targets) != 1 or targets[0].res_target.name:
        raise NotParsedError("it is not one expression")
    return targets[0].res_target.val


def deparse(node: Any) -> str:
    """Return a node as SQL: that of an expression, or of a whole statement.

    It may be any message of the grammar, wrapped in a Node or not.
    """
    wrapped = _wrapped(node)
    tree = _library().messages.ParseResult()
    statement = tree.stmts.add().stmt
    if wrapped.WhichOneof("node").endswith("_stmt"):
        statement.CopyFrom(wrapped)
        return str(_library().deparse(tree))
    statement.select_stmt.SetInParent()
    statement.select_stmt.target_list.add().res_target.val.CopyFrom(wrapped)
    return str(_library().deparse(tree)).removeprefix("SELECT ")


def _wrapped(node: Any) -> Any:
    """Return a message as one that can be any: the grammar's Node."""
    kind = node.DESCRIPTOR
    if kind.name == "Node":
        return node
    wrapped = _library().messages.Node()
    field = next(each for each in wrapped.DESCRIPTOR.fields if each.message_type is kind)
    getattr(wrapped, field.name).CopyFrom(node)
    return wrapped


@lru_cache(maxsize=4096)
def quoted_if_needed(name: str) -> str:
    """Return a name as PostgreSQL's quote_identifier() writes it: in quotes where it must be."""
    plain = name[:1].isalpha() or name[:1] == "_"
    if not (plain and name.isascii() and name == name.lower() and name.replace("_", "a").isalnum()):
        return quoted(name)
    [token] = _library().scan(name.encode()).tokens
    kinds = _library().messages.KeywordKind
    free = (kinds.Value("NO_KEYWORD"), kinds.Value("UNRESERVED_KEYWORD"))
    return name if token.keyword_kind in free else quoted(name)


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
