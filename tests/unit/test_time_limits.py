"""The statement_timeout of migrate_safely, as the forecast allows it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import migrations

from opsmigrate.playbook.time_limits import statement_limit

FAST, SLOW, UNKNOWN = 0.1, 30.0, None
CODE = migrations.RunPython(migrations.RunPython.noop)
HIDDEN = migrations.SeparateDatabaseAndState(database_operations=[CODE])


def plan(*operations: Any) -> list[migrations.Migration]:
    migration = migrations.Migration("0001_step", "zoo")
    migration.operations = list(operations)
    return [migration]


@pytest.mark.parametrize(
    ("statements", "operations", "rehearsed", "seconds"),
    [
        ([FAST], (), False, 60),
        ([FAST, SLOW], (), False, 600),
        ([], (), False, 60),
        ([FAST, UNKNOWN], (), True, None),
        ([FAST], (CODE,), False, None),
        ([FAST], (HIDDEN,), False, None),
        ([SLOW], (CODE,), True, 600),
    ],
)
def test_what_is_not_known_is_not_limited(
    statements: list[Any], operations: tuple[Any, ...], rehearsed: bool, seconds: float | None
) -> None:
    assert statement_limit(statements, plan(*operations), rehearsed=rehearsed) == seconds
