"""The text of a statement as a driver will send it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from opsmigrate.sql.grammar import parse
from opsmigrate.sql.placeholders import numbered, stands_for_values
from opsmigrate.sql.statement import NoGrammarError, NotParsedError

# The drivers put these into literals, whatever is in them. An adapter of the project's own may
# put in anything.
PLAIN = frozenset(
    {
        type(None), bool, int, float, Decimal, str, bytes, bytearray, memoryview,
        date, datetime, time, timedelta, UUID,
    }
)  # fmt: skip

# Client encodings in which a letter may end with the byte of a backslash or of a quote
# (PostgreSQL documentation, Character Set Support: those that no database can have).
AMBIGUOUS = frozenset({"BIG5", "GB18030", "GBK", "JOHAB", "SHIFT_JIS_2004", "SJIS", "UHC"})


class SentText(str):
    """A statement's text; `unreadable` says why the server may read another one in it."""

    unreadable: str | None = None


def _as_read(text: str, cursor: Any) -> SentText:
    """Return the text with what the session says of how it is read."""
    sent = SentText(text)
    if _reported(cursor, "standard_conforming_strings") == "off":
        # Also of the functions that it calls.
        sent.unreadable = "literals where standard_conforming_strings is off"
    encoding = _reported(cursor, "client_encoding")
    if not text.isascii() and encoding in AMBIGUOUS:
        sent.unreadable = f"letters in the encoding {encoding}"
    return sent


def _reported(cursor: Any, name: str) -> str | None:
    """Return what the server reports of a setting as soon as it changes."""
    connection = cursor.connection
    if hasattr(connection, "get_parameter_status"):
        value = connection.get_parameter_status(name)
    else:
        value = connection.pgconn.parameter_status(name.encode())
    return value.decode() if isinstance(value, bytes) else value


def sent_texts(query: Any, parameters: Any, cursor: Any) -> Iterator[str]:
    """Yield a statement's text, with $1, $2 … for values that are values and nothing else.

    Many executions of one statement have one text then. Where a parameter may become SQL, and
    where the statement cannot be parsed without its values, it is what the driver makes of them.
    """
    text = written(query, cursor)
    if parameters is None:
        yield _as_read(text, cursor)
        return
    template = numbered(text)
    mogrify = getattr(cursor, "mogrify", None)
    # Which setting it is matters.
    sets = "set_config" in template.lower()
    if mogrify is None or (not sets and _is_plain(parameters) and _has_its_values(text)):
        yield _as_read(template, cursor)
    else:
        yield _as_read(written(mogrify(query, parameters), cursor), cursor)


def written(query: Any, cursor: Any) -> str:
    """Return what stands in a query, whatever the driver takes for one."""
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    if hasattr(query, "as_string"):
        return str(query.as_string(cursor))
    return str(query)


def _is_plain(parameters: Any) -> bool:
    waiting = [parameters]
    while waiting:
        value = waiting.pop()
        if type(value) in PLAIN:
            continue
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        else:
            return False
    return True


@lru_cache(maxsize=1024)
def _has_its_values(text: str) -> bool:
    """Return whether the text can be read without its values, which change nothing but values."""
    try:
        parse(numbered(text))
        return stands_for_values(text)
    except NotParsedError:
        return False
    except NoGrammarError:
        return True


def texts_of_many(query: Any, many: Iterable[Any], cursor: Any) -> set[str]:
    """Return the texts of a statement that is executed once for each set of parameters."""
    return {text for parameters in many for text in sent_texts(query, parameters, cursor)}
