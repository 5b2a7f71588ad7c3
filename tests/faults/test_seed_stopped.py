"""A seed that is killed, interrupted or cut off, and run again, ends right beside a writer."""

import os
import signal
import subprocess
import threading
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import PartialError
from opsmigrate.pgtools.embedded import running, stop
from tests.aliases import elsewhere
from tests.conftest import Answer, Ops, environment_for, execute, query, start, url_of
from tests.seeding import PAYMENTS, QUIET, given, holding, old_release_writing, options, wait_for
from tests.tiers import one_in_core

SLOW = ("seed_payment_id", "--batch-rows=20", "--max-rows-per-second=600", "--format=json")


def seeding(alias: str) -> subprocess.Popen[str]:
    """Start a slow seed and return it when it has filled some rows."""
    env = environment_for(url_of(alias))
    process = start("manage.py", *SLOW, "--settings=staging_settings", env=env)
    deadline = time.monotonic() + 30
    while process.poll() is None and filled(alias) < 40:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def filled(alias: str) -> int:
    there = (
        "SELECT count(*) FROM pg_attribute"
        " WHERE attname = 'payment_id' AND attrelid = 'treasury_payment'::regclass"
    )
    if query(alias, there) == [(0,)]:
        return 0
    return int(query(alias, "SELECT count(payment_id) FROM treasury_payment")[0][0])


INDEXING = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE INDEX%'"
    " AND state = 'active' AND datname = current_database()"
)


def ended(process: subprocess.Popen[str]) -> Answer:
    stdout, stderr = process.communicate(timeout=30)
    return Answer(process.returncode, stdout, stderr)


@pytest.mark.named
@pytest.mark.major
def test_killed_in_the_middle_and_run_again_it_ends_right_and_changes_no_value(
    staging: str, ops: Ops
) -> None:
    with old_release_writing(staging) as figures:
        process = seeding(staging)
        process.kill()
        assert ended(process).code == -signal.SIGKILL
        before = given(staging)
        assert len(before) > 0
        answer = ops("seed_payment_id", database=staging)

    assert answer.code == 0, answer.stdout
    after = given(staging)
    assert {key: after[key] for key in before} == before
    [(rows, distinct)] = query(
        staging, "SELECT count(*), count(DISTINCT payment_id) FROM treasury_payment"
    )
    assert rows == distinct == 500 + figures["inserted"]
    assert figures["errors"] == []
    assert figures["inserted"] > 0
    assert ops("preflight_migrate", database=staging).code == 0


@pytest.mark.major
@pytest.mark.parametrize(
    "number", one_in_core([signal.SIGQUIT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
)
def test_interrupted_it_stops_with_130_and_says_how_far_it_came(
    number: signal.Signals, staging: str, ops: Ops
) -> None:
    process = seeding(staging)
    process.send_signal(number)
    answer = ended(process)

    assert (answer.code, answer.ids) == (130, ["stopped-part-way"])
    assert (answer.report["verdict"], answer.report["exit_code"]) == ("partial", 130)
    assert "stopped part of the way: interrupted" in answer.report["findings"][0]["message"]
    assert "Traceback" not in answer.stderr
    before = given(staging)
    assert len(before) == answer.report["facts"]["seeded"]

    assert ops("seed_payment_id", database=staging).code == 0
    after = given(staging)
    assert {key: after[key] for key in before} == before


def test_interrupted_while_commits_wait_for_a_standby_that_is_gone_it_stops(staging: str) -> None:
    connection = connections[staging]
    process = seeding(staging)
    execute(connection, "ALTER SYSTEM SET synchronous_standby_names = 'gone'")
    try:
        execute(connection, "SELECT pg_reload_conf()")
        waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        wait_for(staging, waits)
        process.send_signal(signal.SIGINT)
        answer = ended(process)
    finally:
        process.kill()
        execute(connection, "ALTER SYSTEM RESET synchronous_standby_names")
        execute(connection, "SELECT pg_reload_conf()")

    assert (answer.code, answer.ids) == (130, ["stopped-part-way"])


@pytest.mark.named
@pytest.mark.major
def test_connections_that_are_cut_are_got_back_and_the_work_goes_on(staging: str, ops: Ops) -> None:
    process = seeding(staging)
    before = given(staging)
    query(
        staging,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    answer = ended(process)

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["reconnects"] >= 1
    after = given(staging)
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == 500


@pytest.mark.major
@pytest.mark.parametrize("how", one_in_core([signal.SIGKILL, signal.SIGINT]))
def test_stopped_while_the_index_waits_for_an_old_writer_the_next_run_makes_it(
    how: signal.Signals, staging: str, ops: Ops
) -> None:
    execute(connections[staging], "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
    execute(
        connections[staging],
        "ALTER TABLE treasury_payment ALTER COLUMN payment_id SET DEFAULT gen_random_uuid()",
    )
    env = environment_for(url_of(staging))
    with holding(
        staging, "UPDATE treasury_payment SET memo = memo, payment_id = payment_id WHERE false"
    ):
        process = start(
            "manage.py", "seed_payment_id", "--format=json", "--settings=staging_settings", env=env
        )
        wait_for(staging, INDEXING, seconds=30)
        process.send_signal(how)
        answer = ended(process)
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'CREATE UNIQUE INDEX%' AND pid <> pg_backend_pid()",
        )
    before = given(staging)
    again = ops("seed_payment_id", database=staging)

    if how is signal.SIGINT:
        assert (answer.code, answer.ids) == (130, ["stopped-part-way"])
        assert answer.report["facts"]["seeded"] == 500
    assert len(before) == 500
    assert again.code == 0, again.stdout
    assert given(staging) == before
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert query(staging, invalid) == [(0,)]


STANDSTILLS = {
    # Each with the verdict, and what the command says when it is where it waits.
    "LOCK TABLE treasury_payment IN ACCESS SHARE MODE": ("UNDECIDED", "waiting: "),
    "SELECT FROM treasury_payment WHERE id = 7 FOR UPDATE": ("PARTIAL", "sweep"),
}


@pytest.mark.parametrize("held", one_in_core(STANDSTILLS))
def test_interrupted_while_it_waits_for_others_it_stops_at_once(held: str, staging: str) -> None:
    verdict, words = STANDSTILLS[held]
    if verdict == "PARTIAL":
        execute(connections[staging], "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
        execute(
            connections[staging],
            "ALTER TABLE treasury_payment ALTER COLUMN payment_id SET DEFAULT gen_random_uuid()",
        )
    env = environment_for(url_of(staging))
    with holding(staging, held):
        process = start("manage.py", "seed_payment_id", "--settings=staging_settings", env=env)
        assert process.stderr is not None
        while words not in (line := process.stderr.readline()):
            assert line, "it ended"
        time.sleep(4)  # The pauses between two tries have grown to seconds.
        process.send_signal(signal.SIGINT)
        try:
            # Far less than the minute for which it would go on trying.
            stdout, _ = process.communicate(timeout=5)
        finally:
            process.kill()
    assert process.returncode == 130
    assert stdout.startswith(f"{verdict}: ")


def test_a_server_that_crashes_is_come_back_to_and_no_value_that_was_seen_is_lost(
    staging: str, tmp_path: Any, ops: Ops
) -> None:
    with (
        running(tmp_path / "server", durable=True) as server,
        elsewhere(staging, server.url) as crashing,
    ):
        call_command("make_legacy_staging", database=crashing, rows=500, stdout=StringIO())
        process = seeding(crashing)
        before = given(crashing)
        [(pid,)] = query(crashing, "SELECT pg_backend_pid()")
        # The server ends every session and recovers from its WAL.
        os.kill(pid, signal.SIGKILL)
        answer = ended(process)
        connections[crashing].close()
        after = given(crashing)

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["reconnects"] >= 1
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == 500


def test_a_server_that_does_not_come_back_is_code_5(staging: str, tmp_path: Any) -> None:
    goal, given_up = PAYMENTS, options(max_rows_per_second=600.0, patience=1.0)
    with (
        running(tmp_path / "server", durable=False) as server,
        elsewhere(staging, server.url) as crashing,
    ):
        call_command("make_legacy_staging", database=crashing, rows=500, stdout=StringIO())
        stopping = threading.Timer(0.4, lambda: stop(server))
        stopping.start()
        with pytest.raises(PartialError, match="could not be restored within 1 s") as stopped:
            seed(connections[crashing], goal, given_up, QUIET)
        stopping.join()

    assert 0 < stopped.value.facts["seeded"] < 500
