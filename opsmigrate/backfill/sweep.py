"""The sweep: what the passes missed, because it was locked, or moved, or came meanwhile."""

import time
from collections.abc import Callable, Sequence

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.batches import Window, any_left, fill_unlocked, is_held_by_others
from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.fill import Tally
from opsmigrate.backfill.pace import Gate, Pace
from opsmigrate.backfill.tables import Leaf
from opsmigrate.postgres.interruptible import pause
from opsmigrate.postgres.locks import LONGEST_PAUSE, LockNotObtainedError

# Short enough that no statement holds its snapshot for long.
BLOCKS_PER_LOOK = 16_384
# Where somebody goes on writing NULL, as save() of an object that was loaded earlier does, no round
# is the last: then NULLs are forbidden first, and what is left is filled after that.
MOST_ROUNDS = 5


def sweep(
    connection: BaseDatabaseWrapper,
    spec: ColumnSpec,
    leaves: Callable[[], Sequence[Leaf]],
    *,
    pace: Pace,
    tally: Tally,
    between: Callable[[Tally], None],
) -> None:
    """Fill every row that has no value yet, in rounds, until one finds none (or after MOST_ROUNDS).

    `leaves` is asked in each round: tables grow, and partitions come. Rows that others hold are
    left and come back to. Raises LockNotObtainedError where they are held for longer than the
    patience of `pace`. `connection` is used alone; `between` is called after each batch.
    """
    gate, rounds = Gate(pace.max_rows_per_second), 0
    seconds, waited_since = pace.lock_timeout, time.monotonic()
    while True:
        before, left = tally.rows, False
        try:
            windows = _windows(leaves())
        except OperationalError as error:
            if not is_held_by_others(error):
                raise
            windows, left = [], True
        for window in windows:
            left = _empty(connection, spec, window, pace, gate, tally, between) or left
        rounds += tally.rows > before
        if rounds == MOST_ROUNDS:
            return
        if tally.rows > before:
            seconds, waited_since = pace.lock_timeout, time.monotonic()
            continue
        if not left:
            return
        if time.monotonic() - waited_since > pace.patience:
            raise LockNotObtainedError(
                "some rows are left that other sessions have locked, or that a trigger keeps "
                "from changing"
            )
        between(tally)
        pause(connection, seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE)


def _windows(leaves: Sequence[Leaf]) -> list[Window]:
    return [
        Window(leaf, start, start + BLOCKS_PER_LOOK)
        for leaf in leaves
        # One more: what comes after the last block that we know of is in the same look.
        for start in range(0, leaf.blocks + 1, BLOCKS_PER_LOOK)
    ]


def _empty(  # noqa: PLR0913 - what fill() has, of one window
    connection: BaseDatabaseWrapper,
    spec: ColumnSpec,
    window: Window,
    pace: Pace,
    gate: Gate,
    tally: Tally,
    between: Callable[[Tally], None],
) -> bool:
    """Fill what nobody holds in the window; say whether something is left."""
    while any_left(connection, spec, window):
        started = time.monotonic()
        filled = fill_unlocked(connection, spec, window, limit=pace.largest_batch)
        tally.add(filled, skipped=not filled)
        between(tally)
        if not filled:
            return True
        gate.wait(filled, time.monotonic() - started)
    between(tally)
    return False
