"""Backups and restores that are in the middle, to be stopped there; what they must not touch."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections

from tests.backups import backup, names
from tests.conftest import Answer, Ops, environment_for, execute, query, start, url_of
from tests.sessions import held

SESSIONS = "FROM pg_stat_activity WHERE"
HELD_UP = (
    f"SELECT pid {SESSIONS} datname = current_database()"
    " AND application_name ~ '^opsmigrate' AND wait_event_type = 'Lock'"
)
BUSY = "SELECT 1 FROM pg_stat_activity WHERE datname ~ '^opsmigrate_' AND query ~ 'COPY.*slowly'"


def wait_until(ready: Callable[[], object], seconds: float = 20) -> None:
    """Ask until it is ready, at most so long."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def clients_of(folder: Path) -> list[str]:
    """Return the client programs that work on a file in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in arguments and "pg_" in arguments.split("\0")[0]:
            found.append(arguments)
    return found


@contextmanager
def backing_up(alias: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Have a backup that is in the middle: pg_dump waits for a view that somebody alters."""
    execute(connections[alias], "CREATE VIEW held AS SELECT 1 AS one")
    hold = "ALTER VIEW held RENAME TO something_else"
    argv = ["manage.py", "backup_db", "--directory", str(folder), "--format", "json", *options]
    with held(alias, hold):
        process = start(*argv, env=environment_for(url_of(alias)))
        try:
            wait_until(lambda: query(alias, HELD_UP) or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            assert clients_of(folder)
            yield process
        finally:
            process.kill()
            process.communicate()


def ended(process: subprocess.Popen[str]) -> Answer:
    """Return what a command answers that comes to its end, without a traceback."""
    stdout, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    return Answer(process.returncode, stdout, stderr)


@pytest.fixture
def earlier(staging: str, ops: Ops, tmp_path: Path) -> Path:
    """A folder with a good backup of the staging database."""
    backup(ops, staging, tmp_path)
    return tmp_path


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Assert that the files of the folder are the same afterwards, byte for byte."""
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    assert len(before) == 2
    yield
    assert names(folder) == sorted(before)
    assert {name: (folder / name).read_bytes() for name in before} == before


def make_slow_to_restore(alias: str) -> None:
    """Have a table of which pg_restore checks a row for a minute."""
    for statement in (
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS"
        " 'SELECT current_database() !~ ''^opsmigrate'' OR pg_sleep(60) IS NOT NULL'",
        "CREATE TABLE slowly (one int CHECK (slow()))",
        "INSERT INTO slowly VALUES (1)",
    ):
        execute(connections[alias], statement)


@contextmanager
def restoring(alias: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Have a command that is in the middle of restoring what is slow to restore."""
    argv = ["manage.py", *command, "--format", "json"]
    process = start(*argv, env=environment_for(url_of(alias)))
    try:
        wait_until(lambda: query(alias, BUSY) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()
