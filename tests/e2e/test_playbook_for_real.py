"""scripts/playbook.sh on a drifted database in production, with the commands themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment_for, query, url_of
from tests.interrupting import HELD_UP, SESSIONS, wait_until
from tests.sessions import held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
COLUMN = "SELECT 1 FROM information_schema.columns WHERE column_name = 'payment_id'"
APPLIED = "SELECT 1 FROM django_migrations WHERE name = '0002_phase6_dashboard_models'"
# What the staging settings do not say of themselves.
SETTINGS = """
from staging_settings import *
OPSMIGRATE = {**OPSMIGRATE, "ENVIRONMENT": "production", "JOURNAL_DIR": %r,
              "UAT": {"URLS": [{"url": "login"}]}}
"""


def playbook(alias: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the script, with Python and the database of these tests."""
    (folder / "production_settings.py").write_text(SETTINGS % str(folder / "journal"))
    environment = environment_for(
        url_of(alias),
        PYTHON=sys.executable,
        PYTHONPATH=str(folder),
        BACKUP_DIR=str(folder / "backups"),
        LOCAL_HTTP="1",
        **variables,
    )
    return subprocess.Popen(
        [ROOT / "scripts" / "playbook.sh", "--settings=production_settings"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.faults
def test_it_leads_a_drifted_production_to_an_accepted_one(staging: str, tmp_path: Path) -> None:
    rows = query(staging, "SELECT count(*) FROM treasury_payment")
    bare = playbook(staging, tmp_path, APPROVAL="")
    shown, said = bare.communicate(timeout=60)
    assert bare.returncode == 4, said
    assert "run_playbook needs approval in production" in " ".join((shown + said).split())
    assert not (tmp_path / "backups").exists()
    assert query(staging, COLUMN) == []

    approved = playbook(staging, tmp_path, APPROVAL="Ada, T-42")
    shown, said = approved.communicate(timeout=120)

    assert approved.returncode == 0, shown + said
    assert "PASSED: the playbook is done" in shown
    assert query(staging, APPLIED) == [(1,)]
    counts = "SELECT count(*), count(payment_id) FROM treasury_payment"
    assert query(staging, counts) == [rows[0] * 2]


def test_ctrl_c_while_the_seed_waits_begins_nothing_after_it(staging: str, tmp_path: Path) -> None:
    with held(staging, "UPDATE treasury_payment SET memo = memo WHERE id = 1"):
        script = playbook(staging, tmp_path, APPROVAL="Ada, T-42")
        try:
            wait_until(lambda: query(staging, HELD_UP) or script.poll() is not None, seconds=300)
            assert script.poll() is None, script.communicate()
            os.killpg(script.pid, signal.SIGINT)
            shown, said = script.communicate(timeout=20)
        finally:
            script.kill()
            script.communicate()

    assert script.returncode == 130, shown + said
    assert "interrupted in the step seed" in " ".join(shown.split())
    assert query(staging, APPLIED) == query(staging, COLUMN) == []
    assert query(staging, f"SELECT pid {SESSIONS} application_name ~ '^opsmigrate'") == []
