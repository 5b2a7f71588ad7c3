"""A tenant behind pgbouncer: its schema is set, never asked for when the session starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import environment_for, run, url_of
from tests.fleet_schemas import SETTINGS, Fleet
from tests.integration.test_pgbouncer import through


@pytest.mark.system
@pytest.mark.parametrize(
    ("mode", "verdicts", "migrated"),
    [("session", {"passed": 2}, ["tenant_0001", "tenant_0002"]), ("transaction", None, [])],
)
def test_a_tenant_behind_a_pooler(
    mode: str,
    verdicts: dict[str, int] | None,
    migrated: list[str],
    fleet: Callable[[int], Fleet],
    tmp_path: Path,
) -> None:
    """In session mode each is migrated in its schema; in transaction mode it is refused."""
    tenants = fleet(2)
    # It refuses `options` as the session starts, unless it is told to ignore them.
    with through(tenants.alias, mode, ignored="extra_float_digits") as pooled:
        environment = {**environment_for(url_of(pooled)), "DJANGO_SETTINGS_MODULE": SETTINGS}
        answer = run(
            *("-m", "django", "fleet", "migrate_safely", "--at-most", "1", "--format", "json"),
            env={**environment, "PYTHONPATH": tenants.environment["PYTHONPATH"]},
            cwd=tmp_path,
        )
    counts = answer.report["facts"]["counts"]
    if verdicts is not None:
        assert (answer.code, counts) == (0, verdicts), answer.stdout
    else:
        assert (answer.code, counts) == (4, {"refused": 2}), answer.stdout
        assert answer.ids == ["pooled-by-transaction"]
    assert tenants.migrated() == migrated
