"""Whether a literal is a value of a type, as far as that can be told without the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_interface, ip_network
from typing import Any
from uuid import UUID

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


def _integer(text: str, base: str) -> str | bool:
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return INVALID
    return True if -RANGES[base] <= int(text) < RANGES[base] else OUT_OF_RANGE


def _number(text: str, base: str) -> str | bool | None:
    try:
        Decimal(text)
    except InvalidOperation:
        return INVALID
    return True if len(text) < 30 and text.isascii() else None


def _boolean(text: str, base: str) -> str | bool:
    low = text.lower()
    if low in ("on", "of", "off", "1", "0"):
        return True
    return True if low and any(word.startswith(low) for word in BOOLEANS) else INVALID


def _uuid(text: str, base: str) -> str | bool | None:
    try:
        UUID(text)
    except ValueError:
        return INVALID if len(text) != 38 else None
    return True


def _json(text: str, base: str) -> str | bool | None:
    try:
        json.loads(text)
    except ValueError:
        return INVALID
    return True if "\\u" not in text else None


def _date(text: str, base: str) -> bool | None:
    """Return True for the plain forms, None for the many others, and for what is wrong."""
    day = text.split(" ")[0].split("T")[0]
    parts = day.split("-")
    plain = len(parts) == 3 and all(each.isdigit() for each in parts) and len(parts[0]) == 4
    return True if plain and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 28 else None


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
    "date": _date,
    "timestamp without time zone": _date,
    "timestamp with time zone": _date,
}
