"""Values to try a condition with: such as stand in its text, their neighbours, and usual ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

from opsmigrate.schema.types import INTEGER_LIMITS, TEXTS

QUOTED = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
INEXACT = frozenset({"numeric", "real", "double precision"})
DAYS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
USUAL = {
    "boolean": ("true", "false"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "123e4567-e89b-42d3-a456-426614174000"),
    "jsonb": ("{}", "[]", "null", "1", '"x"'),
    "json": ("{}", "[]", "null", "1", '"x"'),
    "time without time zone": ("00:00", "12:30"),
    "interval": ("0", "1 hour", "1 day", "-1 day"),
}
LONGEST = 300


def samples(type_: str, texts: str) -> list[str]:
    """Return values of the type, as format_type() writes it, to try the conditions `texts` with.

    The most telling come first. Of a type of which nothing is known there are none.
    """
    words = [found.replace("''", "'") for found in QUOTED.findall(texts)]
    # An array that stands as one constant.
    words += [
        part for word in words if word.startswith("{") for part in word.strip("{}").split(",")
    ]
    numbers = [Decimal(found) for found in NUMBER.findall(texts) if len(found) < LONGEST]
    name, _, modifiers = type_.partition("(")
    found: Iterator[str] | tuple[str, ...]
    if name in INTEGER_LIMITS:
        found = (str(int(item)) for item in _near(numbers) if abs(item) < INTEGER_LIMITS[name])
    elif name in INEXACT:
        found = _decimals(numbers, modifiers)
    elif name in TEXTS:
        found = _texts(words, numbers)
    elif type_ in DAYS:
        found = _days(words, numbers)
    elif type_ == "uuid":
        found = (*filter(UUID.fullmatch, words), *USUAL[type_])
    elif type_.endswith("[]"):
        found = ("{}",)
    else:
        found = USUAL.get(type_, ())
    return list(dict.fromkeys(found))


def _near(numbers: list[Decimal]) -> Iterator[Decimal]:
    yield from numbers
    for number in (*numbers, Decimal(0)):
        yield from (number + 1, number - 1, -number)
    yield Decimal(2)


def _decimals(numbers: list[Decimal], modifiers: str) -> Iterator[str]:
    precision, _, scale = modifiers.rstrip(")").partition(",")
    limit = Decimal(10) ** (int(precision) - int(scale or 0)) if precision else None
    for number in (*_near(numbers), *(item + Decimal("0.5") for item in numbers)):
        # A number that does not fit, once it is rounded, would be an error.
        if limit is None or abs(number) + 1 < limit:
            yield str(number)


def _texts(words: list[str], numbers: list[Decimal]) -> Iterator[str]:
    yield from words
    yield from (word.strip("%") for word in words)
    yield from ("", "x", "aB", "1", " ")
    lengths = {int(item) + more for item in numbers if item < LONGEST for more in (-1, 0, 1)}
    for length in sorted(lengths):
        yield from (letter * length for letter in "xA1")


def _days(words: list[str], numbers: list[Decimal]) -> Iterator[str]:
    for word in filter(DAY.match, words):
        yield word
        with suppress(ValueError):
            day = date.fromisoformat(word[:10])
            yield from (str(day + timedelta(days=1)), str(day - timedelta(days=1)))
    years = {int(item) + more for item in numbers if 1900 <= item <= 2100 for more in (-1, 0, 1)}
    for year in sorted(years or {2000, 2001}):
        yield from (f"{year}-01-01", f"{year}-12-31")
