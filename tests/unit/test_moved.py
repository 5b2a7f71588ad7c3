"""Statements that name a schema, for another schema."""

import pytest

from opsmigrate.sql.moved import NotMovableError, moved_by


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ('SELECT 1 FROM "a"."t"', 'SELECT 1 FROM "n ""ew"."t"'),
        ("SELECT a.f(x) FROM a.t, b.a", 'SELECT "n ""ew".f(x) FROM "n ""ew".t, b.a'),
        ("SELECT x::a.mood, 'ä' FROM a /* a.t */ . t", None),
        ('SELECT "a" FROM "A"."t" WHERE "a" > 1', 'SELECT "a" FROM "A"."t" WHERE "a" > 1'),
        ("SELECT t.a.x FROM t", "SELECT t.a.x FROM t"),
    ],
)
def test_the_schema_is_another_one_where_it_stands_before_a_name(
    text: str, moved: str | None
) -> None:
    expected = moved or text.replace("::a.", '::"n ""ew".').replace("FROM a ", 'FROM "n ""ew" ')
    assert moved_by(text, "a")('n "ew') == expected
    assert moved_by(text, "a")("a") == text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM t AS a",
        "SELECT nextval('a.t_id_seq')",
        "SELECT '\"a\".t'::regclass",
        "SELECT 'a'::regnamespace",
        "SELECT $$a$$",
        "SELECT FROM",
    ],
)
def test_where_it_may_stand_in_another_way_nothing_is_moved(text: str) -> None:
    with pytest.raises(NotMovableError):
        moved_by(text, "a")
