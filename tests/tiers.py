"""Which cases of a test run with every change, and which in the tier of the faults only."""

from __future__ import annotations

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
