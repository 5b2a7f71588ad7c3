"""run_playbook with its real commands: killed in each step and resumed, and rolled back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.postgres.names import quoted
from tests.conftest import ROOT, Answer, environment_for, execute, query, url_of
from tests.interrupting import wait_until
from tests.json_reports import parsed
from tests.playbook_stub import OUR_LOCKS, STEPS
from tests.prepared import SITE_PASSWORD

PAYMENTS = "SELECT count(*), sum(amount) FROM treasury_payment"
APPLIED = "SELECT app || '.' || name FROM django_migrations ORDER BY 1"
SETTINGS = """
from staging_settings import *
OPSMIGRATE = {**OPSMIGRATE, "JOURNAL_DIR": %r, "REHEARSE": "off",
              "UAT": {**OPSMIGRATE["UAT"], "URLS": []}}
"""


class Project:
    """The treasury with a journal of its own, as users run it."""

    def __init__(self, alias: str, folder: Path) -> None:
        (folder / "journal_settings.py").write_text(SETTINGS % str(folder / "journal"))
        self.alias, self.folder = alias, folder
        self.environment = environment_for(
            url_of(alias),
            PYTHONPATH=os.pathsep.join((str(folder), str(ROOT))),
            BACKUP_DIR=str(folder / "backups"),
            LOCAL_HTTP="1",
            UAT_USERNAME="staging",
            UAT_PASSWORD=SITE_PASSWORD,
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "manage.py"), *argv]
        return subprocess.Popen(
            [*command, "--settings=journal_settings", "--format", "json"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str) -> Answer:
        process = self.start(*argv)
        stdout, stderr = process.communicate(timeout=600)
        assert "Traceback" not in stderr, stderr
        return Answer(process.returncode, stdout, stderr)

    def journal(self) -> list[dict[str, Any]]:
        file = self.folder / "journal" / "playbook_default.jsonl"
        return [parsed(line) for line in file.read_text().splitlines()] if file.exists() else []

    def has_begun(self, step: str) -> bool:
        return any(line.get("step") == step for line in self.journal())


@pytest.fixture
def project(staging: str, tmp_path: Path) -> Project:
    return Project(staging, tmp_path)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
@pytest.mark.parametrize("step", STEPS)
def test_killed_in_a_step_and_resumed_all_is_done(
    project: Project, step: str, seconds: float
) -> None:
    before = query(project.alias, PAYMENTS)
    process = project.start("run_playbook", "--yes", "--until", "migrate")
    try:
        wait_until(lambda: project.has_begun(step) or process.poll() is not None, seconds=400)
        time.sleep(seconds)
    finally:
        process.kill()
        process.communicate()
    # What the step had begun ends by itself, and soon.
    wait_until(lambda: not query(project.alias, OUR_LOCKS), seconds=60)

    again = project.run("run_playbook", "--yes", "--until", "migrate")

    assert again.code == 0, again.stdout + again.stderr
    assert query(project.alias, PAYMENTS) == before
    unfilled = "SELECT count(*) FROM treasury_payment WHERE payment_id IS NULL"
    assert query(project.alias, unfilled) == [(0,)]
    assert "treasury.0002_phase6_dashboard_models" in str(query(project.alias, APPLIED))
    assert [line["event"] for line in project.journal()].count("begun") == 1


def test_what_is_typed_to_roll_back_brings_back_what_the_journal_says(project: Project) -> None:
    before = query(project.alias, PAYMENTS)
    assert project.run("run_playbook", "--yes", "--until", "migrate").code == 0
    # What the acceptance is there for.
    execute(connections[project.alias], "UPDATE treasury_payment SET amount = amount + 1")

    refused = project.run("run_playbook", "--yes")

    assert refused.code == 1, refused.stdout
    rollback = refused.report["facts"]["rollback"]
    assert project.journal()[-1]["rollback"] == rollback
    connections[project.alias].close()
    typed = shlex.split(rollback.removeprefix("python manage.py "))
    typed = [word for word in typed if not word.startswith("--settings")]
    back = project.run(*typed, "--no-input")
    assert back.code == 0, back.stdout + back.stderr
    assert query(project.alias, PAYMENTS) == before
    about = project.journal()[0]["about"]
    assert [name for (name,) in query(project.alias, APPLIED)] == about["applied"]
    # It is another database now, with the name of that one.
    assert project.run("run_playbook", "--yes").ids == ["journal-differs"]
    former = back.report["facts"]["former_database"]
    execute(connections[project.alias], f"DROP DATABASE {quoted(former)} WITH (FORCE)")
