"""More that can go wrong with a backup, injected for real."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.backup import preconditions, take
from opsmigrate.pgtools.clients import Clients, best_compression, find_clients
from opsmigrate.postgres.session import read_session
from tests.backups import backup, names, scratch_databases
from tests.conftest import Ops, execute, query
from tests.interrupting import backing_up, clients_of, ended, unchanged, wait_until
from tests.sessions import held

pytestmark = pytest.mark.major


def test_what_a_killed_run_left_is_removed_by_the_next(
    staging: str, earlier: Path, ops: Ops
) -> None:
    with backing_up(staging, earlier) as process:
        process.kill()
        process.communicate()
        wait_until(lambda: not clients_of(earlier), seconds=5)
    assert [name for name in names(earlier) if name.endswith(".partial")] != []
    foreign = earlier / ".other.dump.1-2.partial"
    foreign.touch()

    backup(ops, staging, earlier)

    assert [name for name in names(earlier) if name.endswith(".partial")] == [foreign.name]


def test_what_somebody_alters_for_long_is_named_and_pg_dump_does_not_wait_for_ever(
    staging: str, earlier: Path, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "LOCK_TIMEOUT_SECONDS", 0.3)
    execute(connections[staging], "CREATE VIEW held AS SELECT 1 AS one")

    with unchanged(earlier), held(staging, "ALTER VIEW held RENAME TO other"):
        answer = ops("backup_db", database=staging, directory=str(earlier))

    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])
    message = answer.report["findings"][0]["message"]
    assert message.startswith(
        "pg_dump waited for more than 0.3 s for a lock on public.held, held by"
    )
    assert "ALTER VIEW held RENAME" in message
    assert clients_of(earlier) == []


def test_a_sequence_that_somebody_alters_is_not_waited_for_either(
    staging: str, earlier: Path, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "LOCK_TIMEOUT_SECONDS", 0.3)
    hold = "ALTER SEQUENCE treasury_payment_id_seq RENAME TO something_else"

    with unchanged(earlier), held(staging, hold):
        answer = ops("backup_db", database=staging, directory=str(earlier))

    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE treasury_payment",
        "ALTER TABLE treasury_payment ALTER COLUMN memo TYPE varchar(900)",
    ],
)
def test_ddl_that_comes_while_it_is_dumped_waits_and_takes_no_row_from_the_backup(
    staging: str, earlier: Path, statement: str
) -> None:
    queued = "SELECT 1 FROM pg_stat_activity WHERE query = %s AND wait_event_type = 'Lock'"

    def alter() -> None:
        other = connections[staging].copy(f"stranger {staging}")
        execute(other, statement)
        other.close()

    with backing_up(staging, earlier) as process:
        thread = threading.Thread(target=alter)
        # All sessions of the backup have their locks by now, or it could not be in the middle.
        thread.start()
        wait_until(lambda: query(staging, queued, [statement]))
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^ALTER VIEW'",
        )
        answer = ended(process)
    thread.join()

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["tables"]["public.treasury_payment"] == 500
    assert answer.report["facts"]["verified"] == "archive"


def test_ddl_that_comes_while_the_digests_are_read_holds_none_of_them_up(
    staging: str, tmp_path: Path, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "LOCK_TIMEOUT_SECONDS", 0.3)
    [(extension,)] = query(
        staging,
        "SELECT name FROM pg_available_extensions WHERE name IN ('vector', 'pgcrypto')"
        " ORDER BY name DESC LIMIT 1",
    )
    for statement in (
        f"CREATE EXTENSION {extension}",
        # Read first, for it is the largest; and slowly, for its condition sleeps.
        "CREATE TABLE sleepy AS SELECT n AS id, repeat('x', 500) AS x"
        " FROM generate_series(1, 5000) n",
        "DELETE FROM sleepy WHERE id > 1",
        "ANALYZE sleepy",
        f"ALTER EXTENSION {extension} ADD TABLE sleepy",
        "UPDATE pg_extension SET extconfig = ARRAY['sleepy'::regclass::oid],"
        " extcondition = ARRAY['WHERE pg_sleep(2) IS NOT NULL']"
        f" WHERE extname = '{extension}'",
    ):
        execute(connections[staging], statement)
    other, queued = connections[staging].copy(f"stranger {staging}"), []
    other.inc_thread_sharing()

    def truncate() -> None:
        reads = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'opsmigrate'"
            " AND query LIKE 'COPY (SELECT%sleepy%' AND EXISTS ("
            "  SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            "  WHERE l.relation = 'treasury_payment'::regclass AND l.granted"
            "  AND a.application_name LIKE 'opsmigrate dump%')"
        )
        deadline = time.monotonic() + 20
        with other.cursor() as cursor:
            while not queued and time.monotonic() < deadline:
                cursor.execute(reads)
                queued.extend(cursor.fetchall())
            cursor.execute("TRUNCATE treasury_payment")
        other.close()

    thread = threading.Thread(target=truncate)
    thread.start()
    answer = ops("backup_db", database=staging, directory=str(tmp_path))
    thread.join()

    assert queued
    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["tables"]["public.treasury_payment"] == 500
    assert query(staging, "SELECT count(*) FROM treasury_payment") == [(0,)]


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """Have a disk of 3 MB."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)],  # noqa: S607
        check=True,
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


RANDOM = (
    "CREATE TABLE noise AS SELECT decode(string_agg(md5(random()::text), ''), 'hex') AS bytes"
    " FROM generate_series(1, 400000) n GROUP BY n % 100"
)


@pytest.mark.system
def test_a_disk_that_runs_full_is_undecided_and_the_last_good_backup_stays(
    staging: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        backup(ops, staging, disk)
        execute(connections[staging], RANDOM)
        # As if the room were taken by others between the question and the dump.
        monkeypatch.setattr(preconditions, "_free", lambda folder: 10**12)
        with unchanged(disk):
            answer = ops("backup_db", database=staging, directory=str(disk))

    assert (answer.code, answer.ids) == (3, ["dump-failed"])
    assert "No space left on device" in answer.report["findings"][0]["message"]


@pytest.mark.system
def test_a_disk_without_room_refuses_before_it_begins(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        backup(ops, staging, disk)
        (disk / "others").write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
        with unchanged_but(disk, "others"):
            answer = ops("backup_db", database=staging, directory=str(disk))

    assert (answer.code, answer.ids) == (4, ["not-enough-space"])
    assert "as " in answer.report["findings"][0]["message"]


@contextmanager
def unchanged_but(folder: Path, other: str) -> Iterator[None]:
    before = set(names(folder))
    yield
    assert set(names(folder)) == before | {other}


def test_without_a_backup_before_only_a_hopeless_disk_refuses(
    staging: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preconditions, "_free", lambda folder: 1000)

    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (4, ["not-enough-space"])
    assert "at the very least" in answer.report["findings"][0]["message"]
    assert names(tmp_path) == []


def test_the_server_process_of_pg_dump_is_ended_while_it_copies_rows(
    staging: str, earlier: Path, ops: Ops
) -> None:
    execute(
        connections[staging],
        "CREATE TABLE many AS SELECT n, md5(n::text) AS a, md5(n::text) AS b"
        " FROM generate_series(1, 400000) n",
    )
    watcher, ended_one = connections[staging].copy(f"stranger {staging}"), []
    watcher.inc_thread_sharing()

    def end_it() -> None:
        deadline = time.monotonic() + 20
        with watcher.cursor() as cursor:
            while not ended_one and time.monotonic() < deadline:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name ~ '^opsmigrate dump' AND query ~ 'COPY public.many'"
                )
                ended_one.extend(cursor.fetchall())
        watcher.close()

    thread = threading.Thread(target=end_it)
    thread.start()
    with unchanged(earlier):
        answer = ops("backup_db", database=staging, directory=str(earlier))
    thread.join()

    assert ended_one
    assert (answer.code, answer.ids) == (3, ["dump-failed"])
    assert scratch_databases(staging) == []


def test_the_server_process_that_reads_the_digests_is_ended(staging: str, earlier: Path) -> None:
    with unchanged(earlier), backing_up(staging, earlier) as process:
        # psql has read everything long ago; our own session holds the snapshot.
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query ~ 'pg_export_snapshot|FROM pg_class' AND pid <> pg_backend_pid()"
            " AND datname = current_database() AND state = 'idle in transaction'",
        )
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^ALTER VIEW'",
        )
        answer = ended(process)

    assert answer.code == 3
    assert clients_of(earlier) == []


def test_a_pg_dump_that_is_killed_leaves_nothing(staging: str, earlier: Path) -> None:
    with unchanged(earlier), backing_up(staging, earlier) as process:
        for found in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (found / "cmdline").read_bytes()
            except OSError:
                continue
            if str(earlier).encode() in arguments and b"pg_dump" in arguments.split(b"\0")[0]:
                os.kill(int(found.name), signal.SIGKILL)
        answer = ended(process)

    assert (answer.code, answer.ids) == (3, ["dump-failed"])
    assert "ended by SIGKILL" in answer.report["findings"][0]["message"]


def test_rows_of_excluded_tables_are_left_out_and_their_definitions_stay(
    staging: str, earlier: Path, ops: Ops
) -> None:
    create = 'CREATE TABLE "Odd.Log" AS SELECT generate_series(1, 5) AS id'
    execute(connections[staging], create)

    answer, _ = backup(
        ops, staging, earlier, verify="restore", exclude_table_data=["*.Log", "django_session"]
    )

    assert answer.report["facts"]["excluded"] == ['public."Odd.Log"', "public.django_session"]
    assert 'public."Odd.Log"' not in answer.report["facts"]["tables"]
    wrong = ops(
        "backup_db", database=staging, directory=str(earlier), exclude_table_data=["django_sesion"]
    )
    assert (wrong.code, wrong.ids) == (2, ["unknown-table"])


def test_the_compression_is_one_that_this_pg_dump_can_do(staging: str, tmp_path: Path) -> None:
    clients = find_clients(read_session(connections[staging]).major, None)
    spec = best_compression(clients)
    probe = subprocess.run(
        [clients.program("pg_dump"), "--compress=zstd:1", "--format=custom", "--host=/nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    without = "compress" in probe.stderr or clients.major < 16
    assert spec == ("1" if without else "zstd:1")


def test_a_pg_dump_with_zstd_uses_it(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(
        "#!/bin/sh\necho 'pg_dump: error: connection to server failed' >&2; exit 1\n"
    )
    program.chmod(0o755)
    clients = Clients(folder=tmp_path, major=17, version="17.1")

    assert best_compression(clients) == "zstd:1"
