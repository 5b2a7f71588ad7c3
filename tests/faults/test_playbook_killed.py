"""run_playbook stopped in each step, by a kill or a signal, and a second one beside it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.playbook_stub import STEPS, StubProject, ended, hold, start

HELD = [
    pytest.param("migrate", marks=pytest.mark.named),
    "plan",
    *(step for step in STEPS if step != "migrate"),
]


@pytest.fixture
def project(tmp_path: Path) -> StubProject:
    stub = StubProject(tmp_path)
    stub.journal_dir = tmp_path / "reports"
    return stub


def left_in(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_dir())


def steps_from(step: str) -> list[str]:
    return STEPS[STEPS.index("seed" if step == "plan" else step) :]


@pytest.mark.parametrize("step", HELD)
def test_a_run_that_was_killed_in_a_step_goes_on_with_it(
    staging: str, project: StubProject, step: str
) -> None:
    killed = hold(project, staging, step)
    killed.kill()
    killed.communicate()
    assert left_in(project.temporary)
    project.called()

    again = ended(start(project, staging))

    assert again.code == 0, again.stdout + again.stderr
    assert project.steps_called() == steps_from(step)
    journal = project.journal("default")
    assert [line["event"] for line in journal].count("begun") == 1
    assert journal[-1]["passed"] is True
    # What the killed one had no time to delete.
    assert left_in(project.temporary) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_and_the_run(
    staging: str, project: StubProject, number: signal.Signals
) -> None:
    process = hold(project, staging, "seed")
    process.send_signal(number)

    answer = ended(process)

    assert answer.code == 130
    assert answer.ids == ["playbook-stopped"]
    assert "interrupted in the step seed" in answer.report["findings"][0]["message"]
    assert "restore_db" in json.dumps(answer.report["findings"][0]["steps"])
    last = project.journal("default")[-2:]
    assert last[0]["end"]["exit_code"] == 130
    assert last[1]["rollback"].startswith("python manage.py restore_db ")
    project.called()
    assert ended(start(project, staging)).code == 0
    assert project.steps_called() == steps_from("seed")


def test_of_two_at_once_the_second_is_refused(staging: str, project: StubProject) -> None:
    first = hold(project, staging, "migrate")
    try:
        second = ended(start(project, staging))
    finally:
        first.terminate()
        first.communicate()

    assert (second.code, second.ids) == (4, ["already-running"])
    assert "opsmigrate run_playbook" in second.report["findings"][0]["message"]
