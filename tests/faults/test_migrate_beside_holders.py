"""migrate_safely beside a session that holds the table: all or nothing, and no writer waits long.

The writer inserts as an application does, one row after another, and each of its waits is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import STRANGER, Ops, execute, query
from tests.integration.test_migrate_safely import (
    ADD_AGE,
    HOLD,
    WRITE,
    applied,
    columns,
    held_for,
    safely,
)
from tests.integration.zoo_migrations import Write
from tests.rehearsals import prepared
from tests.sessions import held, stranger

LOCK_TIMEOUT = 1.0
# For the server and this test to come to their turn, on a machine that is busy.
MARGIN = 1.0


@contextmanager
def measured_writer(alias: str) -> Iterator[list[float]]:
    """Yield the seconds that each INSERT of an application took; it writes until the block ends."""
    done, waits = threading.Event(), list[float]()

    def write() -> None:
        with stranger(alias) as other:
            while not done.is_set():
                began = time.monotonic()
                execute(other, WRITE)
                waits.append(time.monotonic() - began)
                time.sleep(0.01)

    thread = threading.Thread(target=write, name=STRANGER)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def require_short_waits(alias: str, waits: list[float]) -> None:
    """Each wrote its row; it did queue behind the migration, and no longer than that waited."""
    assert 0.3 < max(waits) < LOCK_TIMEOUT + MARGIN
    assert len(waits) > 10
    assert query(alias, "SELECT count(*) FROM zoo_cage WHERE name = 'secret'") == [(len(waits),)]


@pytest.mark.parametrize("seconds", [pytest.param(1, marks=pytest.mark.named), 5, 30])
def test_beside_a_session_that_holds_the_table_for_a_while_all_is_applied(
    ops: Ops, empty_database: str, write_migrations: Write, seconds: float
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    with measured_writer(alias) as waits, held_for(alias, seconds):
        answer = safely(ops, alias, lock_timeout=LOCK_TIMEOUT, attempts=20, accept_undecided=True)

    assert answer.code == 0, answer.stdout
    assert "age" in columns(alias)
    assert applied(alias) == ["0001_step", "0002_step"]
    require_short_waits(alias, waits)


@pytest.mark.named
def test_beside_a_session_that_keeps_the_table_nothing_is_applied(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    with measured_writer(alias) as waits, held(alias, HOLD):
        answer = safely(ops, alias, lock_timeout=LOCK_TIMEOUT, attempts=2, accept_undecided=True)

    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"]), answer.stdout
    assert answer.report["facts"]["attempts"] == 2
    assert answer.report["facts"]["waited_for"]
    assert "age" not in columns(alias)
    assert applied(alias) == ["0001_step"]
    require_short_waits(alias, waits)
