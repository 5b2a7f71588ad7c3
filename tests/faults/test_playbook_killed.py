"""run_playbook stopped in each step, by a kill or a signal, and a second one beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Answer, url_of
from tests.interrupting import wait_until
from tests.playbook_stub import STEPS, StubProject

HELD = [
    pytest.param("migrate", marks=pytest.mark.named),
    "plan",
    *(step for step in STEPS if step != "migrate"),
]


def start(project: StubProject, alias: str) -> subprocess.Popen[str]:
    """Start run_playbook as a user would, in the project's folder."""
    environment = {
        **os.environ,
        "PROJECT": str(ROOT),
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OPSMIGRATE_TEST_DATABASE_URL": url_of(alias),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "run_playbook", "--yes", "--format", "json"],
        cwd=project.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Answer:
    stdout, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    return Answer(process.returncode, stdout, stderr)


@pytest.fixture
def project(tmp_path: Path) -> StubProject:
    stub = StubProject(tmp_path)
    stub.journal_dir = tmp_path / "reports"
    return stub


def hold(project: StubProject, alias: str, step: str) -> subprocess.Popen[str]:
    """Have a run that is in the midst of this step."""
    (project.folder / f"hold.{step}").touch()
    process = start(project, alias)
    wait_until(lambda: (project.folder / f"held.{step}").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    (project.folder / f"hold.{step}").unlink()
    return process


def steps_from(step: str) -> list[str]:
    return STEPS[STEPS.index("seed" if step == "plan" else step) :]


@pytest.mark.parametrize("step", HELD)
def test_a_run_that_was_killed_in_a_step_goes_on_with_it(
    staging: str, project: StubProject, step: str
) -> None:
    killed = hold(project, staging, step)
    killed.kill()
    killed.communicate()
    project.called()

    again = ended(start(project, staging))

    assert again.code == 0, again.stdout + again.stderr
    assert project.steps_called() == steps_from(step)
    journal = project.journal("default")
    assert [line["event"] for line in journal].count("begun") == 1
    assert journal[-1]["passed"] is True


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
