"""A rehearsal that is killed: the examined database is as it was, the next run leaves nothing."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import pytest
from django.db import connections

from tests.backups import backup
from tests.conftest import Ops, environment_for, execute, query, start, url_of
from tests.integration.zoo_migrations import Write
from tests.json_reports import parsed
from tests.rehearsals import SCRATCH, dump, prepared
from tests.tiers import one_in_core

pytestmark = pytest.mark.major

SLOW = """
migrations.AddField("cage", "age", models.IntegerField(null=True)),
migrations.RunSQL("SELECT pg_sleep(30)"),
"""
LARGE = (
    "CREATE TABLE large (t text)",
    "INSERT INTO large SELECT repeat(md5(n::text), 100) FROM generate_series(1, 60000) n",
)
SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(30)%%' AND pid <> {}"
OURS = """
SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
       (SELECT array_agg(rolname::text ORDER BY 1) FROM pg_roles)
"""


def said(stream: IO[str] | None, words: str) -> None:
    """Wait until the process says it."""
    assert stream is not None
    for line in stream:
        if line.startswith(words):
            return
    pytest.fail(f"it never said {words!r}")


def copying(process: subprocess.Popen[str], alias: str) -> None:
    said(process.stderr, "Copying the database")
    until(lambda: query(alias, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%%large%%'"))


def starting(process: subprocess.Popen[str], alias: str) -> None:
    said(process.stderr, "Rehearsing migrate")


def migrating(process: subprocess.Popen[str], alias: str) -> None:
    said(process.stderr, "Rehearsing migrate")
    until(lambda: query(alias, SLEEPS.format("pg_backend_pid()")))


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def reaped(ops: Ops, alias: str) -> bool:
    """Run the command once more, and say whether no scratch database is left."""
    ops("preflight_migrate", database=alias, rehearse="off")
    return query(alias, SCRATCH) == []


def processes_with(folder: str) -> list[str]:
    """Return the processes that were started with this folder for temporary files."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("moment", "number"),
    one_in_core(
        [
            (migrating, signal.SIGKILL),
            (copying, signal.SIGKILL),
            (starting, signal.SIGKILL),
            (migrating, signal.SIGTERM),
        ]
    ),
)
def test_killed_at_any_moment_it_leaves_nothing_after_the_next_run(
    moment: Callable[[subprocess.Popen[str], str], None],
    number: signal.Signals,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = LARGE if moment is copying else ()
    alias = prepared(empty_database, write_migrations, SLOW, *large)
    before, ours = dump(alias), query(alias, OURS)
    with TemporaryDirectory() as folder:
        process = rehearsing(alias, folder, PYTHONPATH=str(tmp_path))
        moment(process, alias)
        assert query(alias, SCRATCH) != []
        process.send_signal(number)
        process.communicate(timeout=30)

        assert dump(alias) == before
        until(lambda: processes_with(folder) == [])
        write_migrations()
        with monkeypatch.context() as patch:
            patch.setattr("tempfile.tempdir", folder)
            until(lambda: reaped(ops, alias))
        assert list(Path(folder).iterdir()) == []
    assert query(alias, OURS) == ours
    assert dump(alias) == before


@pytest.mark.named
@pytest.mark.parametrize("number", one_in_core([signal.SIGKILL, signal.SIGTERM]))
def test_killed_on_a_server_of_its_own_it_leaves_nothing_after_the_next_run(
    number: signal.Signals,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alias = prepared(empty_database, write_migrations, SLOW)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # The server may run as another user.
        elsewhere = {"OPSMIGRATE_TEST_REHEARSE_ON": ""}
        process = rehearsing(alias, folder, PYTHONPATH=str(tmp_path), **elsewhere)
        said(process.stderr, "Rehearsing migrate")
        until(lambda: list(Path(folder).rglob("how-far.json")))
        assert query(alias, SCRATCH) == []
        process.send_signal(number)
        process.communicate(timeout=30)

        until(lambda: processes_with(folder) == [])
        with monkeypatch.context() as patch:
            patch.setattr("tempfile.tempdir", folder)
            ops("preflight_migrate", database=alias, rehearse="off")
        assert list(Path(folder).iterdir()) == []
    found = [each for each in Path("/proc").glob("[0-9]*") if folder in command_line(each)]
    assert found == []


def rehearsing(alias: str, folder: str, *options: str, **variables: str) -> subprocess.Popen[str]:
    """Start a rehearsal whose temporary files are in `folder`."""
    env = environment_for(
        None,
        OPSMIGRATE_TEST_DATABASE_URL=url_of(alias),
        OPSMIGRATE_TEST_DRIVER=os.environ.get("OPSMIGRATE_TEST_DRIVER", ""),
        TMPDIR=folder,
        **variables,
    )
    command = ("manage.py", "preflight_migrate", "zoo", "--rehearse=clone")
    return start(*command, *options, "--settings=tests.settings", env=env)


def command_line(process: Path) -> str:
    """Return what a process was started with; nothing where it has gone."""
    with suppress(OSError):
        return (process / "cmdline").read_text()
    return ""


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the programs that it runs: pg_dump, pg_restore, the rehearsal."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (each / "stat").read_text().rpartition(")")[2].split()[1] == str(process.pid):
                found.append(int(each.name))
    return found


@pytest.mark.long
@pytest.mark.parametrize("kept", [False, True], ids=["clone", "kept"])
@pytest.mark.parametrize("whom", ["command", "child"])
def test_killed_at_random_moments_it_leaves_nothing_after_the_next_run(
    whom: str,
    kept: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pending = SLOW.replace("pg_sleep(30)", "pg_sleep(1)")
    alias = prepared(empty_database, write_migrations, pending, *LARGE)
    if kept:
        backup(ops, alias, tmp_path, verify="restore", keep_scratch=True)
    before, ours, kept_one = dump(alias), query(alias, OURS), query(alias, SCRATCH)
    assert len(kept_one) == kept
    struck: Counter[str] = Counter()
    with TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", folder)
        for _ in range(20):
            process = rehearsing(alias, folder, "--format=json", PYTHONPATH=str(tmp_path))
            until(lambda: children_of(process) or process.poll() is not None)  # noqa: B023
            time.sleep(random.uniform(0, 3))  # noqa: S311 - no secret
            victims = [process.pid] if whom == "command" else children_of(process)
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            out, words = process.communicate(timeout=60)
            findings = parsed(out)["findings"] if out else []
            ids = [each["id"] for each in findings if each["severity"] == "error"]
            struck[f"{len(victims)} {process.returncode} {ids}"] += 1
            if whom == "child":
                assert process.returncode in (0, 3), out + words
                assert set(ids) <= {"copy-failed", "rehearsal-broken"}
            assert dump(alias) == before
            until(lambda: processes_with(folder) == [])
            ops("preflight_migrate", "auth", database=alias, rehearse="off")
            until(lambda: query(alias, SCRATCH) == kept_one)
            assert list(Path(folder).iterdir()) == []
    print(dict(struck))
    assert query(alias, OURS) == ours
    write_migrations()
    for (name,) in kept_one:
        execute(connections[alias], f"DROP DATABASE {name}")
