"""Which expressions have an answer for every row, so that no row is read for them."""

import pytest

from opsmigrate.preflight.walk.infallible import cannot_fail


@pytest.mark.parametrize(
    ("expression", "never_fails"),
    [
        ('"size" >= 0', True),
        ('"size" IN (1, 2) AND NOT ("name" IS NULL)', True),
        ("lower(\"name\") LIKE 'a%%' OR \"name\"::text = 'b'", True),
        ("\"key\" = '00000000-0000-0000-0000-000000000000'::uuid", True),
        ('"size" BETWEEN 1 AND 3, COALESCE("name", \'\')', True),
        ('"Sum (of all)" = 1', True),
        ("\"name\" <> 'my_function(1)'", True),
        ('"name"::uuid IS NOT NULL', False),
        ('"name"::boolean', False),
        ("\"name\" LIKE 'a\\'", False),
        ('"name" LIKE "pattern"', False),
        ('"shout"("name") IS NOT NULL', False),
        ("other.lower(\"name\") = 'a'", False),
        ('"size" / "count" > 1', False),
        ("(SELECT true)", False),
        ("size >=", False),
    ],
)
def test_only_what_compares_is_said_never_to_fail(expression: str, never_fails: bool) -> None:
    assert cannot_fail(expression) is never_fails
