"""The fill: block by block, in passes that leave room in each page, every batch committed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.goal import Goal
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.errors import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstate
from opsmigrate.postgres.locks import LONGEST_PAUSE, LockNotObtainedError

# A full page has no room for new versions of all its rows, but for an eighth of them it has, and
# the next pass finds the room that pruning made: most updates stay in their page and touch no
# index (PostgreSQL documentation, Heap-Only Tuples).
PASSES = 8
LONGEST_REST = 0.2

FILL = """
UPDATE ONLY {table} SET {column} = {expression}
WHERE ctid >= {start}::tid AND ctid < {end}::tid AND {column} IS NULL
  AND (ctid::text::point)[1]::int % {passes} = {number}
"""
SWEEP = """
UPDATE ONLY {table} SET {column} = {expression}
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ONLY {table} WHERE {column} IS NULL LIMIT {limit} FOR UPDATE SKIP LOCKED))
  AND {column} IS NULL
"""


@dataclass
class Tally:
    """What the fill has done: rows, batches, seconds."""

    rows: int = 0
    batches: int = 0
    skipped_batches: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rows_per_second(self) -> float:
        """Return the rate since the start."""
        return self.rows / max(time.monotonic() - self.started, 1e-3)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the fill goes: rows a batch, the lock time-out in seconds, at most so many rows/s.

    `patience` is for how many seconds it waits for rows that others hold and do not let go.
    """

    batch_rows: int
    lock_timeout: float
    max_rows_per_second: float | None
    patience: float


def fill(
    connection: BaseDatabaseWrapper,
    goal: Goal,
    *,
    rows: int,
    blocks: int,
    pace: Pace,
    tally: Tally,
    between: Callable[[Tally], None],
) -> None:
    """Give every row without a value one; each batch is a transaction of its own.

    `rows` and `blocks` are those of the table when the fill begins: rows that come later have the
    column's default. `between` is called after each batch and may raise to stop. A value that is
    there is never changed.
    """
    window = _window(rows, blocks, pace.batch_rows)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false),"
            " set_config('row_security', 'off', false)",
            [f"{pace.lock_timeout * 1000:.0f}ms"],
        )
    for start, end, number in _batches(blocks, window):
        statement = sql.SQL(FILL).format(
            **_names(goal),
            start=sql.Literal(f"({start},0)"),
            end=sql.Literal(f"({end},0)"),
            passes=sql.Literal(PASSES),
            number=sql.Literal(number),
        )
        _batch(connection, statement, pace, tally, between)
        between(tally)
    _sweep(connection, goal, pace, tally, between)


def _window(rows: int, blocks: int, batch_rows: int) -> int:
    """Return how many blocks one eighth of whose rows makes a batch."""
    rows_per_block = max(rows / blocks, 1.0) if blocks else 1.0
    return max(1, round(batch_rows * PASSES / rows_per_block))


def _batches(blocks: int, window: int) -> Iterator[tuple[int, int, int]]:
    for start in range(0, blocks, window):
        for number in range(PASSES):
            yield start, min(start + window, blocks), number


def _sweep(
    connection: BaseDatabaseWrapper,
    goal: Goal,
    pace: Pace,
    tally: Tally,
    between: Callable[[Tally], None],
) -> None:
    """Fill what the ranges missed: rows that were locked, or moved while their range was read."""
    statement = sql.SQL(SWEEP).format(**_names(goal), limit=sql.Literal(pace.batch_rows))
    pause, waited_since = pace.lock_timeout, time.monotonic()
    while True:
        filled = _batch(connection, statement, pace, tally, between)
        between(tally)
        if filled:
            pause, waited_since = pace.lock_timeout, time.monotonic()
            continue
        if not _any_null(connection, goal):
            return
        if time.monotonic() - waited_since > pace.patience:
            raise LockNotObtainedError("rows are left that other sessions hold")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _batch(
    connection: BaseDatabaseWrapper,
    statement: Composable,
    pace: Pace,
    tally: Tally,
    between: Callable[[Tally], None],
) -> int:
    """Return how many rows were filled; 0 where a locked row stopped the batch."""
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            filled = int(cursor.rowcount)
    except OperationalError as error:
        if sqlstate(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
            raise
        tally.skipped_batches += 1
        return 0
    tally.rows += filled
    tally.batches += 1 if filled else 0
    if pace.max_rows_per_second:
        _rest(started + filled / pace.max_rows_per_second, tally, between)
    return filled


def _rest(until: float, tally: Tally, between: Callable[[Tally], None]) -> None:
    """Sleep so that the rate is kept, in short pieces: a stop must not wait for a long one."""
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LONGEST_REST))
        between(tally)


def _any_null(connection: BaseDatabaseWrapper, goal: Goal) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {table} WHERE {column} IS NULL)")
    with connection.cursor() as cursor:
        cursor.execute(query.format(table=goal.relation, column=sql.Identifier(goal.column)))
        return bool(cursor.fetchone()[0])


def _names(goal: Goal) -> dict[str, Composable]:
    return {
        "table": goal.relation,
        "column": sql.Identifier(goal.column),
        "expression": sql.SQL(goal.expression),
    }
