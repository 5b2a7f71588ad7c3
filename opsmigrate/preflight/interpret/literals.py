"""Whether a literal is a value of a type, as far as that can be told without the server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import ip_interface, ip_network
from typing import Any

from opsmigrate.preflight.interpret.coercion import base_type, user_type_of
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.types import element_type

TEXTS = frozenset({"text", "character varying", "character", "name", '"char"', "unknown"})
RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
BOOLEANS = ("true", "false", "yes", "no")
# Some of the configurations of text search that every server has.
CONFIGURATIONS = frozenset(
    [
        "simple",
        "danish",
        "dutch",
        "english",
        "finnish",
        "french",
        "german",
        "hungarian",
        "italian",
        "norwegian",
        "portuguese",
        "romanian",
        "russian",
        "spanish",
        "swedish",
        "turkish",
    ]
)
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
OTHER_NUMBER = re.compile(r"^[+-]?0[xob]|_|infinity|inf|nan", re.IGNORECASE)
EXPONENT = re.compile(r"[0-9]e[+-]?[0-9]{3}", re.IGNORECASE)
UUID = re.compile(r"[0-9a-f]{8}(-?)([0-9a-f]{4}\1){3}[0-9a-f]{12}", re.IGNORECASE)
PLAIN_DATE = re.compile(
    r"[1-9][0-9]{3}-((0?[1-9]|1[0-2])-(0?[1-9]|1[0-9]|2[0-8])|(0?[13-9]|1[0-2])-(29|30)"
    r"|(0?[13578]|1[02])-31)"
    r"([ T]([01]?[0-9]|2[0-3])(:[0-5][0-9]){1,2}(\.[0-9]{1,6})?"
    r"([+-](0[0-9]|1[0-2])(:?[0-5][0-9])?|Z)?)?"
)
PLAIN_INTERVAL = re.compile(
    r"([0-9]{1,4} *(second|sec|minute|min|hour|day|week|month|mon|year)s? *)+"
)
INVALID, OUT_OF_RANGE = "22P02", "22003"


def literal_fits(schema: Schema, text: str, type_: str) -> str | bool | None:
    """Return True where it is one, the SQLSTATE that it raises, or None where that is not known.

    The checks of a domain are asked when a row comes, and so is the length.
    """
    base = base_type(schema, type_)
    found = user_type_of(schema, base)
    if found is not None and found.kind == "e":
        return True if text in found.labels else INVALID
    if base in TEXTS:
        return True
    if base == "regclass":
        parts = text.replace('"', "").rpartition(".")
        return True if schema.visible(parts[0] or None, parts[2]) is not None else None
    if base == "regconfig":
        return True if text.removeprefix("pg_catalog.") in CONFIGURATIONS else None
    if (element := element_type(base)) is not None:
        return _array(schema, text.strip(), element)
    rule = RULES.get(base)
    return None if rule is None else rule(text.strip(), base)


def _integer(text: str, base: str) -> str | bool | None:
    if not INTEGER.fullmatch(text):
        # As of PostgreSQL 16 as in Python: 0x10, 1_000.
        return None if OTHER_NUMBER.search(text) else INVALID
    return True if -RANGES[base] <= int(text) < RANGES[base] else OUT_OF_RANGE


def _number(text: str, base: str) -> str | bool | None:
    if not NUMBER.fullmatch(text):
        return None if OTHER_NUMBER.search(text) else INVALID
    # A number that none of the types is too small for.
    return True if len(text) < 30 and "e" not in text.lower() else None


def _boolean(text: str, base: str) -> str | bool:
    low = text.lower()
    if low in ("on", "of", "off", "1", "0"):
        return True
    return True if low and any(word.startswith(low) for word in BOOLEANS) else INVALID


def _uuid(text: str, base: str) -> str | bool | None:
    if UUID.fullmatch(text):
        return True
    # In braces, and with a hyphen after any four digits (documentation, UUID Type).
    digits = text.strip("{}").replace("-", "")
    return None if UUID.fullmatch(digits) else INVALID


def _json(text: str, base: str) -> str | bool | None:
    try:
        json.loads(text, parse_constant=_no_json)
    except ValueError:
        return INVALID
    # What jsonb cannot keep.
    return True if "\\u" not in text and not EXPONENT.search(text) else None


def _no_json(word: str) -> None:
    raise ValueError(word)


def _date(text: str, base: str) -> bool | None:
    """Return True for the plain forms, None for the many others, and for what is wrong."""
    return True if PLAIN_DATE.fullmatch(text) else None


def _interval(text: str, base: str) -> bool | None:
    return True if PLAIN_INTERVAL.fullmatch(text) else None


def _array(schema: Schema, text: str, element: str) -> str | bool | None:
    """Look at the elements where nothing is quoted, escaped or within another array."""
    if text[:1] not in ("{", "["):
        return INVALID
    inner = text[1:-1]
    if text[0] != "{" or text[-1] != "}" or set(inner) & set('"\\{}'):
        return None
    parts = [each.strip() for each in inner.split(",")] if inner.strip() else []
    if any(not each or each.upper() == "NULL" for each in parts):
        return None
    fits = [literal_fits(schema, each, element) for each in parts]
    return next((each for each in fits if each is not True), True)


def _tid(text: str, base: str) -> str | bool:
    parts = text.removeprefix("(").removesuffix(")").split(",")
    return True if len(parts) == 2 and all(each.isdigit() for each in parts) else INVALID


def _inet(text: str, base: str) -> bool | None:
    return _address(text, ip_interface)


def _cidr(text: str, base: str) -> bool | None:
    return _address(text, ip_network)


def _address(text: str, read: Callable[[str], Any]) -> bool | None:
    """Return True for what Python, too, takes for one; PostgreSQL takes more, and less."""
    _, slash, length = text.partition("/")
    if "%" in text or (slash and not length.isdigit()):
        return None
    try:
        read(text)
    except ValueError:
        return None
    return True


def _record(text: str, base: str) -> str:
    """No text is taken for a row whose columns nothing says (record_in)."""
    return "0A000"


RULES = {
    "record": _record,
    "tid": _tid,
    "inet": _inet,
    "cidr": _cidr,
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "numeric": _number,
    "double precision": _number,
    "real": _number,
    "boolean": _boolean,
    "uuid": _uuid,
    "json": _json,
    "jsonb": _json,
    "interval": _interval,
    "date": _date,
    "timestamp without time zone": _date,
    "timestamp with time zone": _date,
}
