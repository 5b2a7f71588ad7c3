"""Statements on a fixed set of objects, a line each: the interpreter and the server agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.preflight.interpret.reading import read_schema
from tests.conftest import execute
from tests.interpret.objects import OBJECTS
from tests.interpret.undone import differences

pytestmark = pytest.mark.major

FILES = sorted((Path(__file__).parent / "statements").glob("*.sql"))


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=[each.stem for each in FILES])
def test_each_statement_does_what_is_claimed(file: Path, empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, OBJECTS)
    before = read_schema(connection)
    lines = [
        line
        for text in file.read_text().splitlines()
        for line in differences(before, text, connection)
    ]
    assert not lines, "\n".join(lines)
