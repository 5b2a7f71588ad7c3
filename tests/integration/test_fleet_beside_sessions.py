"""fleet migrate_safely beside a session that holds a tenant's table: the others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Answer
from tests.fleet_schemas import Fleet

HELD, READ = "LOCK TABLE {}.shop_customer", "SELECT count(*) FROM {}.shop_customer"
FIRST, SECOND, THIRD = "tenant_0001", "tenant_0002", "tenant_0003"


@contextmanager
def session(fleet: Fleet, statement: str, schema: str, seconds: float = 3600) -> Iterator[None]:
    """Have a session in a transaction that has executed the statement, for so many seconds."""
    other, ended = connections[fleet.alias].copy(), threading.Event()
    other.inc_thread_sharing()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(statement.format(schema))

    def end_in_time() -> None:
        ended.wait(seconds)
        other.rollback()
        other.close()

    waiting = threading.Thread(target=end_in_time)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        waiting.join()


def of_each(answer: Answer) -> dict[str, Any]:
    return {
        each["label"]: (each["verdict"], each["attempts"])
        for each in answer.report["facts"]["targets"]
    }


@pytest.mark.long
def test_a_table_that_is_held_for_75_seconds_is_waited_for(fleet: Callable[[int], Fleet]) -> None:
    """Whether its rows cannot be read, or only the lock cannot be had."""
    tenants = fleet(3)
    with session(tenants, HELD, FIRST, 75), session(tenants, READ, SECOND, 75):
        answer = tenants.run("fleet", "migrate_safely", "--format", "json", seconds=600)
    assert answer.code == 0, answer.stdout
    assert tenants.migrated() == tenants.schemas
    found = of_each(answer)
    # Of the first, nothing could be said of its rows; of the second, the command waits itself.
    assert found[FIRST][1] > 1
    assert {found[SECOND], found[THIRD]} == {("passed", 1)}


@pytest.mark.long
def test_a_table_that_is_held_for_ever_is_given_up_and_who_holds_it_is_named(
    fleet: Callable[[int], Fleet],
) -> None:
    """The others are migrated; the run ends."""
    tenants = fleet(3)
    with session(tenants, HELD, FIRST), session(tenants, READ, SECOND):
        answer = tenants.run(
            "fleet", "migrate_safely", "--attempts", "2", "--format", "json", seconds=600
        )
    assert tenants.migrated() == [THIRD]
    assert of_each(answer) == {
        FIRST: ("undecided", 3),
        SECOND: ("undecided", 3),
        THIRD: ("passed", 1),
    }, answer.stdout
    assert answer.code == 3
    typed = {
        FIRST: "SELECT pg_terminate_backend(",
        SECOND: "OPSMIGRATE_TARGET='default/tenant_0002' python manage.py migrate_safely",
    }
    for label, beginning in typed.items():
        said = [each for each in answer.report["findings"] if label in each["evidence"]["targets"]]
        assert any("idle in transaction" in each["message"] for each in said), said
        steps = [step["text"] for each in said for step in each["steps"]]
        assert any(each.startswith(beginning) for each in steps), steps
