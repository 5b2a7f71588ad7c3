"""SQL as a driver is given it: with placeholders, which the grammar has no word for."""

import re
from functools import lru_cache
from itertools import count

from opsmigrate.sql.grammar import parse, scan
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement

# In characters; the tree of a text takes many times its memory.
LONGEST_KEPT = 10_000
PLACEHOLDER = re.compile(r"%(?:%|(?:\([^)]*\))?[sbt])")
# The same outside of literals and comments.
OUTSIDE = re.compile(
    r"""(?P<kept>"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$|--[^\n]*|/\*.*?\*/)"""
    rf"|(?:{PLACEHOLDER.pattern})\b|%%",
    re.DOTALL,
)


def numbered(text: str) -> str:
    """Return the text with $1, $2 … for its placeholders, and % for %%, as a driver finds them.

    A driver does not know what a literal or a comment is: it also fills those in.
    """
    numbers = count(1)
    return PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", text)


def stands_for_values(text: str) -> bool:
    """Return whether each placeholder of a text stands where a value may, and nothing else can.

    In a literal, a name or a comment it would end that, with the quotes that a driver puts around
    a value. Raises NotParsedError and NoGrammarError as scan() does.
    """
    wanted = len([found for found in PLACEHOLDER.findall(text) if found != "%%"])
    others = text.replace("%%", "").count("%") != wanted
    if others or any(f"${digit}" in text for digit in range(10)):
        return False
    return wanted == sum(token.kind == "PARAM" for token in scan(numbered(text)))


def statements_of(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text that may have placeholders; raises as parse() does.

    They are shared by all who ask, and so must not be changed. Whether `%s` is a placeholder, the
    text does not tell: where it cannot be parsed so, it is read as it stands. That a literal may
    have some is left aside: what is in them is the format of another text, or meant as it is.
    """
    return _kept(text) if len(text) <= LONGEST_KEPT else _read(text)


@lru_cache(maxsize=256)
def _kept(text: str) -> tuple[Statement, ...]:
    return _read(text)


def _read(text: str) -> tuple[Statement, ...]:
    numbers = count(1)

    def filled(found: re.Match[str]) -> str:
        return found["kept"] or ("%" if found[0] == "%%" else f"${next(numbers)}")

    try:
        return parse(OUTSIDE.sub(filled, text))
    except NotParsedError:
        return parse(text)


def statements_if_readable(text: str) -> tuple[Statement, ...] | None:
    """Return the statements of a text as statements_of() does, None where they cannot be read."""
    try:
        return statements_of(text)
    except (NotParsedError, NoGrammarError):
        return None
