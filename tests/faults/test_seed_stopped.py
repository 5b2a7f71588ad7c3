"""A seed that is killed, interrupted or cut off, and run again, ends right beside a writer."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import ROOT, Answer, Ops, environment_for, query, start, url_of

pytestmark = pytest.mark.major

SLOW = ("seed_payment_id", "--batch-rows=20", "--max-rows-per-second=600", "--format=json")


@contextmanager
def old_release_writing(alias: str) -> Iterator[dict[str, Any]]:
    """Let the old release insert and update payments; its figures are in the dict at the end."""
    figures: dict[str, Any] = {}
    writer = subprocess.Popen(
        [sys.executable, "scripts/background_writer.py"],
        cwd=ROOT,
        env=environment_for(url_of(alias)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield figures
    finally:
        said, _ = writer.communicate(timeout=30)
        figures.update(json.loads(said.strip().splitlines()[-1]))


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


def given(alias: str) -> dict[int, Any]:
    return dict(
        query(alias, "SELECT id, payment_id FROM treasury_payment WHERE payment_id IS NOT NULL")
    )


def ended(process: subprocess.Popen[str]) -> Answer:
    stdout, stderr = process.communicate(timeout=30)
    return Answer(process.returncode, stdout, stderr)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_with_code_5_and_a_sentence(
    number: signal.Signals, staging: str, ops: Ops
) -> None:
    process = seeding(staging)
    process.send_signal(number)
    answer = ended(process)

    assert (answer.code, answer.ids) == (5, ["stopped-part-way"])
    assert "stopped part of the way: interrupted" in answer.report["findings"][0]["message"]
    assert "Traceback" not in answer.stderr
    before = given(staging)
    assert len(before) == answer.report["facts"]["seeded"]

    assert ops("seed_payment_id", database=staging).code == 0
    after = given(staging)
    assert {key: after[key] for key in before} == before


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
