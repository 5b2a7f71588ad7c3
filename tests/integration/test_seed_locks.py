"""What the seed does when others hold what it needs, or suffer from it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import OutputWrapper
from django.db import connections

from opsmigrate.backfill.pace import BatchSize, Gate
from opsmigrate.backfill.seed import seed
from opsmigrate.backfill.throttle import Throttle
from opsmigrate.errors import PartialError
from opsmigrate.pgtools.embedded import find_bindirs
from opsmigrate.postgres.session import backend_pid, read_session, second_connection
from opsmigrate.progress import Progress
from opsmigrate.report import Verdict
from tests.conftest import execute, query
from tests.seeding import (
    QUIET,
    VACUUMED,
    autovacuum_working,
    goal_for,
    holding,
    options,
    wait_for,
    writing,
)
from tests.sessions import stranger

# 100,000 is the least that the server takes for it; each savepoint that writes uses up
# a transaction id.
OLD = [
    "CREATE TEMP TABLE used (n int)",
    "DO $$ BEGIN FOR i IN 1 .. 101000 LOOP BEGIN INSERT INTO used VALUES (i);"
    " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$",
    "ALTER TABLE t SET (autovacuum_freeze_max_age = 100000, autovacuum_enabled = off)",
]


def telling() -> tuple[Progress, StringIO]:
    """Return progress, and where its words go, each one of them."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    return Progress(OutputWrapper(said), verbosity=1), said


@pytest.mark.major
def test_an_autovacuum_that_is_alone_in_the_way_is_ended(empty_database: str) -> None:
    progress, said = telling()
    with autovacuum_working(empty_database):
        result = seed(
            connections[empty_database], goal_for(), options(batch_rows=5000, patience=20), progress
        )

    assert result.verdict is Verdict.PASSED
    assert "ended the autovacuum of the table" in said.getvalue()


@pytest.mark.major
def test_who_may_not_end_it_announces_one_try_that_waits_longer(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    user = role()
    progress, said = telling()
    owner = f"""ALTER TABLE t OWNER TO "{user["USER"]}" """
    grant = f"""GRANT ALL ON SCHEMA public TO "{user["USER"]}" """
    with autovacuum_working(empty_database, owner, grant):
        theirs = connections[empty_database].copy(f"stranger {empty_database}")
        theirs.settings_dict.update(user)
        result = seed(theirs, goal_for(), options(batch_rows=5000, patience=20), progress)
        theirs.close()

    assert result.verdict is Verdict.PASSED
    assert "one try waits 1.5 s" in said.getvalue()


@pytest.mark.major
def test_an_autovacuum_against_wraparound_is_left_alone_and_the_run_stops(
    empty_database: str,
) -> None:
    with autovacuum_working(empty_database, *OLD):
        with pytest.raises(PartialError, match="against transaction id wraparound") as stopped:
            seed(connections[empty_database], goal_for(), options(patience=20), QUIET)
        still = query(empty_database, VACUUMED)

    assert stopped.value.id == "stopped-part-way"
    assert still == [(True,)]


def throttle_for(alias: str, **changes: Any) -> Throttle:
    pace = options(batch_rows=4000, **changes).pace
    oids = tuple(row[0] for row in query(alias, "SELECT 't'::regclass::oid::int"))
    return Throttle(connections[alias], pace, Gate(), BatchSize(pace.largest_batch), oids)


def test_autovacuum_of_the_table_makes_the_fill_rest(empty_database: str) -> None:
    with autovacuum_working(empty_database):
        throttle = throttle_for(empty_database)
        throttle.look([])

    assert (throttle.gate.reason, throttle.gate.rest) == ("autovacuum of the table", 0.2)


def test_sessions_that_wait_for_a_worker_make_it_rest_and_its_batches_smaller(
    empty_database: str,
) -> None:
    execute(connections[empty_database], "CREATE TABLE t AS SELECT 1 AS id")
    throttle = throttle_for(empty_database)
    with stranger(empty_database) as worker:
        execute(worker, "BEGIN")
        execute(worker, "SELECT FROM t FOR UPDATE")
        with writing(empty_database, "UPDATE t SET id = id"):
            wait_for(
                empty_database,
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()",
            )
            throttle.look([backend_pid(worker)])
            held = (throttle.gate.reason, throttle.gate.rest, throttle.size.rows)
            execute(worker, "ROLLBACK")
        throttle.look([backend_pid(worker)])

    assert held == ("sessions that wait for the fill", 1.0, 700)
    assert (throttle.gate.reason, throttle.gate.rest) == ("", 0.0)


def test_much_wal_makes_the_fill_rest(empty_database: str) -> None:
    execute(connections[empty_database], "CREATE TABLE t AS SELECT 1 AS id")
    throttle = throttle_for(empty_database, wal_rate=1000)
    throttle.look([])
    execute(connections[empty_database], "INSERT INTO t SELECT n FROM generate_series(1, 9999) n")
    throttle.look([])

    assert (throttle.gate.reason, throttle.gate.rest) == ("the rate of WAL", 1.0)


def test_a_burst_of_wal_that_fits_into_what_ten_seconds_may_write_is_no_reason_to_rest(
    empty_database: str,
) -> None:
    execute(connections[empty_database], "CREATE TABLE t AS SELECT 1 AS id")
    throttle = throttle_for(empty_database, wal_rate=1 << 20)
    throttle.look([])
    execute(connections[empty_database], "INSERT INTO t SELECT n FROM generate_series(1, 40000) n")
    throttle.look([])

    assert throttle.gate.reason == ""


@pytest.mark.major
def test_what_an_ordinary_role_may_not_see_is_said(
    empty_database: str, role: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    execute(connections[empty_database], "CREATE TABLE t AS SELECT 1 AS id")
    theirs = connections[empty_database].copy(f"stranger {empty_database}")
    theirs.settings_dict.update(role())
    with receiving_wal(empty_database, tmp_path):
        throttle = throttle_for(empty_database)
        throttle.connection = theirs
        throttle.look([])
    theirs.close()

    assert throttle.unseen == {"replication lag of the standbys"}


@contextmanager
def receiving_wal(alias: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run pg_receivewal, a replication client of the server."""
    settings = connections[alias].settings_dict
    bindir = find_bindirs()[read_session(connections[alias]).major]
    place = f"host={settings['HOST']} port={settings['PORT']} user={settings['USER']}"
    process = subprocess.Popen(
        [bindir / "pg_receivewal", "-D", folder, "--synchronous", "-d", place],
        env={**os.environ, "PGPASSWORD": settings["PASSWORD"]},
    )
    try:
        wait_for(alias, "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'")
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def test_the_fill_pauses_while_a_standby_is_behind(empty_database: str, tmp_path: Path) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t AS SELECT n FROM generate_series(1, 20000) n")
    answers: list[Any] = []
    slow = options(batch_rows=200, max_rows_per_second=8000.0, largest_lag=1 << 20)

    def run() -> None:
        with second_connection(connection) as other:
            answers.append(seed(other, goal_for(), slow, QUIET))

    with receiving_wal(empty_database, tmp_path) as standby:
        standby.send_signal(signal.SIGSTOP)
        execute(
            connection, "CREATE TABLE wal AS SELECT repeat('x', 90) FROM generate_series(1, 40000)"
        )
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(empty_database, "SELECT count(*) > 0 FROM pg_attribute WHERE attname = 'c'")
        time.sleep(1.5)
        first = query(empty_database, "SELECT count(c) FROM t")
        time.sleep(0.5)
        second = query(empty_database, "SELECT count(c) FROM t")
        standby.send_signal(signal.SIGCONT)
        thread.join(timeout=30)

    assert first == second
    assert first[0][0] < 20_000
    assert answers[0].verdict is Verdict.PASSED
    assert answers[0].facts["throttled_seconds"]["replication lag of the standbys"] > 0.5


def test_a_writer_never_waits_longer_than_the_lock_timeout_and_a_batch(
    empty_database: str,
) -> None:
    execute(
        connections[empty_database],
        "CREATE TABLE t AS SELECT n AS id, 'v' || n AS v FROM generate_series(1, 20000) n",
    )
    with (
        holding(empty_database, "SELECT FROM t WHERE id = 10000 FOR UPDATE") as let_go,
        writing(empty_database, "UPDATE t SET v = v WHERE id BETWEEN 9990 AND 9999") as written,
    ):
        timer = threading.Timer(2.0, let_go)
        timer.start()
        # The row lock is a lock of the table as well: what comes before the fill is there.
        result = seed(connections[empty_database], goal_for(), options(patience=10), QUIET)
        timer.join()

    assert result.verdict is Verdict.PASSED
    assert written.errors == []
    assert written.longest < 1.0


def test_an_index_that_waits_says_for_whom(empty_database: str) -> None:
    execute(connections[empty_database], "CREATE TABLE t AS SELECT 1 AS id")
    execute(connections[empty_database], "ALTER TABLE t ADD COLUMN c uuid")
    execute(
        connections[empty_database], "ALTER TABLE t ALTER COLUMN c SET DEFAULT gen_random_uuid()"
    )
    progress, said = telling()
    # The lock of a writer lets every batch pass; the index waits for it.
    with holding(empty_database, "UPDATE t SET id = 1 WHERE false") as let_go:
        timer = threading.Timer(2.0, let_go)
        timer.start()
        result = seed(connections[empty_database], goal_for(), options(), progress)
        timer.join()

    assert result.verdict is Verdict.PASSED
    assert "waiting for writers before build (process " in said.getvalue()


def test_an_index_that_cannot_begin_says_for_whom_it_waits(empty_database: str) -> None:
    for statement in (
        "CREATE TABLE t AS SELECT 1 AS id, gen_random_uuid() AS c",
        "ALTER TABLE t ALTER COLUMN c SET DEFAULT gen_random_uuid()",
    ):
        execute(connections[empty_database], statement)
    progress, said = telling()
    # As a VACUUM by hand holds it: batches pass.
    held = "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"
    with holding(empty_database, held) as let_go:
        timer = threading.Timer(2.0, let_go)
        timer.start()
        result = seed(connections[empty_database], goal_for(), options(), progress)
        timer.join()

    assert result.verdict is Verdict.PASSED
    assert " (process " in said.getvalue()
