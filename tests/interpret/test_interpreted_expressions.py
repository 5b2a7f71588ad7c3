"""Expressions, as they are written and as the server keeps them, are the same tree."""

from __future__ import annotations

import pytest
from django.db import connections

from opsmigrate.sql.expressions import (
    Call,
    columns_used_by,
    constant_of,
    deparse,
    functions_called,
    is_constant,
    not_null_columns,
    parse_expression,
    same_expression,
)
from tests.conftest import execute, query

WRITTEN = (
    "a IN (1, 2)", "b IN ('x', 'y')", "c IN ('x', 'y')", "c IN ('x')", "a NOT IN (1, 2)",
    "a BETWEEN 1 AND 3", "a NOT BETWEEN 1 AND 2", "b LIKE 'a%'", "b NOT ILIKE 'x'",
    "b SIMILAR TO 'z'", "a > 0 AND (b <> '' AND c <> '')", "NOT (a IS NULL)",
    "CASE WHEN a = 1 THEN b = c END", "coalesce(b, c) <> ''", "lower(c) = c", "f > -1.5",
    "f >= 0.0", "a > -1", "g", "NOT g", "g = true", "g IS TRUE", "h ->> 'a' = 'x'",
    "a = ANY (ARRAY[1, 2])", "extract(year FROM d) > 2000", "trim(b) <> ''", "d > current_date",
    "e < now()", "i @> ARRAY[1, 2]", "b || c <> 'x'", "length(b) < 10", "a IS DISTINCT FROM 3",
    "b ~ '^[a-z]+$'", 'b COLLATE "C" > \'a\'', "(a, b) > (1, 'x')", "nullif(a, 0) IS NOT NULL",
    "a::text <> ''", "i[1] = 2", "greatest(a, 1) > 0", "num_nonnulls(a, b) = 1",
    "d + interval '1 day' > e", "substring(b FROM 1 FOR 2) = 'ab'", "position('x' IN b) = 0",
    "t.a = 1", "b = 'a''b'", "b = E'a\\nb'", "a = 1 OR a = 2 OR b IS NULL",
    "cast(a AS bigint) % 2 = 0", "- a < 3", "date_trunc('day', e) = e", "f = 1e3",
    "to_tsvector('english', b) @@ to_tsquery('x')", "a + 1 = 2 * 3", "i = '{1,2}'",
    "b > a::text AND c IS NOT NULL",
)  # fmt: skip
DIFFERENT = (
    ("a > 1", "a > 2"), ("a > 1", "a >= 1"), ("a > 1", "f > 1"), ("a > 1 AND g", "a > 1 OR g"),
    ("b = '01'", "b = '1'"), ("a IN (1, 2)", "a NOT IN (1, 2)"), ("lower(b) = c", "upper(b) = c"),
    ("a BETWEEN 1 AND 2", "a BETWEEN 2 AND 1"), ("b IS NULL", "b IS NOT NULL"), ("g", "NOT g"),
    ("count(a)", "count(DISTINCT a)"), ("a - b", "b - a"), ("a", None),
    ('b COLLATE "C" > c', "b > c"), ("a = ANY (i)", "a = ALL (i)"),
)  # fmt: skip


@pytest.mark.major
def test_what_is_written_is_what_the_server_keeps(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(
        connection,
        "CREATE TABLE t (a int, b text, c varchar(10), d date, e timestamptz, f numeric(10, 2),"
        " g boolean, h jsonb, i int[])",
    )
    wrong = []
    for text in WRITTEN:
        execute(connection, f"ALTER TABLE t ADD CONSTRAINT x CHECK ({text})".replace("%", "%%"), ())
        [[kept, columns]] = query(
            empty_database,
            "SELECT pg_get_expr(conbin, conrelid), ARRAY(SELECT attname::text"
            " FROM unnest(conkey) WITH ORDINALITY k (number, place) JOIN pg_attribute"
            " ON attrelid = conrelid AND attnum = number ORDER BY place)"
            " FROM pg_constraint WHERE conname = 'x'",
        )
        execute(connection, "ALTER TABLE t DROP CONSTRAINT x")
        again = deparse(parse_expression(text))
        if not (same_expression(text, kept) and same_expression(again, text)):
            wrong.append((text, kept))
        assert list(columns_used_by(text)) == columns, text
    assert wrong == []


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_expressions_that_differ_are_not_the_same(one: str, other: str | None) -> None:
    assert not same_expression(one, other)


NOT_NULL = {
    "a IS NOT NULL": {"a"},
    "a IS NOT NULL AND (b IS NOT NULL AND c > 0)": {"a", "b"},
    "a IS NOT NULL OR b IS NOT NULL": set(),
    "(a IS NOT NULL AND b IS NOT NULL) OR a IS NOT NULL": {"a"},
    "NOT (a IS NULL OR b IS NULL)": {"a", "b"},
    "NOT (a IS NULL AND b IS NULL)": set(),
    "a > 0": set(),
    "lower(a) IS NOT NULL": set(),
}


@pytest.mark.parametrize(("condition", "expected"), NOT_NULL.items(), ids=NOT_NULL.keys())
def test_what_a_condition_proves_not_to_be_null(condition: str, expected: set[str]) -> None:
    assert not_null_columns(parse_expression(condition)) == expected


def test_what_an_expression_calls_and_whether_it_is_a_constant() -> None:
    calls = functions_called(parse_expression("lower(s.f(a, 1)) || now()::text"))

    assert calls == (Call(None, "lower", 1), Call("s", "f", 2), Call(None, "now", 0))
    constants = {"1": "1", "-1.5": "-1.5", "'a'::varchar(3)": "a", "true": "true", "NULL": None}
    assert {text: constant_of(parse_expression(text)) for text in constants} == constants
    assert all(is_constant(parse_expression(text)) for text in (*constants, "ARRAY[1, 2]::int[]"))
    assert not any(is_constant(parse_expression(text)) for text in ("now()", "a", "1 + 1"))
