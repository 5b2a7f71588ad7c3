"""Who types the steps of findings sees each value that is lost or changed, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from opsmigrate.steps import Step, command, statement
from tests.conftest import execute
from tests.remedies import Typist, unannounced

SETUP = """
CREATE TABLE hen (id int PRIMARY KEY, name text, weight numeric(6, 3));
INSERT INTO hen VALUES (1, 'Ada', 2.125), (2, 'Ada', NULL), (3, NULL, 1.5);
CREATE TABLE egg (id int); INSERT INTO egg VALUES (1), (1)
"""
HARMLESS = [
    "ALTER TABLE hen RENAME COLUMN name TO title",
    "ALTER TABLE hen ADD COLUMN age int DEFAULT 3",
    "ALTER TABLE hen ALTER COLUMN title TYPE varchar(9)",
    "ALTER TABLE hen RENAME TO bird",
    "INSERT INTO egg VALUES (2)",
]
HARMFUL = {
    "ALTER TABLE hen DROP COLUMN weight": "column public.hen.weight is gone with 2 value(s)",
    "ALTER TABLE hen ALTER COLUMN weight TYPE numeric(6, 1)": "public.hen: 2 row(s) lost",
    "ALTER TABLE hen ALTER COLUMN name TYPE varchar(2) USING name::varchar(2)": "public.hen: 2 row",
    "DELETE FROM hen WHERE id = 3": "public.hen: 1 row(s) lost or changed",
    "DELETE FROM egg WHERE ctid = (SELECT min(ctid) FROM egg)": "public.egg: 1 row(s)",
    "DROP TABLE egg": "table public.egg is gone with 2 row(s)",
}


def finding(*steps: Step, hint: str | None = None) -> dict[str, Any]:
    """Return a finding as a JSON report has it."""
    return {"id": "table-exists", "hint": hint, "steps": [vars(step) for step in steps]}


@pytest.fixture
def hens(empty_database: str) -> str:
    """Return the alias of a database with rows."""
    execute(connections[empty_database], SETUP)
    return empty_database


def test_what_is_renamed_added_or_of_another_type_is_not_lost(hens: str, typist: Typist) -> None:
    assert typist.type(hens, finding(*map(statement, HARMLESS))) == []


@pytest.mark.parametrize(("text", "words"), HARMFUL.items(), ids=str)
def test_what_a_step_loses_is_seen_unless_its_risk_says_so(
    text: str, words: str, hens: str, typist: Typist
) -> None:
    typed = finding(statement(text))

    gone = typist.type(hens, typed)

    assert len(gone) == 1
    assert words in gone[0]
    assert unannounced(typed, gone) == gone
    assert unannounced(finding(statement(text, risk="loses its values")), gone) == []


def test_a_step_that_fails_is_no_cure(hens: str, typist: Typist) -> None:
    with pytest.raises(AssertionError, match='table "nest" does not exist'):
        typist.type(hens, finding(statement("DROP TABLE nest")))
    with pytest.raises(AssertionError, match="no_such_command"):
        typist.type(hens, finding(command("python manage.py no_such_command")))


def test_of_several_ways_one_is_typed(
    hens: str, typist: Typist, role: Callable[..., dict[str, str]]
) -> None:
    ways = finding(statement("DROP TABLE nest"), statement("DROP TABLE egg", alternative=2))

    assert typist.type(hens, ways, alternative=2) == ["table public.egg is gone with 2 row(s)"]
    connections[hens].settings_dict.update(role())
    with pytest.raises(AssertionError, match="must be owner"):
        typist.type(hens, finding(statement("DROP TABLE hen")))
    assert typist.type(hens, finding(statement("DROP TABLE hen"), hint="as a superuser"))
