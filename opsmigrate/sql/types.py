"""The type that a statement names, as PostgreSQL's format_type() writes it.

Types of users carry their schema always, as format_type() has it where the search_path is
pg_catalog alone: it is a key, whoever looks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.grammar import parse_expression, quoted_if_needed
from opsmigrate.sql.names import Name

# Where a name without, or with, a schema finds a type that is not PostgreSQL's; None for nowhere.
Lookup = Callable[[str | None, str], Name | None]

SYSTEM = "pg_catalog"
# What format_type() calls otherwise than pg_type.typname does (format_type.c).
SHOWN = {
    "any": '"any"',
    "bool": "boolean",
    "char": '"char"',
    "float4": "real",
    "float8": "double precision",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
    "varchar": "character varying",
}
AS_NAMED = frozenset({
    "aclitem", "bit", "box", "bpchar", "bytea", "cid", "cidr", "circle", "date",
    "datemultirange", "daterange", "gtsvector", "inet", "int2vector", "int4multirange",
    "int4range", "int8multirange", "int8range", "interval", "json", "jsonb", "jsonpath", "line",
    "lseg", "macaddr", "macaddr8", "money", "name", "numeric", "nummultirange", "numrange",
    "oid", "oidvector", "path", "pg_lsn", "pg_snapshot", "point", "polygon", "refcursor",
    "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper",
    "regoperator", "regproc", "regprocedure", "regrole", "regtype", "text", "tid",
    "tsmultirange", "tsquery", "tsrange", "tstzmultirange", "tstzrange", "tsvector",
    "txid_snapshot", "uuid", "xid", "xid8", "xml",
})  # fmt: skip
# Of no column, but of arguments and results.
PSEUDO = frozenset({
    "anyarray", "anycompatible", "anycompatiblearray", "anycompatiblemultirange",
    "anycompatiblenonarray", "anycompatiblerange", "anyelement", "anyenum", "anymultirange",
    "anynonarray", "anyrange", "cstring", "event_trigger", "fdw_handler", "index_am_handler",
    "internal", "language_handler", "record", "table_am_handler", "trigger", "tsm_handler",
    "unknown", "void",
})  # fmt: skip
KNOWN = AS_NAMED | PSEUDO | frozenset(SHOWN)
# Only a bare name is one (transformColumnDefinition).
SERIAL = {
    "bigserial": "bigint",
    "serial": "integer",
    "serial2": "smallint",
    "serial4": "integer",
    "serial8": "bigint",
    "smallserial": "smallint",
}
# The fields of an interval, by the bits that the grammar has for them (datetime.h, INTERVAL_MASK).
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND = (1 << bit for bit in (2, 1, 3, 10, 11, 12))
INTERVAL_FIELDS = {
    _YEAR: " year",
    _MONTH: " month",
    _DAY: " day",
    _HOUR: " hour",
    _MINUTE: " minute",
    _SECOND: " second",
    _YEAR | _MONTH: " year to month",
    _DAY | _HOUR: " day to hour",
    _DAY | _HOUR | _MINUTE: " day to minute",
    _DAY | _HOUR | _MINUTE | _SECOND: " day to second",
    _HOUR | _MINUTE: " hour to minute",
    _HOUR | _MINUTE | _SECOND: " hour to second",
    _MINUTE | _SECOND: " minute to second",
    0x7FFF: "",
}
MOST_FRACTION, MOST_DIGITS, LONGEST_CHARACTER, LONGEST_BIT = 6, 1000, 10_485_760, 83_886_080


def serial_type(node: Any) -> str | None:
    """Return the type of the column that a serial makes, None where the TypeName is none."""
    if len(node.names) != 1 or node.pct_type or node.setof:
        return None
    return SERIAL.get(node.names[0].string.sval)


def type_of(node: Any, lookup: Lookup) -> str | None:
    """Return the type that a TypeName means; None where that is not known here.

    Not known are types that `lookup` does not find, modifiers of users' types, `t.c%TYPE`, SETOF
    (whose element's type is asked without it), and modifiers that the server refuses.
    """
    if node.pct_type or node.setof:
        return None
    parts = [as_stored(each.string.sval) for each in node.names]
    if len(parts) > 2:
        return None
    schema, name = (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    shown = _element(schema, name, _modifiers(node), lookup)
    # Dimensions and their lengths mean nothing to PostgreSQL (documentation, Arrays).
    return f"{shown}[]" if shown and node.array_bounds else shown


def element_type(shown: str) -> str | None:
    """Return the type of an array's elements, None for what is no array."""
    return shown.removesuffix("[]") if shown.endswith("[]") else None


@lru_cache(maxsize=4096)
def without_modifier(shown: str) -> str:
    """Return a type without what stands in its brackets, as format_type(type, NULL) has it."""
    array = "[]" if shown.endswith("[]") else ""
    bare = shown.removesuffix("[]")
    if bare.startswith("interval"):
        return "interval" + array
    if bare == "bpchar":  # as format_type() writes the same type with no length at all
        return "character" + array
    before, opened, rest = bare.partition("(")
    if not opened or '"' in before:
        return shown
    return before + rest.partition(")")[2] + array


def user_type(name: Name) -> str:
    """Return the type of this name as format_type() writes it with its schema."""
    return f"{quoted_if_needed(name.schema)}.{quoted_if_needed(name.name)}"


def seen_type(shown: str, lookup: Lookup) -> str:
    """Return a type as format_type() writes it for who sees it without its schema, else as it is.

    `lookup` says what a name without a schema finds.
    """
    if "." not in shown:
        return shown
    type_cast = parse_expression(f"NULL::{shown}").type_cast
    parts = [as_stored(each.string.sval) for each in type_cast.type_name.names]
    if len(parts) != 2 or lookup(None, parts[1]) != Name(*parts):
        return shown
    return shown.removeprefix(f"{quoted_if_needed(parts[0])}.")


Modifiers = tuple[int, ...] | None


def _modifiers(node: Any) -> Modifiers:
    """Return the numbers in the brackets, None where something else stands there."""
    found = []
    for each in node.typmods:
        if each.a_const.WhichOneof("val") != "ival":
            return None
        found.append(each.a_const.ival.ival)
    return tuple(found)


def _element(schema: str | None, name: str, modifiers: Modifiers, lookup: Lookup) -> str | None:
    if schema in (None, SYSTEM) and name in KNOWN:
        return SHOWN.get(name, name) if modifiers == () else _modified(name, modifiers)
    if schema == SYSTEM or modifiers != ():
        return None
    found = lookup(schema, name)
    return None if found is None else user_type(found)


def _modified(name: str, modifiers: Modifiers) -> str | None:
    """Return a type of PostgreSQL's with its modifiers; None where it has none such."""
    if modifiers is None:
        return None
    if name == "numeric":
        return _numeric(modifiers)
    if name == "interval":
        return _interval(modifiers)
    [number, *more] = modifiers
    if more:
        return None
    if name in ("bpchar", "varchar", "bit", "varbit"):
        longest = LONGEST_BIT if "bit" in name else LONGEST_CHARACTER
        shown = "character" if name == "bpchar" else SHOWN.get(name, name)
        return f"{shown}({number})" if 0 < number <= longest else None
    if name in ("time", "timetz", "timestamp", "timestamptz") and number >= 0:
        word, _, zone = SHOWN[name].partition(" ")
        return f"{word}({min(number, MOST_FRACTION)}) {zone}"
    return None


def _numeric(modifiers: tuple[int, ...]) -> str | None:
    digits, scale = (*modifiers, 0)[:2]
    if len(modifiers) > 2 or not (1 <= digits <= MOST_DIGITS and scale >= -MOST_DIGITS):
        return None
    return f"numeric({digits},{scale})" if scale <= MOST_DIGITS else None


def _interval(modifiers: tuple[int, ...]) -> str | None:
    fields = INTERVAL_FIELDS.get(modifiers[0])
    if fields is None or len(modifiers) > 2:
        return None
    fraction = f"({min(modifiers[1], MOST_FRACTION)})" if len(modifiers) == 2 else ""
    return f"interval{fields}{fraction}"
