"""migrate_safely killed or interrupted while a statement of the migration runs on the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Answer, query, url_of
from tests.integration.zoo_migrations import Write
from tests.interrupting import wait_until
from tests.playbook_stub import OUR_LOCKS
from tests.rehearsals import prepared

# It has done something, and works on for a minute.
SLOW = """
migrations.AddField("cage", "age", models.IntegerField(null=True)),
migrations.RunSQL("SELECT pg_sleep(60)"),
"""
SLEEPS = "SELECT pid FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()"
AGE = "SELECT 1 FROM pg_attribute WHERE attrelid = 'zoo_cage'::regclass AND attname = 'age'"


def start(alias: str, tmp_path: Path) -> subprocess.Popen[str]:
    environment: dict[str, Any] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OPSMIGRATE_TEST_DATABASE_URL": url_of(alias),
    }
    argv = ["-m", "django", "migrate_safely", "zoo", "--format", "json", "--accept-undecided"]
    return subprocess.Popen(
        [sys.executable, *argv],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asleep(alias: str, tmp_path: Path) -> subprocess.Popen[str]:
    process = start(alias, tmp_path)
    wait_until(lambda: query(alias, SLEEPS) or process.poll() is not None, seconds=60)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("atomic", [pytest.param(False, marks=pytest.mark.named), True])
def test_after_a_kill_nothing_goes_on_and_a_second_run_knows(
    empty_database: str, write_migrations: Write, tmp_path: Path, atomic: bool
) -> None:
    alias = prepared(empty_database, write_migrations, SLOW, atomic=atomic)
    killed = asleep(alias, tmp_path)

    killed.kill()
    killed.communicate()

    # The server would have slept for a minute.
    wait_until(lambda: not query(alias, OUR_LOCKS), seconds=15)
    assert not query(alias, SLEEPS)
    assert bool(query(alias, AGE)) is not atomic
    if not atomic:
        process = start(alias, tmp_path)
        again = Answer(process.wait(60), *process.communicate())
        assert again.code == 1
        assert "half-applied" in again.ids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_on_the_server_too(
    empty_database: str, write_migrations: Write, tmp_path: Path, number: signal.Signals
) -> None:
    alias = prepared(empty_database, write_migrations, SLOW)
    process = asleep(alias, tmp_path)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)

    answer = Answer(process.returncode, stdout, stderr)
    assert (answer.code, answer.ids) == (130, ["migrate-stopped"]), stdout + stderr
    assert "0 migrations of 1 applied" in answer.report["facts"]["summary"]
    assert not query(alias, SLEEPS)
    assert not query(alias, OUR_LOCKS)
    assert not query(alias, AGE)
