"""The tests that were skipped, from pytest's process to that of scripts/test.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

# Names the file in which tests/conftest.py writes them down.
SKIPPED_VARIABLE = "OPSMIGRATE_TEST_SKIPPED"


def write_down(skipped: Iterable[tuple[str, str]], file: Path) -> None:
    """Write down each test that was skipped, and why."""
    file.write_text(json.dumps(list(skipped)), encoding="utf-8")


def skipped_tests(file: Path) -> Iterator[tuple[str, str]]:
    """Yield what was written down; nothing where pytest did not come so far."""
    if file.exists():
        yield from ((name, why) for name, why in json.loads(file.read_text(encoding="utf-8")))
