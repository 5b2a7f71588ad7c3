"""The table of reported cases in docs/drift.md names tests that are there, each case once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
TABLE = (ROOT / "docs" / "drift.md").read_text(encoding="utf-8").partition("## Reported cases")[2]
ROWS = [
    tuple(cell.strip() for cell in line.strip("| ").split(" | "))
    for line in TABLE.splitlines()
    if line.startswith("|") and not line.startswith(("| case", "|---"))
]
FILE = re.compile(r"`(?:tests/unit/)?(\w+\.py)`")


def source_of(name: str) -> str:
    """Return the text of a test file."""
    found = list(TESTS.rglob(name))
    assert len(found) == 1, f"{name}: {len(found)} of that name"
    return found[0].read_text(encoding="utf-8")


def test_each_case_is_there_once() -> None:
    cases = [row[0] for row in ROWS]

    assert len(cases) > 40
    assert sorted(set(cases)) == sorted(cases)
    assert all(len(row) == 3 and all(row) for row in ROWS), ROWS


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_case_names_tests_that_are_there(row: tuple[str, str, str]) -> None:
    text = row[2]
    files = [source_of(name) for name in FILE.findall(text)]

    assert files, "name the file of the test"
    for word in re.findall(r"`([^`]+)`", text):
        if FILE.fullmatch(f"`{word}`"):
            continue
        name, _, case = word.partition("[")
        for part in filter(None, name.split("…")):
            if name.startswith("test_") or "…" in name:
                assert any(part in source for source in files), f"{word} is in none of its files"
        for part in filter(None, case.rstrip("]").split("…")):
            words = re.split(r"[-,]", part)
            plain = r"\W+".join(map(re.escape, words))
            assert any(re.search(plain, source) for source in files), f"no case {part}"
