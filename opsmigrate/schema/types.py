"""One spelling for each column type, whoever wrote it: Django, format_type(), or a project."""

import re
from collections.abc import Iterable
from functools import lru_cache

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.search_path import seen_by_project

SPELLINGS = {
    "varchar": "character varying",
    "char": "character",
    "nchar": "character",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
    "bool": "boolean",
    "decimal": "numeric",
    "dec": "numeric",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
}
# What CREATE TABLE takes after the type; some fields write it into their db_type.
AFTER_TYPE = re.compile(
    r"\s+(collate|check|default|not null|null|generated|primary key|unique|references|constraint)"
    r"\b.*",
    re.IGNORECASE | re.DOTALL,
)
DIMENSIONS = re.compile(r"(\s*\[\d*\])+$|\s+array(\s*\[\d*\])?$", re.IGNORECASE)
MODIFIERS = re.compile(r"\s*\(([^)]*)\)")
# Types of pg_catalog that are looked up as any name is.
ONE_WORD = frozenset(
    {
        *("bytea", "cidr", "date", "inet", "json", "jsonb", "macaddr", "money", "name", "oid"),
        *("regclass", "text", "tsquery", "tsvector", "uuid", "xml", "int4range", "int8range"),
        *("numrange", "daterange", "tsrange", "tstzrange"),
    }
)
# Values are at least minus the limit, and less than the limit.
INTEGER_LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
INTEGERS = frozenset(INTEGER_LIMITS)
UNPADDED_TEXTS = frozenset({"character varying", "text"})
TEXTS = UNPADDED_TEXTS | {"character", "citext"}


@lru_cache(maxsize=4096)
def canonical(type_: str) -> str:
    """Return the type as format_type() writes it, as far as the spelling goes.

    `varchar(20)` is `character varying(20)`, `numeric(9, 2)` is `numeric(9,2)`, `int[3]` is
    `integer[]`: PostgreSQL keeps neither the size nor the number of dimensions (documentation,
    Arrays).
    """
    plain = AFTER_TYPE.sub("", type_.strip())
    array = DIMENSIONS.search(plain) is not None
    plain = DIMENSIONS.sub("", plain)
    found = MODIFIERS.search(plain)
    sizes = re.sub(r"\s+", "", found.group(1)).lower() if found else ""
    name = re.sub(r"\s+", " ", MODIFIERS.sub("", plain)).strip()
    quoted = '"' in name
    name = name.replace('"', "") if quoted else name.lower().removeprefix("pg_catalog.")
    name = SPELLINGS.get(name, name)
    if name == "bpchar" and sizes:
        name = "character"
    if name == "character" and not sizes:
        sizes = "1"
    if name == "numeric" and sizes.endswith(",0"):
        sizes = sizes.removesuffix(",0")
    return name + (f"({sizes})" if sizes else "") + ("[]" if array else "")


def without_modifiers(type_: str) -> str:
    """Return a canonical type without its modifiers."""
    return MODIFIERS.sub("", type_)


def base(type_: str) -> str:
    """Return the type without its modifiers: `varchar(20)` is `character varying`."""
    return without_modifiers(canonical(type_))


def in_full(type_: str) -> str:
    """Return the type as SQL in which no type of that name in another schema can be meant.

    Those with a grammar of their own (`integer`, `character varying(9)`) are PostgreSQL's anyway.
    """
    return f"pg_catalog.{type_}" if type_.removesuffix("[]") in ONE_WORD else type_


def is_array(type_: str) -> bool:
    """Return whether the type is an array."""
    return canonical(type_).endswith("[]")


def element(type_: str) -> str:
    """Return the type of an array's elements, with its modifiers."""
    return canonical(type_).removesuffix("[]")


def modifiers(type_: str) -> tuple[int, ...]:
    """Return the numbers that stand in brackets: (10, 2) of `numeric(10, 2)`."""
    match = re.search(r"\(([\d, ]+)\)", type_)
    return tuple(int(number) for number in match.group(1).split(",")) if match else ()


def same_types(
    connection: BaseDatabaseWrapper, pairs: Iterable[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Return the pairs (as written, as in the catalog) that the server takes for the same type.

    In one query. A type in a schema of the search_path, for instance, is written without it.
    """
    pairs = list(pairs)
    names = sorted({without_modifiers(AFTER_TYPE.sub("", written)) for written, _ in pairs})
    query = "SELECT t, format_type(to_regtype(t), NULL) FROM unnest(%s::text[]) AS t"
    try:
        known: dict[str, str | None] = dict(seen_by_project(connection, query, [names]))
    except Error:
        # Before PostgreSQL 16 to_regtype() raises for what is no type's name.
        return frozenset()
    return frozenset(
        (written, there)
        for written, there in pairs
        if known[without_modifiers(AFTER_TYPE.sub("", written))] == without_modifiers(there)
        and MODIFIERS.findall(canonical(written)) == MODIFIERS.findall(canonical(there))
    )
