"""run_playbook where its disk is full, its server crashes, or its session is ended; resumed."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.pgtools import embedded
from opsmigrate.playbook.one_at_a_time import LOCK_SPACE, OF_THE_PLAYBOOK
from tests.aliases import elsewhere
from tests.conftest import Answer, query
from tests.interrupting import wait_until
from tests.playbook_stub import STEPS, StubProject, ended, hold, start

HOLDER = f"""
SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
AND l.classid = {LOCK_SPACE} AND l.objid = {OF_THE_PLAYBOOK}
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def project(tmp_path: Path) -> StubProject:
    stub = StubProject(tmp_path)
    stub.journal_dir = tmp_path / "reports"
    return stub


@pytest.mark.parametrize("part", [0.1, 0.4, 0.6, 0.8, pytest.param(1.0, marks=pytest.mark.named)])
def test_a_disk_that_is_full_stops_the_run_where_the_journal_ends(
    staging: str, project: StubProject, part: float
) -> None:
    """Where the system takes a part of a line, the rest must not be taken for written."""
    assert ended(start(project, staging)).code == 0
    whole = project.journal_dir / "playbook_default.jsonl"
    # In the last line at the latest; the seconds of the steps may have more or fewer digits.
    most = int(whole.stat().st_size * part) - 60
    whole.unlink()
    project.called()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    stopped = ended(start(project, staging, before=limit))
    first = project.steps_called()
    again = ended(start(project, staging))

    assert (stopped.code, stopped.ids) == (3, ["journal-not-written"]), stopped.stdout
    assert "File too large" in stopped.report["findings"][0]["message"]
    assert again.code == 0, again.stdout
    then = project.steps_called()
    # At most one step is taken twice, that whose end was not written; none is left out. Where only
    # the end of the run was not, all was done, and the next run is another one.
    taken = [*first, *then], [*first[:-1], *then]
    assert STEPS in taken or first == then == STEPS
    lines = whole.read_text().splitlines()
    assert json.loads(lines[-1])["passed"] is True


def require_resumed(project: StubProject, alias: str, stopped: Answer, step: str) -> None:
    following = STEPS[STEPS.index(step) + 1]
    assert (stopped.code, stopped.ids) == (3, ["server-lost"]), stopped.stdout + stopped.stderr
    assert f"before the step {following}" in stopped.report["findings"][0]["message"]
    steps = [each["text"] for each in stopped.report["findings"][0]["steps"]]
    wrote = STEPS.index(step) >= STEPS.index("seed")
    assert any("restore_db" in each for each in steps) is wrote
    last = project.journal("default")[-1]
    assert (last["event"], last["passed"], bool(last["rollback"])) == ("ended", False, wrote)
    project.called()
    again = ended(start(project, alias))
    assert again.code == 0, again.stdout + again.stderr
    assert project.steps_called() == STEPS[STEPS.index(step) + 1 :]


@pytest.mark.parametrize("step", ["preflight", pytest.param("seed", marks=pytest.mark.named)])
def test_where_the_session_that_holds_the_lock_is_ended_nothing_more_is_begun(
    staging: str, project: StubProject, step: str
) -> None:
    process = hold(project, staging, step)
    query(staging, f"SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS h")
    project.let_go(step)

    require_resumed(project, staging, ended(process), step)


def test_where_the_server_crashes_in_a_step_the_next_run_goes_on(
    staging: str, project: StubProject, tmp_path: Path
) -> None:
    major = connections[staging].pg_version // 10_000
    with (
        embedded.running(tmp_path / "server", major=major, durable=False) as server,
        elsewhere(staging, server.url) as alias,
    ):
        process = hold(project, alias, "seed")
        [(pid,)] = query(alias, HOLDER)
        connections[alias].close()
        # PostgreSQL ends every session then, and recovers.
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_up(alias), seconds=60)
        project.let_go("seed")

        require_resumed(project, alias, ended(process), "seed")


def is_up(alias: str) -> bool:
    try:
        return bool(query(alias, "SELECT 1"))
    except Exception:
        connections[alias].close()
        return False
