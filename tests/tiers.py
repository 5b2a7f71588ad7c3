"""Which cases of a test run with every change, and which in another tier or by hand only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest


def one_in_core(cases: Iterable[Any], core: int = 1) -> list[Any]:
    """Return parameters: the first `core` of them for every tier, the others for the faults."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if number < core else pytest.mark.faults,
        )
        for number, case in enumerate(cases)
    ]


def every_few(
    items: Iterable[pytest.Item], step: int
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests to run and those to leave out: of each test's cases, one in `step` runs.

    The first always does. Of what is marked `newest`, for another Python or Django, all cases run.
    """
    seen: Counter[str] = Counter()
    run, left_out = [], []
    for item in items:
        name = item.nodeid.partition("[")[0]
        chosen = seen[name] % step == 0 or item.get_closest_marker("newest") is not None
        (run if chosen else left_out).append(item)
        seen[name] += 1
    return run, left_out
