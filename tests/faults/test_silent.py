"""A network that falls silent, whichever statement is on it: every stop stops, a budget holds."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest
from django.db import connections

from tests.backups import backup
from tests.conftest import Answer, Ops, environment_for, execute, start, url_of
from tests.seeding import holding
from tests.silence import Proxy

SETTINGS = {"psycopg": "staging_settings", "psycopg2": "tests.psycopg2_settings"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
SECONDS_TO_STOP = 5
# Long enough for the wait to be entered, and for progress to be asked for again.
SECONDS_OF_SILENCE = 0.5


@dataclass(frozen=True)
class Moment:
    """A command, and what it says to the server when the silence begins; None: it connects."""

    command: str
    words: str | None
    verdict: str = "undecided"
    # Whether an old transaction holds the index up: else it is there before anybody looks.
    held: bool = False


SEED = "seed_payment_id --batch-rows=20 --max-rows-per-second=200"
RESTORE = "restore_db FILE --no-input --approval=me"
PREFLIGHT = "preflight_migrate --rehearse=clone --rehearse-on=default --approval=me"
MOMENTS = {
    "seed, connecting": Moment(SEED, None),
    "seed, its first question": Moment(SEED, "pg_control_system"),
    "seed, before it writes": Moment(SEED, "pg_try_advisory_lock"),
    "seed, adding the column": Moment(SEED, "ADD COLUMN", "partial"),
    "seed, filling": Moment(SEED, "UPDATE ONLY", "partial"),
    "seed, looking how the server is": Moment(SEED, "pg_stat_replication", "partial"),
    "seed, making the index": Moment(SEED, "CREATE UNIQUE INDEX", "partial"),
    "seed, watching the index": Moment(SEED, "pg_stat_progress_create_index", "partial", held=True),
    "seed, verifying": Moment(SEED, "count(*) - count", "partial"),
    "seed --dry-run": Moment("seed_payment_id --dry-run", "pg_trigger"),
    "seed --verify-only": Moment("seed_payment_id --verify-only", "pg_attribute"),
    "backup, connecting": Moment("backup_db", None),
    "backup, the snapshot": Moment("backup_db", "pg_export_snapshot"),
    "backup, pg_dump and psql": Moment("backup_db", "COPY "),
    "backup in jobs": Moment("backup_db --jobs=2", "COPY "),
    "backup, making a scratch database": Moment(
        "backup_db --verify=restore", "CREATE DATABASE", "partial"
    ),
    "backup, pg_restore": Moment("backup_db --verify=restore", "CREATE TABLE", "partial"),
    "backup, dropping the scratch database": Moment(
        "backup_db --verify=restore", "WITH (FORCE)", "partial"
    ),
    "verify_backup, connecting": Moment("verify_backup FILE --level=restore", None),
    "verify_backup, pg_restore": Moment("verify_backup FILE --level=restore", "CREATE TABLE"),
    "restore, connecting": Moment(RESTORE, None),
    "restore, pg_restore": Moment(RESTORE, "CREATE TABLE"),
    "restore, comparing": Moment(RESTORE, "COPY (SELECT"),
    "restore, changing places": Moment(RESTORE, "RENAME TO"),
    "preflight, connecting": Moment(PREFLIGHT, None),
    "preflight, the catalog": Moment(PREFLIGHT, "pg_constraint"),
    "preflight, copying": Moment(PREFLIGHT, "COPY public"),
    "preflight, migrating the copy": Moment(PREFLIGHT, "django_migrations"),
    "preflight, dropping the copy": Moment(PREFLIGHT, "WITH (FORCE)"),
    "run_uat, connecting": Moment("run_uat", None),
    "run_uat, its checks": Moment("run_uat", "default_transaction_read_only"),
    "run_uat --save-baseline": Moment("run_uat --save-baseline=FOLDER/before.json", "sum("),
}
# One wait of each kind.
NAMED: tuple[str, ...] = (
    "seed, connecting",
    "seed, looking how the server is",
    "backup, pg_dump and psql",
    "restore, pg_restore",
    "preflight, dropping the copy",
    "run_uat --save-baseline",
)


def matrix() -> Iterator[object]:
    """Yield every moment with each driver, the signals in turn; NAMED for each change, too."""
    turns = cycle(SIGNALS)
    for name in MOMENTS:
        for driver in SETTINGS:
            yield pytest.param(name, driver, next(turns), marks=pytest.mark.faults)
        next(turns)
    for name, driver, number in zip(NAMED, cycle(SETTINGS), cycle(SIGNALS)):
        yield pytest.param(name, driver, number, marks=pytest.mark.named)


@contextmanager
def in_silence(
    moment: Moment, driver: str, alias: str, folder: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], Proxy]]:
    """Have the command at that moment, with everything that it writes in the folder."""
    server = connections[alias].settings_dict
    command = moment.command.replace("FILE", file_of(folder)).replace("FOLDER", str(folder))
    own = {"backup_db": "--directory", "run_uat": "--report-dir"}
    name, *rest = command.split()
    where = [own[name], str(folder / "new")] if name in own else []
    if "--save-baseline" in command:
        where = []
    argv = [name, *rest, *where, "--format=json", f"--settings={SETTINGS[driver]}", *options]
    with Proxy(server["HOST"], int(server["PORT"]), moment.words) as proxy:
        env = environment_for(url_of(alias, HOST="127.0.0.1", PORT=proxy.port))
        env["OPSMIGRATE_ENVIRONMENT"] = "test"
        process = start("manage.py", *argv, env=env)
        try:
            deadline = time.monotonic() + 40
            while not (proxy.silent.is_set() and proxy.connections) and process.poll() is None:
                assert time.monotonic() < deadline, "the moment never came"
                time.sleep(0.01)
            time.sleep(SECONDS_OF_SILENCE)
            assert process.poll() is None, process.communicate()
            yield process, proxy
        finally:
            process.kill()
            process.communicate()
        assert programs_to(proxy.port) == []


def file_of(folder: Path) -> str:
    return next((str(each) for each in folder.glob("*.dump")), "none")


def programs_to(port: int) -> list[str]:
    """Return the programs that still have the proxy's port in their environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if f"={port}\0".encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_text())
        except OSError:
            continue
    return found


@contextmanager
def held_up(alias: str) -> Iterator[None]:
    """Have a transaction that CREATE INDEX CONCURRENTLY waits for."""
    connection = connections[alias]
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
    default = "ALTER COLUMN payment_id SET DEFAULT gen_random_uuid()"
    execute(connection, f"ALTER TABLE treasury_payment {default}")
    old = "UPDATE treasury_payment SET memo = memo, payment_id = payment_id WHERE false"
    with holding(alias, old):
        yield


def stopped(process: subprocess.Popen[str], number: int) -> Answer:
    """Send the signal once, and return the answer, which has to come in time."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=SECONDS_TO_STOP)
    assert "Traceback" not in stderr, stderr
    return Answer(process.returncode, stdout, stderr)


@pytest.mark.parametrize(("name", "driver", "number"), list(matrix()))
def test_one_signal_ends_it_within_5_seconds_with_130_and_its_report(
    name: str, driver: str, number: signal.Signals, staging: str, ops: Ops, tmp_path: Path
) -> None:
    moment = MOMENTS[name]
    if "FILE" in moment.command:
        backup(ops, staging, tmp_path)
    if moment.command == PREFLIGHT:
        # Else there is nothing to rehearse: the answer is no.
        assert ops("seed_payment_id", database=staging).code == 0
    with (
        held_up(staging) if moment.held else nullcontext(),
        in_silence(moment, driver, staging, tmp_path) as (process, _),
    ):
        answer = stopped(process, number)

    assert answer.code == answer.report["exit_code"] == 130, answer.stdout
    assert (answer.report["verdict"], len(answer.ids)) == (moment.verdict, 1), answer.stdout
    assert answer.ids[0] in ("interrupted", "stopped-part-way")
    assert "interrupted" in answer.report["findings"][0]["message"]


@pytest.mark.parametrize(
    ("words", "verdict", "driver"),
    [
        pytest.param(None, "undecided", "psycopg2", marks=pytest.mark.faults),
        pytest.param("pg_try_advisory_lock", "undecided", "psycopg", marks=pytest.mark.faults),
        pytest.param("UPDATE ONLY", "partial", "psycopg2", marks=pytest.mark.faults),
        pytest.param("pg_stat_replication", "partial", "psycopg", marks=pytest.mark.faults),
        ("pg_stat_replication", "partial", "psycopg2"),
    ],
)
def test_a_time_budget_holds_in_the_silence(
    words: str | None, verdict: str, driver: str, staging: str, tmp_path: Path
) -> None:
    budget = 5
    begun = time.monotonic()
    moment = Moment(SEED, words)
    with in_silence(moment, driver, staging, tmp_path, f"--time-budget={budget}") as (process, _):
        stdout, stderr = process.communicate(timeout=budget + 10)
    took = time.monotonic() - begun

    answer = Answer(process.returncode, stdout, stderr)
    assert took >= budget
    assert "Traceback" not in stderr
    assert answer.report["verdict"] == verdict, stdout
    assert answer.code == {"undecided": 3, "partial": 5}[verdict]
