"""Statements on tables: what the interpreter claims of each is what the server does.

`tables/` has them, a line each, and says of none what it does: the server is asked. A line that
ends with `-- unknown` is one that the interpreter does not claim to understand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from tests.interpret.bisimulation import compare
from tests.interpret.equivalence import Equivalence

FOLDER = Path(__file__).parent / "tables"
SETUP = (FOLDER / "setup.sql").read_text()
UNKNOWN = "-- unknown"
EMPTY = "DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA public;"
EMPTY += "CREATE SCHEMA other; "
# Every so manieth line is tried in the core tier: the first of each kind of statement is long.
SOME = 12
FILES = sorted(path.stem for path in FOLDER.glob("*.sql") if path.stem != "setup")


def lines_of(name: str) -> list[str]:
    """Return the lines of a file with statements in them."""
    lines = (FOLDER / f"{name}.sql").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("--")]


def set_up(connection: BaseDatabaseWrapper) -> None:
    """Make the tables as they are when a line begins."""
    with connection.cursor() as cursor:
        cursor.execute(EMPTY + SETUP)


def differences(lines: list[str], connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Yield what the server does otherwise than is claimed, and what is not claimed at all."""
    same = Equivalence(connection)
    fresh = None
    for line in lines:
        if fresh is None:
            set_up(connection)
            fresh = read_schema(connection)
        schema, unclaimed = fresh, False
        for statement in parse(line.removesuffix(UNKNOWN)):
            found = compare(schema, statement, connection, same)
            yield from found.lines()
            unclaimed = unclaimed or found.unknown is not None
            if found.sqlstate is None or found.after is not schema:
                fresh = None
            schema = found.after
        # What an older server does not have at all is claimed: it is refused there.
        if unclaimed and not line.endswith(UNKNOWN):
            yield f"not claimed: {line}"


@pytest.mark.long
@pytest.mark.major
@pytest.mark.parametrize("name", FILES)
def test_some_statements_on_tables(name: str, new_database: Callable[..., str]) -> None:
    connection = connections[new_database()]

    assert list(differences(lines_of(name)[::SOME], connection)) == []


@pytest.mark.long
@pytest.mark.major
@pytest.mark.parametrize("name", FILES)
def test_all_statements_on_tables(name: str, new_database: Callable[..., str]) -> None:
    connection = connections[new_database()]

    assert list(differences(lines_of(name), connection)) == []
