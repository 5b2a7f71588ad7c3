"""The time budget of a seed: it counts from the start, and never makes a run in vain."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import OpsmigrateError, PartialError, UndecidedError
from opsmigrate.postgres.session import second_connection
from opsmigrate.report import Verdict
from tests.conftest import execute, query
from tests.seeding import PAYMENTS, QUIET, goal_for, holding, options, wait_for
from tests.sessions import stranger

FILLED = (
    "CREATE TABLE t AS SELECT n AS id, gen_random_uuid() AS c FROM generate_series(1, 900) n",
    "ALTER TABLE t ALTER COLUMN c SET DEFAULT gen_random_uuid()",
    "ANALYZE t",
)
# As CREATE INDEX CONCURRENTLY waits for it: a writer of the table.
WRITER = "UPDATE t SET id = id WHERE false"
PHASE = (
    "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE relid = 't'::regclass"
    " AND datname = current_database() AND phase = '{}'"
)
INDEXES = "SELECT indexrelid::int, indisvalid FROM pg_index WHERE indrelid = 't'::regclass"


def make(alias: str, *statements: str) -> None:
    for statement in statements:
        execute(connections[alias], statement)


def test_a_time_budget_stops_in_good_order_and_the_next_run_goes_on(staging: str) -> None:
    slow = options(batch_rows=10, max_rows_per_second=200.0, time_budget=0.3)

    with pytest.raises(PartialError, match=r"the time budget of 0\.3 s is used up") as stopped:
        seed(connections[staging], PAYMENTS, slow, QUIET)
    filled = dict(
        query(staging, "SELECT id, payment_id FROM treasury_payment WHERE payment_id IS NOT NULL")
    )
    assert 0 < len(filled) < 500
    assert stopped.value.facts["seeded"] == len(filled)

    result = seed(connections[staging], PAYMENTS, options(), QUIET)

    assert result.facts["seeded"] == 500 - len(filled)
    after = dict(query(staging, "SELECT id, payment_id FROM treasury_payment"))
    assert {key: after[key] for key in filled} == filled


def test_the_budget_counts_while_the_first_lock_is_waited_for(staging: str) -> None:
    held = "LOCK TABLE treasury_payment IN ACCESS SHARE MODE"
    with holding(staging, held) as let_go:
        # Should the seed outlast its budget, it gets the lock, and this test fails.
        timer = threading.Timer(8.0, let_go)
        timer.start()
        with pytest.raises(UndecidedError, match="the table is held by process") as stopped:
            seed(connections[staging], PAYMENTS, options(patience=30.0, time_budget=0.5), QUIET)
        timer.cancel()

    assert stopped.value.id == "lock-not-obtained"
    assert query(staging, "SELECT 1 FROM pg_attribute WHERE attname = 'payment_id'") == []


def test_the_budget_counts_while_the_rows_are_examined(empty_database: str) -> None:
    make(empty_database, *FILLED)
    with holding(empty_database, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE") as let_go:
        timer = threading.Timer(8.0, let_go)
        timer.start()
        with pytest.raises(UndecidedError, match="before this run could write") as stopped:
            seed(connections[empty_database], goal_for(), options(time_budget=0.5), QUIET)
        timer.cancel()

    assert stopped.value.id == "time-budget-too-short"
    assert stopped.value.steps[0].text.endswith("--time-budget 1")
    assert query(empty_database, INDEXES) == []


def test_an_index_that_has_not_begun_to_build_is_left_when_the_budget_is_used_up(
    empty_database: str,
) -> None:
    make(empty_database, *FILLED)
    with (
        holding(empty_database, WRITER),
        pytest.raises(UndecidedError, match=r"the time budget of 1\.5 s is used up"),
    ):
        seed(connections[empty_database], goal_for(), options(time_budget=1.5), QUIET)

    # What the writer did not let us drop is not valid, and the next run drops it.
    assert [valid for _, valid in query(empty_database, INDEXES)] in ([], [False])
    assert seed(connections[empty_database], goal_for(), options(), QUIET).verdict is Verdict.PASSED


def test_an_index_that_is_being_built_is_let_finish(empty_database: str) -> None:
    make(empty_database, *FILLED)
    answers: list[Any] = []

    def run() -> None:
        with second_connection(connections[empty_database]) as other:
            try:
                answers.append(seed(other, goal_for(), options(time_budget=2.0), QUIET))
            except OpsmigrateError as error:
                answers.append(error)

    thread = threading.Thread(target=run)
    with stranger(empty_database) as later:
        with holding(empty_database, WRITER):
            thread.start()
            wait_for(empty_database, PHASE.format("waiting for writers before build"))
            later.inc_thread_sharing()
            execute(later, "BEGIN")
            execute(later, WRITER)
        wait_for(empty_database, PHASE.format("waiting for writers before validation"))
        time.sleep(2.5)  # The budget is used up meanwhile.
        assert query(empty_database, PHASE.format("waiting for writers before validation")) == [
            (True,)
        ]
        execute(later, "COMMIT")
    thread.join(timeout=30)
    [(index, valid)] = query(empty_database, INDEXES)
    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert isinstance(answers[0], PartialError)
    assert valid
    assert result.verdict is Verdict.PASSED
    assert query(empty_database, INDEXES) == [(index, True)]


KINDS = {
    "nothing": "SELECT n AS id FROM generate_series(1, 900) n",
    "text": "SELECT n AS id, gen_random_uuid()::text AS c FROM generate_series(1, 900) n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_take_longer_is_not_begun_late_but_first_thing_by_the_next_run(
    kind: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(empty_database, f"CREATE TABLE t AS {KINDS[kind]}", "ANALYZE t")
    # By this, to read the table takes longer than any budget.
    monkeypatch.setattr("opsmigrate.backfill.estimate.SCAN_SECONDS_PER_BLOCK", 1e9)
    connection, stopped = connections[empty_database], []

    for _ in range(8):
        try:
            result = seed(connection, goal_for(), options(time_budget=60.0), QUIET)
            break
        except PartialError as error:
            stopped.append(error)

    first = " ".join(str(stopped[0]).split(" will take about ")[0].split()[-4:])
    assert first == "build the unique index"
    assert stopped[0].facts["seeded"] == 900
    assert len(stopped) == (4 if kind == "text" else 3)
    assert result.verdict is Verdict.PASSED
