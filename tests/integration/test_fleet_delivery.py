"""What a worker does with a unit that is delivered more than once, with real processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.fleet.delivery import deliver
from opsmigrate.fleet.shared_place import Assignment, SharedPlace, files_of
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit
from tests.fleet_schemas import Fleet

LABEL = "tenant_0001"
SECONDS = 60.0


@pytest.fixture
def delivered(
    fleet: Callable[[int], Fleet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Return a function that delivers a unit as a broker would, and returns what became of it."""
    tenants = fleet(1)
    for name, value in {
        **tenants.environment,
        "DJANGO_SETTINGS_MODULE": "tests.fleet_on_celery.settings",
        "FLEET_FOLDER": str(tmp_path),
        "FLEET_BROKER_URL": "redis://127.0.0.1:1/0",
        "FLEET_AUDIT": str(tmp_path / "audit"),
        "FLEET_COMMAND": "check_drift",
        "FLEET_GATED": LABEL,
    }.items():
        monkeypatch.setenv(name, value)
    place = SharedPlace(files_of(tmp_path / "run", None))
    target = Target(alias="default", schema=LABEL, label=LABEL, server="s:1")
    unit = Unit(command="check_drift", arguments=(), target=target, run_id="run")
    assigned = Assignment(unit=unit, release=None, seconds=None, starts_before=0)
    place.assign(assigned)
    original = connections[tenants.alias]

    def call(seconds: float | None = None) -> str:
        if seconds is not None:
            place.assign(replace(assigned, seconds=seconds))
        return deliver(
            LABEL,
            place=place,
            connection_of=lambda alias: original.copy(),
            release=None,
            worker="w",
        )

    return call


def test_a_unit_that_is_delivered_again_is_not_run_again(
    delivered: Callable[[], str], tmp_path: Path
) -> None:
    """Neither while the first delivery is at work, nor after it."""
    audit = tmp_path / "audit"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(delivered)
        deadline = time.monotonic() + SECONDS
        while not audit.exists():
            assert time.monotonic() < deadline
            assert not first.done(), first.result()
            time.sleep(0.05)
        second = pool.submit(delivered)
        try:
            assert second.result(SECONDS) == "already-running"
        finally:
            (tmp_path / f"audit.{LABEL}").touch()
        assert first.result() == "passed"
    assert delivered() == "done-before"
    lines = [json.loads(each) for each in audit.read_text().splitlines()]
    assert [each["what"] for each in lines] == ["begun", "ended"]


def test_a_unit_that_does_not_end_is_ended(delivered: Callable[..., str], tmp_path: Path) -> None:
    """Long after the time budget of its command; what became of it is undecided."""
    assert delivered(seconds=2.0) == "undecided"
    [file] = (tmp_path / "run" / "outcomes").iterdir()
    found = json.loads(file.read_text())
    assert (found["exit_code"], found["report"]) == (3, None)
    assert found["summary"] == "it was ended after 2 s, long after its time budget"
