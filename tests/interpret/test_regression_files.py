"""PostgreSQL's own regression statements: the recorded numbers of differences may only fall."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.db import connections

from tests.interpret import regression

COUNTS = Path(__file__).parent / "regression_counts.json"


@pytest.mark.long
@pytest.mark.parametrize("name", regression.FILES)
def test_differences_only_fall(name: str, empty_database: str) -> None:
    """Compare with what is recorded, for 18; UPDATE_COUNTS=1 writes down what is fewer."""
    connection = connections[empty_database].copy()
    assert connection.pg_version >= 180_000, "the files are those of 18: give a server of it"
    recorded = json.loads(COUNTS.read_text())
    found, _ = regression.replay(connection, name)
    print(*found.lines(), sep="\n")
    now = {
        "statements": found.statements,
        "wrong": found.wrong,
        "unknown": found.unknown.total(),
    }
    former = recorded.get(name, {**now, "statements": 0})
    if os.environ.get("UPDATE_COUNTS"):
        best = {key: min(now[key], former[key]) for key in ("wrong", "unknown")}
        recorded[name] = {**now, **best}
        COUNTS.write_text(json.dumps(recorded, indent=2) + "\n")
    assert now["wrong"] <= former["wrong"]
    assert now["unknown"] <= former["unknown"]
