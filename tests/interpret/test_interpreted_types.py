"""The types that statements name, as the server writes them."""

from __future__ import annotations

import pytest
from django.db import connections

from opsmigrate.sql.grammar import parse_expression, quoted_if_needed
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import KNOWN, PSEUDO, serial_type, type_of, without_modifier
from tests.conftest import execute, query

pytestmark = pytest.mark.major

WRITTEN = (
    "varchar(3)", "char", "char(4)", "numeric(3)", "numeric(3,1)", "bpchar", "bpchar(3)",
    "bit(3)", "bit", "varbit(3)",
    "bit varying(2)", "time(3)", "timestamp(6)", "timestamptz(3)", "timetz(2)", "interval(3)",
    "interval year", "interval month", "interval day to second(2)", "interval hour to minute",
    "interval second(1)", "interval year to month", "interval day", "interval minute to second",
    "interval day to hour", "interval day to minute", "interval hour to second", "interval hour",
    "interval minute", "int[]", "int[3][4]", "text array", "varchar(3)[]", "float", "float(3)",
    "double precision", "character varying", "dec(3)", "decimal", "national character(3)",
    "pg_catalog.int8", '"char"', "mood", "mood[]", "other.mood", '"Odd mood"',
    '"user"', "status",
)  # fmt: skip
# format_type() says of these with no modifier that they have none: no statement can.
BARE = {"any", "bit"}
REFUSED = ("varchar(0)", "numeric(0)", "numeric(1001)", "nothing", "other.nothing")
USERS = ("mood", "Odd mood", "user", "status")


def written(text: str) -> str | None:
    """Return the type of a cast, in a database with the types of users."""

    def lookup(schema: str | None, name: str) -> Name | None:
        there = name in USERS if schema in (None, "public") else name == "mood"
        return Name(schema or "public", name) if there else None

    return type_of(parse_expression(f"NULL::{text}").type_cast.type_name, lookup)


def test_a_type_is_called_as_the_server_calls_it(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('a')")
    for name in USERS:
        execute(connection, f"CREATE TYPE public.{quoted_if_needed(name)} AS ENUM ('a')")
    names = [quoted_if_needed(name) for name in sorted(KNOWN - PSEUDO - BARE)]
    wrong = []
    for text in (*names, *WRITTEN):
        execute(connection, "SET search_path = public")
        execute(connection, "DROP VIEW IF EXISTS v")
        execute(connection, f"CREATE VIEW v AS SELECT NULL::{text} AS c")
        execute(connection, "SET search_path = pg_catalog")
        [[server, bare]] = query(
            empty_database,
            "SELECT format_type(atttypid, atttypmod), format_type(atttypid, NULL)"
            " FROM pg_attribute WHERE attrelid = 'public.v'::regclass",
        )
        ours = written(text)
        if ours != server or without_modifier(ours) != bare:
            wrong.append((text, ours, server, bare))
    assert wrong == []


@pytest.mark.parametrize("text", REFUSED)
def test_a_type_that_is_not_known_is_not_guessed(text: str) -> None:
    assert written(text) is None


def test_a_serial_is_no_type() -> None:
    cast = parse_expression("NULL::serial").type_cast.type_name

    assert serial_type(cast) == "integer"
    assert serial_type(parse_expression("NULL::pg_catalog.serial").type_cast.type_name) is None
