"""The bodies of functions and DO blocks, which the grammar takes for texts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opsmigrate.sql.grammar import constant, parse, scan
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement, Token

# What may follow a statement's text in PL/pgSQL (documentation, Executing Dynamic Commands).
AFTER_TEXT = frozenset({";", "USING", "INTO", "LOOP"})
# What a statement of PL/pgSQL may stand behind.
BEFORE_STATEMENT = frozenset({";", "BEGIN", "THEN", "ELSE", "LOOP"})
MAKING = frozenset({"ALTER", "CREATE", "DO"})
# format() puts names and literals in quotes: the text around them stays what it is.
QUOTED_PLACE = re.compile(r"%(?:\d+\$)?-?\d*([IL%s])")
LITERALS = ("SCONST", "USCONST", "BCONST", "XCONST")
UNKNOWN = "?"
STAND_IN = {"I": f'"{UNKNOWN}"', "L": f"'{UNKNOWN}'", "%": "%"}


@dataclass(frozen=True)
class Body:
    """What a DO block or a function consists of; `text` is None where it is SQL already parsed."""

    language: str
    text: str | None


def body_of(statement: Statement) -> Body | None:
    """Return the body of a DO block, or of a function or procedure; None for other statements."""
    if statement.kind == "do_stmt":
        options = [each.def_elem for each in statement.node.args]
        # Without a word it is PL/pgSQL (PostgreSQL documentation, DO).
        return _body(options, "plpgsql")
    if statement.kind == "create_function_stmt":
        return _body([each.def_elem for each in statement.node.options], "sql")
    return None


def _body(options: Sequence[Any], default: str) -> Body:
    named = {each.defname: each.arg for each in options}
    language = named["language"].string.sval if "language" in named else default
    if "as" not in named:
        return Body(language.lower(), None)
    given = named["as"]
    items = given.list.items if given.WhichOneof("node") == "list" else [given]
    return Body(language.lower(), "\n".join(item.string.sval for item in items))


def executed(tokens: Sequence[Token]) -> Iterator[str | None]:
    """Yield the texts that a PL/pgSQL body EXECUTEs; None for one that nothing here shows.

    A constant is its value; so is format() of a constant that puts in nothing but quoted names
    and literals, with "?" in their places.
    """
    for number, token in enumerate(tokens):
        if token.kind != "EXECUTE":
            continue
        if not _is_of_another_statement(tokens, number):
            yield _text_of(tokens[number + 1 :])


def statements_in(tokens: Sequence[Token], words: frozenset[str] = MAKING) -> Iterator[str]:
    """Yield the statements of a PL/pgSQL body that begin with one of these words.

    By default they make or alter something, or are blocks. They are SQL as it stands: PL/pgSQL
    puts no variables in them (documentation, Variable Substitution). What they have in them, a
    body again, is a text to the body around them.
    """
    begins = True
    for number, token in enumerate(tokens):
        word = token.text.upper()
        if begins and word in words:
            texts = [each.text for each in tokens[number:]]
            # A line each: then literals that follow each other stay one.
            yield "\n".join(texts[: texts.index(";")] if ";" in texts else texts)
        begins = word in BEFORE_STATEMENT


def _is_of_another_statement(tokens: Sequence[Token], number: int) -> bool:
    """Return whether EXECUTE is a word of GRANT EXECUTE ON, or of CREATE TRIGGER.

    What follows does not tell: a variable may be called `function`.
    """
    if tokens[number + 1 : number + 2] and tokens[number + 1].kind == "ON":
        return True
    begins = number
    while begins and tokens[begins - 1].text.upper() not in BEFORE_STATEMENT:
        begins -= 1
    return tokens[begins].kind == "CREATE"


def _text_of(tokens: Sequence[Token]) -> str | None:
    if tokens and tokens[0].kind in ("SCONST", "USCONST"):
        whole = len(tokens) == 1 or tokens[1].text.upper() in AFTER_TEXT
        return constant(tokens[0].text) if whole else None
    kinds = [token.kind for token in tokens[:4]]
    if kinds[1:3] != ["ASCII_40", "SCONST"] or tokens[0].name != "format":
        return None
    after = _after_bracket(tokens, 1)
    if kinds[3:] not in (["ASCII_44"], ["ASCII_41"]) or after not in AFTER_TEXT | {""}:
        return None
    template = constant(tokens[2].text)
    if any(kind == "s" for kind in QUOTED_PLACE.findall(template)):
        return None
    return QUOTED_PLACE.sub(lambda found: STAND_IN[found[1]], template)


def _after_bracket(tokens: Sequence[Token], opened: int) -> str:
    """Return the word after the bracket that closes the one at `opened`; "" at the end."""
    depth = 0
    for number in range(opened, len(tokens)):
        depth += {"ASCII_40": 1, "ASCII_41": -1}.get(tokens[number].kind, 0)
        if depth == 0:
            return tokens[number + 1].text.upper() if number + 1 < len(tokens) else ""
    return "("


def normal_form(tokens: Sequence[Token]) -> str:
    """Return a body as one line for patterns: no comments, every literal '' and every name "x".

    Key words are in capitals, whether they are used as key words or as names.
    """
    return " ".join(map(_shown, tokens))


def _shown(token: Token) -> str:
    if token.kind in LITERALS:
        return "''"
    if token.keyword:
        return token.text.upper()
    return f'"{token.name}"' if token.name is not None else token.text


def without_literals(text: str) -> str:
    """Return a text without its literals and comments, or itself where it cannot be read."""
    try:
        return " ".join(token.text for token in scan(text) if token.kind not in LITERALS)
    except (NotParsedError, NoGrammarError):
        return text


def names_in(text: str) -> tuple[str, ...]:
    """Return every name that a text has outside of literals and comments, as often as it has it.

    Also those in its bodies, and in the constants that these execute.
    """
    found = [token.name for token in scan(text) if token.name is not None]
    for statement in parse(text):
        body = body_of(statement)
        if body is not None and body.text is not None:
            tokens = scan(body.text)
            found += [token.name for token in tokens if token.name is not None]
            for inner in executed(tokens):
                found += names_in(inner) if inner else ()
    return tuple(found)


def names_in_bodies(text: str) -> frozenset[str]:
    """Return the names in the bodies of a text, and in bodies in these; none if unreadable."""
    try:
        bodies = [body_of(statement) for statement in parse(text)]
        return frozenset(
            name for body in bodies if body and body.text for name in _names_within(body.text)
        )
    except (NotParsedError, NoGrammarError):
        return frozenset()


def _names_within(body: str) -> Iterator[str]:
    for token in scan(body):
        if token.name is not None:
            yield token.name
        elif token.text.startswith("$") and token.kind == "SCONST":
            yield from _names_within(constant(token.text))
