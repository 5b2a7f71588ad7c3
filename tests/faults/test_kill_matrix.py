"""Every command, stopped in every way at random moments beside a writer: nothing is lost.

A run is faulted, then the same command is run again to its end, and what must hold is looked at.
How many runs there were, and how many of them the fault still met at work, stands at the end of
pytest's output.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.session import second_connection
from tests.backups import backup, scratch_databases
from tests.conftest import Answer, Ops, environment_for, execute, query, start, url_of
from tests.interrupting import clients_of, wait_until
from tests.rollbacks import kept_databases
from tests.silence import Proxy

RANDOM_MOMENTS = 4
# Not before Python has begun to import Django: what comes earlier is Python's own to answer.
EARLIEST_SECONDS = 0.25
INTERRUPTED = 130
ROWS = (
    "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
    " created_at, updated_at, memo, account_id) SELECT '{}' || n, payee, amount, currency,"
    " status, due_date, created_at, updated_at, memo, account_id FROM treasury_payment,"
    " generate_series(1, {}) n WHERE id = 1"
)
LIVE = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"
LEFT_BEHIND = (
    "SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
    " UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'opsmigrate%'"
    " UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots"
    " UNION ALL SELECT 'invalid index' FROM pg_index WHERE NOT indisvalid"
    " UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE '%opsmigrate%'"
)
DIGEST = (
    "SELECT count(*), sum(hashtextextended((to_jsonb(p) - 'payment_id')::text, 0))"
    " FROM treasury_payment p WHERE reference NOT LIKE 'written%'"
)


@dataclass(frozen=True)
class Command:
    """A command line; FILE is a verified backup, FOLDER where it writes."""

    words: str
    seeds_first: bool = False
    # Whether it exchanges the live database: the writer is not let in meanwhile.
    exchanges: bool = False


COMMANDS = {
    "seed": Command("seed_payment_id --batch-rows=200"),
    "backup": Command("backup_db --directory=FOLDER"),
    "backup in jobs": Command("backup_db --directory=FOLDER --jobs=2"),
    "backup, restored": Command("backup_db --directory=FOLDER --verify=restore"),
    "verify_backup": Command("verify_backup FILE --level=restore"),
    "restore_db": Command("restore_db FILE --no-input", exchanges=True),
    "restore_db --undo": Command("restore_db --undo --no-input", exchanges=True),
    "preflight": Command("preflight_migrate --rehearse=clone", seeds_first=True),
    "baseline": Command("run_uat --save-baseline=FOLDER/before.json"),
}
SIGNALS = {
    name: getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    if hasattr(signal, name)
}
FAULTS = (*SIGNALS, "terminated", "reset")
# One of each command and each fault, in a minute or two: for every change.
NAMED = {
    ("seed", "SIGKILL"),
    ("seed", "terminated"),
    ("backup", "SIGTERM"),
    ("backup in jobs", "reset"),
    ("backup, restored", "SIGHUP"),
    ("verify_backup", "SIGINT"),
    ("restore_db", "SIGKILL"),
    ("restore_db --undo", "SIGKILL"),
    ("preflight", "SIGINT"),
    ("baseline", "terminated"),
}


def matrix() -> Iterator[object]:
    """Yield each command with each fault, at several moments."""
    for command in COMMANDS:
        for fault in FAULTS:
            for number in range(RANDOM_MOMENTS):
                named = (command, fault) in NAMED and number == 0
                marks = [pytest.mark.faults, *([pytest.mark.named] if named else [])]
                yield pytest.param(command, fault, number, marks=marks)


@dataclass
class Writer:
    """What another session has written and the server has confirmed: references of payments."""

    confirmed: list[str] = field(default_factory=list)


@contextmanager
def writing_always(alias: str) -> Iterator[Writer]:
    """Insert payments one by one, connecting anew whenever the session was ended."""
    writer, stop = Writer(), threading.Event()
    connection: BaseDatabaseWrapper = connections[alias].copy(f"stranger {alias}")
    connection.inc_thread_sharing()

    def write() -> None:
        number = 0
        while not stop.wait(0.01):
            number += 1
            try:
                execute(connection, ROWS.format(f"written {number} ", 1), None)
            except Error:
                connection.close()
            else:
                writer.confirmed.append(f"written {number} 1")
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield writer
    finally:
        stop.set()
        thread.join(timeout=30)


class Case:
    """One command on a database of its own, and how it is run there."""

    def __init__(self, alias: str, command: Command, folder: Path, ops: Ops) -> None:
        self.alias, self.command, self.folder = alias, command, folder
        for statement in (ROWS.format("more ", 3000),):
            execute(connections[alias], statement)
        if command.seeds_first:
            assert ops("seed_payment_id", database=alias).code == 0
        _, self.file = backup(ops, alias, folder)
        self.digest = query(alias, DIGEST, None)
        if "--undo" in command.words:
            execute(connections[alias], "DELETE FROM treasury_payment WHERE reference LIKE 'more%'")
            connections[alias].close()
            assert ops("restore_db", str(self.file), database=alias, no_input=True).code == 0
            connections[alias].close()
        self.live = query(alias, LIVE)

    def start(self, port: int | None = None) -> subprocess.Popen[str]:
        """Start the command, through another port than the server's where one is given."""
        words = self.command.words.replace("FILE", str(self.file))
        argv = words.replace("FOLDER", str(self.folder)).split(" ")
        if str(self.folder).count(" "):
            raise ValueError("the folder has a blank in it")
        place = {"HOST": "127.0.0.1", "PORT": port} if port else {}
        env = environment_for(url_of(self.alias, **place), OPSMIGRATE_ENVIRONMENT="test")
        settings = "--settings=staging_settings"
        return start("manage.py", *argv, "--format=json", settings, env=env)

    def run(self) -> Answer:
        """Run the command undisturbed."""
        process = self.start()
        stdout, stderr = process.communicate(timeout=120)
        return Answer(process.returncode, stdout, stderr)


@pytest.fixture(autouse=True)
def nothing_kept(staging: str) -> Iterator[None]:
    """Drop the databases that rollbacks have put aside."""
    yield
    connections[staging].close()
    with second_connection(connections[staging], database="postgres") as other:
        for name in kept_databases(staging):
            execute(other, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


_seconds: dict[str, float] = {}


def moment(case: Case, name: str, chance: random.Random) -> float:
    """Return a random moment of the time that the command takes, by one run that is not disturbed.

    For commands that exchange databases that run would change what is faulted: a second is taken.
    """
    if name not in _seconds:
        if case.command.exchanges or name == "seed":
            _seconds[name] = 2.5
        else:
            begun = time.monotonic()
            assert case.run().code == 0
            _seconds[name] = time.monotonic() - begun
    return chance.uniform(EARLIEST_SECONDS, max(_seconds[name], 0.5))


def terminate(alias: str, before: set[int]) -> None:
    """End every session that came since, but the writer's and our own."""
    live = connections[alias]
    # Not through our own session: a rollback ends that, too.
    with second_connection(live, database="postgres") as other:
        execute(
            other,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type ="
            " 'client backend' AND pid <> pg_backend_pid() AND pid <> ALL (%s)"
            " AND (datname = %s OR datname LIKE 'opsmigrate%%')",
            [list(before), live.settings_dict["NAME"]],
        )


def sessions(alias: str) -> set[int]:
    return {pid for (pid,) in query(alias, "SELECT pid FROM pg_stat_activity")}


def faulted(case: Case, fault: str, seconds: float) -> tuple[Answer, bool]:
    """Run the command with the fault after so many seconds; return whether it met it at work."""
    proxy = None
    if fault == "reset":
        server = connections[case.alias].settings_dict
        proxy = Proxy(server["HOST"], int(server["PORT"]), "\0 nobody says this")
        proxy.__enter__()
    try:
        before = sessions(case.alias)
        process = case.start(proxy.port if proxy else None)
        time.sleep(seconds)
        met = process.poll() is None
        if proxy:
            proxy.reset()
        elif fault == "terminated":
            terminate(case.alias, before)
        else:
            process.send_signal(SIGNALS[fault])
        stdout, stderr = process.communicate(timeout=60)
        return Answer(process.returncode, stdout, stderr), met
    finally:
        if proxy:
            proxy.__exit__(None, None, None)


def require_a_right_word(answer: Answer, fault: str, *, met: bool) -> None:
    """A signal is 130; whatever else happened to the connection is no verdict on the database."""
    if fault == "SIGKILL" or not met:
        return
    assert "Traceback" not in answer.stderr, answer.stderr
    if fault in SIGNALS:
        assert answer.code in (0, INTERRUPTED), (answer.code, answer.stdout)
    else:
        assert answer.code in (0, 3, 4, 5), (answer.code, answer.stdout)


def settle(case: Case) -> None:
    """Wait until the server has noticed that the sessions of a killed process are gone."""
    wait_until(lambda: not clients_of(case.folder), seconds=20)
    busy = (
        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND application_name LIKE 'opsmigrate%'"
    )
    wait_until(lambda: not query(case.alias, busy, None), seconds=40)


@pytest.mark.parametrize(("name", "fault", "number"), list(matrix()))
def test_nothing_is_lost_and_the_next_run_ends_right(
    name: str,
    fault: str,
    number: int,
    staging: str,
    ops: Ops,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(f"{name} {fault} {number}")  # noqa: S311 - so that it can be repeated
    case = Case(staging, COMMANDS[name], tmp_path, ops)
    good = case.file.read_bytes()
    at = moment(case, name, chance)

    if case.command.exchanges:
        writer = Writer()
        answer, met = faulted(case, fault, at)
    else:
        with writing_always(staging) as writer:
            answer, met = faulted(case, fault, at)
    record_property("fault", "met" if met else "late")
    connections[staging].close()
    require_a_right_word(answer, fault, met=met)
    settle(case)

    again = case.run()
    connections[staging].close()
    done = "--undo" in case.command.words and again.code != 0
    # A rollback that was undone already is undone again, or there is nothing to undo any more.
    assert again.code == 0 or done, again.stdout
    assert case.file.read_bytes() == good
    require_everything(case, writer)


def require_everything(case: Case, writer: Writer) -> None:
    """Every row that was there or confirmed is there; nothing of ours is left behind."""
    alias = case.alias
    if "--undo" not in case.command.words:
        assert query(alias, DIGEST, None) == case.digest
    there = {row[0] for row in query(alias, "SELECT reference FROM treasury_payment")}
    assert set(writer.confirmed) <= there
    assert scratch_databases(alias) == []
    assert query(alias, LEFT_BEHIND, None) == []
    assert [name for name in os.listdir(case.folder) if "partial" in name] == []
    assert clients_of(case.folder) == []
