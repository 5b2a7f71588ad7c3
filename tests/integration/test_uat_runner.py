"""A check that crashes, hangs, cannot look or writes is never a pass, and the others go on."""

import threading
import time
from pathlib import Path

import pytest

from opsmigrate import uat
from tests.acceptance import accept, check_of, only
from tests.conftest import Ops, query
from treasury.models import Payment

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]


def test_a_check_that_crashes_is_an_error_and_the_others_go_on(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    def crash(context: uat.Context) -> str:
        raise ZeroDivisionError("division by zero")

    uat.check("mine", tags=["treasury"])(crash)
    answer = accept(ops, migrated, tmp_path, tag=["treasury"])

    assert (answer.code, answer.ids) == (1, ["check-error"])
    assert check_of(answer, "mine")["status"] == "ERROR"
    assert check_of(answer, "mine")["message"] == "ZeroDivisionError: division by zero"
    assert check_of(answer, "treasury-alerts")["status"] == "PASS"


def test_a_check_that_calls_exit_is_an_error(migrated: str, ops: Ops, tmp_path: Path) -> None:
    def leave(context: uat.Context) -> str:
        raise SystemExit(0)

    answer = only(ops, migrated, tmp_path, leave)

    assert answer.code == 1
    assert check_of(answer, "mine")["message"] == "SystemExit: 0"


def test_a_check_that_hangs_is_left_behind_at_its_time_out(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    end = threading.Event()

    def hang(context: uat.Context) -> str:
        end.wait(30)
        return "too late"

    before = time.monotonic()
    answer = only(ops, migrated, tmp_path, hang, timeout=0.3)
    seconds = time.monotonic() - before
    end.set()
    for thread in threading.enumerate():
        if thread.name == "uat mine":
            thread.join(10)

    assert answer.code == 1
    assert check_of(answer, "mine")["status"] == "ERROR"
    assert check_of(answer, "mine")["message"] == "no answer within 0.3 s"
    assert seconds < 5


def test_a_query_that_takes_too_long_is_ended_on_the_server(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    def sleep(context: uat.Context) -> str:
        with context.connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")
        return "too late"

    answer = only(ops, migrated, tmp_path, sleep, timeout=0.3)

    assert answer.code == 1
    sleeping = (
        "SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"
    )
    deadline = time.monotonic() + 5
    while query(migrated, sleeping):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for thread in threading.enumerate():
        if thread.name == "uat mine":
            thread.join(10)


@pytest.mark.parametrize(
    ("severity", "code", "verdict"),
    [("blocker", 3, "undecided"), ("major", 3, "undecided"), ("minor", 3, "undecided")],
)
def test_a_check_that_could_not_look_is_no_pass(
    migrated: str, ops: Ops, tmp_path: Path, severity: str, code: int, verdict: str
) -> None:
    def elsewhere(context: uat.Context) -> str:
        raise uat.NotRun("the bank is closed")

    answer = only(ops, migrated, tmp_path, elsewhere, severity=severity)

    assert (answer.code, answer.report["verdict"]) == (code, verdict)
    assert answer.report["facts"]["summary"] == "1 check: 1 NOT_RUN"
    assert answer.report["findings"][0]["message"] == "mine: the bank is closed"


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1)])
def test_a_minor_failure_is_a_warning(
    migrated: str, ops: Ops, tmp_path: Path, fail_on: str, code: int
) -> None:
    def shabby(context: uat.Context) -> str:
        raise uat.Failed("the logo is old", evidence="logo.svg of 2019")

    uat.check("mine", severity="minor")(shabby)
    answer = accept(ops, migrated, tmp_path, check=["mine"], fail_on=fail_on)

    assert answer.code == code
    [finding] = answer.report["findings"]
    assert (finding["severity"], finding["evidence"]["detail"]) == ("warning", "logo.svg of 2019")


def test_a_check_that_writes_through_the_orm_is_stopped_and_nothing_is_written(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    def write(context: uat.Context) -> str:
        Payment.objects.using(context.connection.alias).update(amount=1)
        return "written"

    answer = only(ops, migrated, tmp_path, write)

    assert answer.code == 1
    assert "in a read-only transaction" in check_of(answer, "mine")["message"]
    assert not Payment.objects.using(migrated).filter(amount=1).exists()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO treasury_account SELECT * FROM treasury_account",
        "UPDATE treasury_payment SET amount = amount + 1",
        "CREATE TABLE mine (id int)",
        "TRUNCATE treasury_alert",
    ],
)
def test_a_check_that_writes_is_stopped_and_nothing_is_written(
    migrated: str, ops: Ops, tmp_path: Path, statement: str
) -> None:
    sums = (
        "SELECT count(*), sum(amount), (SELECT count(*) FROM treasury_alert) FROM treasury_payment"
    )
    before = query(migrated, sums)

    def write(context: uat.Context) -> str:
        with context.connection.cursor() as cursor:
            cursor.execute(statement)
        return "written"

    answer = only(ops, migrated, tmp_path, write)

    assert answer.code == 1
    assert check_of(answer, "mine")["status"] == "ERROR"
    assert "in a read-only transaction" in check_of(answer, "mine")["message"]
    assert query(migrated, sums) == before
    assert query(migrated, "SELECT to_regclass('mine')") == [(None,)]
