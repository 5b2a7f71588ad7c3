"""SQL as text: statements, the actions of ALTER TABLE, names."""

import re
from collections.abc import Iterator

import sqlparse

from opsmigrate.postgres.names import unquoted

NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
QUALIFIED = rf"{NAME}(?:\s*\.\s*{NAME})*"
_PART = re.compile(NAME)
# Longer text is a load of data, and parsing it takes longer than it is worth.
LONGEST = 50_000


def statements(sql: str) -> list[str]:
    """Return the single statements of a text, each on one line and without comments."""
    if len(sql) > LONGEST:
        return []
    found: list[str] = sql.split(";")
    may_stand_in_text = len(found) > 1 and ("'" in sql or "$" in sql)
    if may_stand_in_text or "--" in sql or "/*" in sql:
        found = [sqlparse.format(part, strip_comments=True) for part in sqlparse.split(sql)]
    return [line for part in found if (line := " ".join(part.split()).rstrip("; "))]


def parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name as the catalog spells them: `"Order"` is Order, CAGE is cage."""
    return tuple(map(unquoted, _PART.findall(name)))


def items(text: str) -> Iterator[str]:
    """Yield what commas outside of brackets and quotes separate, up to a bracket not opened."""
    depth, quote, start = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
            if depth < 0:
                yield text[start:place].strip()
                return
        elif sign == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()
