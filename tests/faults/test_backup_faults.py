"""backup_db when things go wrong: the last good backup stays, and nothing half done is left."""

import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from opsmigrate.backup import snapshot
from opsmigrate.manifest import read_manifests
from scripts.demonstration.background import free_port
from tests.backups import backup, names, scratch_databases
from tests.conftest import Answer, Ops, environment_for, query, start, url_of
from tests.interrupting import (
    HELD_UP,
    SESSIONS,
    backing_up,
    clients_of,
    ended,
    make_slow_to_restore,
    restoring,
    unchanged,
    wait_until,
)
from tests.sessions import held


def test_a_wrong_password_is_undecided_and_nothing_is_touched(
    earlier: Path, password_server: str, manage: Callable[..., Answer]
) -> None:
    wrong = password_server.replace(password_server.split(":")[2].split("@")[0], "not-this-one")

    with unchanged(earlier):
        answer = manage("backup_db", "--directory", str(earlier), "--format", "json", url=wrong)

    assert (answer.code, answer.ids) == (3, ["cannot-connect"])
    assert "password authentication failed" in answer.report["findings"][0]["message"]
    assert "not-this-one" not in answer.stdout + answer.stderr


def test_a_server_that_is_down_is_undecided_and_nothing_is_touched(
    earlier: Path, manage: Callable[..., Answer]
) -> None:
    port = free_port("127.0.0.1")
    url = f"postgres://staging:secret@127.0.0.1:{port}/staging"

    with unchanged(earlier):
        answer = manage("backup_db", "--directory", str(earlier), "--format", "json", url=url)

    assert (answer.code, answer.ids) == (3, ["cannot-connect"])
    assert answer.report["database"]["port"] == port
    assert answer.report["database"]["server_version"] is None


@pytest.mark.named
def test_a_dump_whose_server_process_is_ended_leaves_nothing(staging: str, earlier: Path) -> None:
    with unchanged(earlier), backing_up(staging, earlier) as process:
        query(staging, f"SELECT pg_terminate_backend(pid) FROM ({HELD_UP}) AS held")
        answer = ended(process)

    # Somebody holds a lock besides: both are said.
    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])
    [finding] = answer.report["findings"]
    assert "public.held, by process" in finding["message"]
    assert "terminating connection" in finding["message"]


def test_our_own_session_ended_by_the_server_leaves_nothing(staging: str, earlier: Path) -> None:
    with unchanged(earlier), backing_up(staging, earlier) as process:
        query(
            staging,
            f"SELECT pg_terminate_backend(pid) {SESSIONS} pid <> pg_backend_pid()"
            " AND datname = current_database() AND query !~ 'ALTER VIEW'",
        )
        answer = ended(process)

    assert answer.code == 3
    assert answer.report["verdict"] == "undecided"
    assert clients_of(earlier) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_pg_dump_and_leaves_nothing(
    staging: str, earlier: Path, number: signal.Signals
) -> None:
    with unchanged(earlier), backing_up(staging, earlier) as process:
        process.send_signal(number)
        answer = ended(process)
        wait_until(lambda: not clients_of(earlier), seconds=5)

    assert (answer.code, answer.ids) == (130, ["interrupted"])
    assert answer.report["exit_code"] == 130


@pytest.mark.named
def test_killed_it_leaves_no_pg_dump_and_no_backup_that_is_not_whole(
    staging: str, earlier: Path, ops: Ops
) -> None:
    before = names(earlier)
    with backing_up(staging, earlier) as process:
        process.kill()
        process.communicate()
        wait_until(lambda: not clients_of(earlier), seconds=5)
        wait_until(lambda: not query(staging, HELD_UP), seconds=5)

    assert [name for name in names(earlier) if name.endswith((".dump", ".json"))] == before
    assert len(read_manifests(earlier)) == 1
    backup(ops, staging, earlier)
    assert len(read_manifests(earlier)) == 2


VERIFYING = ("backup_db", "--verify", "restore", "--directory")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_verifies_the_backup_stays_and_the_report_says_so(
    staging: str, tmp_path: Path, number: signal.Signals
) -> None:
    make_slow_to_restore(staging)
    with restoring(staging, *VERIFYING, str(tmp_path)) as process:
        process.send_signal(number)
        answer = ended(process)

    assert (answer.code, answer.ids) == (130, ["interrupted"])
    assert (answer.report["verdict"], answer.report["exit_code"]) == ("partial", 130)
    file = Path(answer.report["facts"]["file"])
    assert answer.report["findings"][0]["message"] == (
        f"interrupted while {file} was being verified; it is complete, and its manifest says how "
        "far it was verified"
    )
    [manifest] = read_manifests(tmp_path)
    assert (manifest.file, manifest.verified) == (file.name, "archive")
    assert scratch_databases(staging) == []
    assert clients_of(tmp_path) == []


def test_killed_while_it_verifies_the_next_run_drops_its_scratch_database(
    staging: str, tmp_path: Path, ops: Ops
) -> None:
    make_slow_to_restore(staging)
    with restoring(staging, *VERIFYING, str(tmp_path)) as process:
        process.kill()
        process.communicate()
        wait_until(lambda: not clients_of(tmp_path), seconds=5)

    [manifest] = read_manifests(tmp_path)
    assert manifest.verified == "archive"
    [left] = scratch_databases(staging)
    # The server sees only when its pg_sleep ends that nobody listens any more.
    query(
        staging, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [left]
    )
    sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = %s"
    wait_until(lambda: not query(staging, sessions, [left]))

    assert ops("preflight_migrate", database=staging).code == 1
    assert scratch_databases(staging) == []


def test_a_table_that_is_locked_is_undecided_and_leaves_nothing(
    staging: str, ops: Ops, earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LOCK_TIMEOUT_SECONDS", 0.2)
    lock = "LOCK TABLE treasury_payment IN ACCESS EXCLUSIVE MODE"
    with unchanged(earlier), held(staging, lock):
        answer = ops("backup_db", database=staging, directory=str(earlier))

    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])
    assert answer.report["findings"][0]["message"] == (
        "a table was locked for longer than 0.2 s; a migration may be running"
    )


def test_a_file_that_cannot_grow_is_undecided_and_leaves_nothing(
    staging: str, earlier: Path
) -> None:
    limit = (8192, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    body = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, {limit});"
        "from manage import main; sys.argv[0] = 'manage.py'; main(sys.argv)"
    )
    argv = ["-B", "-c", body, "backup_db", "--format", "json", "--directory", str(earlier)]

    with unchanged(earlier):
        answer = ended(start(*argv, env=environment_for(url_of(staging))))

    assert (answer.code, answer.ids) == (3, ["dump-failed"])
    message = answer.report["findings"][0]["message"]
    assert message == "pg_dump failed: ended by SIGXFSZ without any message"
