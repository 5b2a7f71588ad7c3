"""What is told of a literal is what the server does with it."""

from __future__ import annotations

import pytest
from django.db import Error, connections

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.preflight.interpret.literals import literal_fits
from opsmigrate.preflight.interpret.schema import Schema
from tests.conftest import execute

pytestmark = pytest.mark.major

SCHEMA = Schema(version=180000)
INTEGERS = ("smallint", "integer", "bigint")
NUMBERS = (*INTEGERS, "numeric", "real", "double precision")
DATES = ("date", "timestamp without time zone", "timestamp with time zone")
JSON = ("json", "jsonb")
FIT = {
    ("1", "-1", "+1", " 7 ", "007", "32767", "-32768"): NUMBERS,
    ("1.5", ".5", "5.", "-0.25", "123456789012345678901234567"): NUMBERS[3:],
    ("2024-02-28", "2024-1-2", "2024-01-02 3:04", "2024-01-02T23:59:59.999999+02:00"): DATES,
    ("2024-01-02 23:59Z", "2024-01-02 00:00:00+0530", "9999-12-31", "2024-11-30"): DATES,
    ("1 day", "30 days", "1 year 2 months", "90 sec", "5 mins", "1 mon 2weeks"): ("interval",),
    ("{}", "[1, 2]", '{"a": null}', "1e10", '"a"', " true "): JSON,
    ("2f2cc0d0-5f4b-4b0e-9d3b-6d0f8c3f0a11", "2F2CC0D05F4B4B0E9D3B6D0F8C3F0A11"): ("uuid",),
    ("t", "TRUE", "of", "n", "1"): ("boolean",),
}
REFUSED = {
    ("", "a", "1.5", "1 2", "--1", "1e3", "\u0661"): INTEGERS,
    ("32768", "-32769"): ("smallint",),
    ("9223372036854775808",): INTEGERS,
    ("", "zzz", "1.2.3", "e5", "1e", "- 1", "\u0661"): NUMBERS[3:],
    ("", "{", "NaN", "[Infinity]", "-Infinity", "{'a': 1}", "01", "[1,]", "{}x"): JSON,
    ("", "x", "urn:uuid:2f2cc0d0-5f4b-4b0e-9d3b-6d0f8c3f0a11", "2f2cc0d0"): ("uuid",),
    ("", "o", "maybe", "10"): ("boolean",),
}
LEFT_OPEN = {
    ("0x10", "1_000", "0b1"): NUMBERS,
    ("NaN", "infinity", "sNaN", "1__0", "1e400", "1e39"): NUMBERS[3:],
    (
        "2024-01-01 nonsense",
        "2024-13-01",
        "2024-02-30",
        "2023-02-29",
        "2024-11-31",
        "now",
        "2024-01-01xyz",
    ): DATES,
    ("0000-01-01", "2024-01-01 25:00", "2024-01-01 10:70", "2024-01-01 10:00+99"): DATES,
    ("1 daze", "one day", "P1D", "1"): ("interval",),
    ("1e400", "1e-20000", '"\\u0000"'): JSON,
    ("{2f2cc0d0-5f4b-4b0e-9d3b-6d0f8c3f0a11}",): ("uuid",),
    ("2f2c-c0d0-5f4b-4b0e-9d3b-6d0f-8c3f-0a11",): ("uuid",),
}


def pairs(which: dict[tuple[str, ...], tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(text, type_) for texts, types in which.items() for text in texts for type_ in types]


def raised(database: str, text: str, type_: str) -> str | None:
    try:
        execute(connections[database], f"SELECT %s::{type_}", [text])
    except Error as error:
        return sqlstate(error)
    return None


def test_what_is_told_of_a_literal_is_what_the_server_does(empty_database: str) -> None:
    wrong = []
    for told, which in ((True, FIT), (False, REFUSED)):
        for text, type_ in pairs(which):
            says = literal_fits(SCHEMA, text, type_)
            does = raised(empty_database, text, type_)
            if (says is True) is not told or says != (True if does is None else does):
                wrong.append((text, type_, says, does))

    assert wrong == []


def test_what_not_every_server_takes_is_left_open() -> None:
    assert {literal_fits(SCHEMA, *each) for each in pairs(LEFT_OPEN)} == {None}
