"""Behind pgbouncer: a pooler in transaction mode is seen, and what needs a session refuses."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex

import pytest
from django.db import ProgrammingError, connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.account import give, server_account
from opsmigrate.pgtools.known_failures import DIRECT
from opsmigrate.postgres.opening import PINNED, owned
from opsmigrate.postgres.search_path import project_search_path, transaction_as_project
from opsmigrate.postgres.session import backend_pid, is_pooled_by_transaction, second_connection
from opsmigrate.postgres.transaction import transaction
from scripts.demonstration.background import free_port
from tests.aliases import alias_of
from tests.backups import names
from tests.conftest import Answer, Ops, environment_for, execute, query, run, url_of
from tests.faults.test_migrate_beside_holders import LOCK_TIMEOUT, MARGIN, measured_writer
from tests.integration.test_migrate_safely import ADD_AGE, columns, held_for, safely
from tests.integration.zoo_migrations import Write, migrate
from tests.planting import planted
from tests.rehearsals import prepared

pytestmark = pytest.mark.system

POOL_SIZE = 5
IGNORED = "extra_float_digits,options"
CONFIGURATION = """
[databases]
* = host={HOST} port={PORT} user={USER} password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = {ignored}
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pgbouncer(mode: str, ignored: str = IGNORED) -> Iterator[int]:
    """Run pgbouncer before the server of the tests, and yield its port."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "pgbouncer is not installed: apt install pgbouncer"
    account, port = server_account(), free_port("127.0.0.1")
    # It does not run as root either; pytest's own folders are closed to others.
    folder = Path(tempfile.mkdtemp(prefix="opsmigrate-pgbouncer-"))
    settings = connections["default"].settings_dict
    (folder / "ini").write_text(
        CONFIGURATION.format(
            port=port, mode=mode, folder=folder, size=POOL_SIZE, ignored=ignored, **settings
        )
    )
    for path in (folder, folder / "ini"):
        give(account, path)
    process = subprocess.Popen(
        [program, "-q", str(folder / "ini")],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "pgbouncer ended"
            assert time.monotonic() < deadline, "pgbouncer did not start"
            time.sleep(0.05)
        else:
            return


@contextmanager
def through(alias: str, mode: str, ignored: str = IGNORED) -> Iterator[str]:
    """Yield another alias of the same database, through a pgbouncer in this mode."""
    with pgbouncer(mode, ignored) as port:
        settings = connections[alias].settings_dict
        place = {"HOST": "127.0.0.1", "PORT": str(port), "TEST": dict(settings["TEST"])}
        with alias_of(f"{alias}-pooled", **{**settings, **place}) as pooled:
            yield pooled


def test_transaction_mode_is_seen_again_and_again(staging: str) -> None:
    with through(staging, "transaction") as pooled:
        connection = connections[pooled]
        assert [is_pooled_by_transaction(connection) for _ in range(5)] == [True] * 5


def test_transaction_mode_is_seen_while_others_use_the_pool(staging: str) -> None:
    with (
        through(staging, "transaction") as pooled,
        second_connection(connections[pooled]) as other,
    ):
        other.set_autocommit(False)
        assert backend_pid(other)
        assert is_pooled_by_transaction(connections[pooled]) is True
        other.rollback()


def test_session_mode_is_as_good_as_a_direct_connection(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    with through(staging, "session") as pooled:
        connection = connections[pooled]
        assert connection.connection is None
        pid = backend_pid(connection)
        assert connection.connection.info.backend_pid != pid  # a pooler is in between
        assert is_pooled_by_transaction(connection) is False

        seeded = ops("seed_payment_id", database=pooled)
        assert (seeded.code, seeded.report["verdict"]) == (0, "passed")
        taken = ops("backup_db", database=pooled, directory=str(tmp_path), verify="restore")
        assert (taken.code, taken.report["facts"]["verified"]) == (0, "restore")


def test_in_transaction_mode_a_seed_and_a_backup_refuse_and_nothing_is_written(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    with through(staging, "transaction") as pooled:
        seeded = ops("seed_payment_id", database=pooled)
        taken = ops("backup_db", database=pooled, directory=str(tmp_path))

    for answer in (seeded, taken):
        assert (answer.code, answer.ids) == (4, ["pooled-by-transaction"])
        [finding] = answer.report["findings"]
        assert "there is a connection pooler in transaction mode in between" in finding["message"]
        assert finding["hint"].startswith("let DATABASES point to the server itself")
    assert names(tmp_path) == []
    columns = "SELECT 1 FROM pg_attribute WHERE attname = 'payment_id'"
    assert query(staging, columns + " AND attrelid = 'treasury_payment'::regclass") == []


@pytest.mark.parametrize("seconds", [1, 5])
def test_in_session_mode_migrate_safely_lets_no_writer_wait_for_long(
    empty_database: str, write_migrations: Write, ops: Ops, seconds: int
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    with (
        through(alias, "session") as pooled,
        measured_writer(alias) as waits,
        held_for(alias, seconds),
    ):
        answer = safely(ops, pooled, lock_timeout=LOCK_TIMEOUT, accept_undecided=True)

    assert answer.code == 0, answer.stdout
    assert "age" in columns(alias)
    assert 0.3 < max(waits) < LOCK_TIMEOUT + MARGIN


def test_in_transaction_mode_what_migrates_refuses(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    with through(alias, "transaction") as pooled:
        safe = safely(ops, pooled, accept_undecided=True)
        whole = ops("run_playbook", database=pooled, yes=True)

    assert [(each.code, each.ids) for each in (safe, whole)] == [(4, ["pooled-by-transaction"])] * 2
    assert "age" not in columns(alias)


def test_in_transaction_mode_what_only_looks_still_answers(staging: str, ops: Ops) -> None:
    with through(staging, "transaction") as pooled:
        answer = ops("preflight_migrate", database=pooled)

    assert (answer.code, answer.report["verdict"]) == (1, "failed")
    assert "missing-column" in answer.ids


def test_in_transaction_mode_the_verdict_stands_and_the_pooler_is_a_warning(
    staging: str, ops: Ops
) -> None:
    assert ops("seed_payment_id", database=staging).code == 0

    with through(staging, "transaction") as pooled:
        answer = ops("preflight_migrate", "treasury", database=pooled)
        failure = migrate(pooled, "treasury")

    assert failure is None
    assert (answer.code, answer.ids) == (0, ["pooled-by-transaction"])
    assert answer.report["facts"]["server"]["pooled_by_transaction"] is True


def paths_of_pool(pooled: str) -> set[str]:
    """Return the search_paths of the pool's sessions, each held while the others are asked."""
    # In session mode the pool would have no session for it.
    connections[pooled].close()
    with ExitStack() as stack:
        # As somebody else's connections, which are none of ours.
        others = [connections[pooled].copy() for _ in range(POOL_SIZE)]
        for other in others:
            stack.callback(other.close)
            other.set_autocommit(False)
        paths = set()
        for other in others:
            with other.cursor() as cursor:
                cursor.execute("SHOW search_path")
                paths.add(cursor.fetchone()[0])
        return paths


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_nothing_planted_is_called_and_the_pool_keeps_its_search_path(
    staging: str, role: Callable[..., dict[str, str]], ops: Ops, tmp_path: Path, mode: str
) -> None:
    baseline = str(tmp_path / "baseline")
    with planted(staging, role()["USER"], first=False) as plants:
        with through(staging, mode) as pooled:
            before = paths_of_pool(pooled)
            codes = [
                ops("preflight_migrate", database=pooled).code,
                ops("run_uat", database=pooled, save_baseline=baseline).code,
                ops("run_uat", database=pooled, exclude=["inside"], baseline=baseline).code,
            ]
            assert paths_of_pool(pooled) == before == {'"$user", public'}
        assert plants.called(but_for=["FROM treasury_payment GROUP BY currency"]) == []
    assert codes == [1, 0, 1]


def test_in_transaction_mode_a_pinned_session_is_pinned_in_each_transaction(staging: str) -> None:
    with through(staging, "transaction") as pooled, owned(connections[pooled]) as connection:
        assert query(pooled, "SELECT pg_catalog.current_setting('search_path')") == [(PINNED,)]
        with transaction(connection) as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('search_path')")
            assert cursor.fetchone() == (PINNED,)
        with project_search_path(connection):
            assert query(pooled, "SELECT count(*) FROM treasury_payment") == [(500,)]
        with pytest.raises(ProgrammingError), transaction(connection) as cursor:
            cursor.execute("SELECT count(*) FROM treasury_payment")
        with pytest.raises(ProgrammingError):
            query(pooled, "SELECT count(*) FROM treasury_payment")
        with transaction_as_project(connection) as cursor:
            cursor.execute("SELECT pg_catalog.count(*) FROM treasury_payment")
            assert cursor.fetchone() == (500,)
        assert paths_of_pool(pooled) == {'"$user", public'}


def test_in_transaction_mode_nothing_is_reaped(staging: str, ops: Ops) -> None:
    with through(staging, "transaction") as pooled:
        name = "opsmigrate_scratch_0123456789ab"
        query(staging, "SELECT 1")
        with connections[staging].cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        assert ops("preflight_migrate", database=pooled).code == 1
        exists = "SELECT 1 FROM pg_database WHERE datname = %s"
        assert query(staging, exists, [name])
    assert ops("preflight_migrate", database=staging).code == 1
    assert not query(staging, exists, [name])


def test_a_rollback_refuses_behind_it_before_it_begins(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    assert ops("backup_db", database=staging, directory=str(tmp_path)).code == 0
    [file] = tmp_path.glob("*.dump")
    with through(staging, "transaction") as pooled:
        answer = ops("restore_db", str(file), database=pooled, no_input=True)

    assert (answer.code, answer.ids) == (4, ["pooled-by-transaction"])
    assert query(staging, "SELECT count(*) FROM treasury_payment") == [(500,)]


def test_a_rollback_through_session_mode_is_as_good_as_a_direct_one(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    assert ops("backup_db", database=staging, directory=str(tmp_path)).code == 0
    [file] = tmp_path.glob("*.dump")
    beside = f"beside {token_hex(4)}"
    with through(staging, "session") as pooled:
        into = ops("restore_db", str(file), database=pooled, into=beside)
        answer = ops("restore_db", str(file), database=pooled, no_input=True)
        connections[staging].close()
        undone = ops("restore_db", undo=True, database=pooled, no_input=True)
        connections[staging].close()
        connections[pooled].close()
    kept = undone.report["facts"].get("former_database")
    for name in (beside, kept):
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        execute(connections[staging], drop.format(sql.Identifier(str(name))))

    assert into.code == 0, into.stdout
    assert answer.code == 0, answer.stdout
    assert undone.code == 0, undone.stdout
    assert query(staging, "SELECT count(*) FROM treasury_payment") == [(500,)]


@pytest.mark.parametrize("command", ["verify_backup", "restore_db"])
def test_in_transaction_mode_nothing_is_restored_and_no_lock_is_left(
    staging: str, ops: Ops, tmp_path: Path, command: str
) -> None:
    assert ops("backup_db", database=staging, directory=str(tmp_path)).code == 0
    [file] = tmp_path.glob("*.dump")
    options = {"level": "restore"} if command == "verify_backup" else {"into": "never_made"}
    with through(staging, "transaction") as pooled:
        answer = ops(command, str(file), database=pooled, **options)
        locks = query(staging, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")

    assert (answer.code, answer.ids) == (4, ["pooled-by-transaction"])
    assert locks == []


def test_no_site_is_served_whose_sessions_could_not_be_kept_from_writing(
    migrated: str, tmp_path: Path
) -> None:
    with pgbouncer("transaction") as port:
        url = url_of(migrated, HOST="127.0.0.1", PORT=port)
        env = environment_for(url, LOCAL_HTTP="1")
        options = ["--check", "key-urls", "--report-dir", str(tmp_path), "--format", "json"]
        answer = run("manage.py", "run_uat", *options, env=env)

    assert answer.code == 3, answer.stdout
    [outcome] = answer.report["facts"]["checks"]
    assert outcome["message"] == (
        "no site was given, and this run does not serve it: behind a pooler its sessions cannot "
        "be made read-only"
    )


def test_a_pooler_that_refuses_settings_at_the_start_is_said_to_be_in_the_way(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    def back_up(pooled: str) -> Answer:
        return ops("backup_db", database=pooled, directory=str(tmp_path), verify="restore")

    with through(staging, "session", "extra_float_digits") as pooled:
        answer = back_up(pooled)
        [finding] = answer.report["findings"]
        assert (answer.code, finding["hint"]) == (3, DIRECT.hint), answer.stdout
        assert "unsupported startup parameter" in finding["message"]
    with through(staging, "session") as pooled:
        answer = back_up(pooled)
        assert answer.code == 0, answer.stdout
