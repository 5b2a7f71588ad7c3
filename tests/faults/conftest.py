"""Every test here is of the tier of the faults; those marked `named` run with each change too."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, but those that are too long for that tier as well."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("long") is None:
            item.add_marker("faults")
