"""The fill: block by block, in passes that leave room in each page, by sessions of their own."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.batches import Window, any_left, count_left, fill_batch
from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.fill_passes import FillPass, passes_over
from opsmigrate.backfill.pace import BatchSize, Gate, Pace
from opsmigrate.backfill.tables import Leaf
from opsmigrate.backfill.throttle import Throttle
from opsmigrate.postgres.interruptible import cancel_until
from opsmigrate.postgres.session import backend_pid

# Between two passes over a page every session must have let go of the snapshots that it had, or
# nothing can be pruned: so a worker goes round over several windows.
INTERLEAVED = 3
# Windows are cut by an estimate of how many rows a block holds; those with more are cut again.
MOST_ABOVE_PLAN = 1.25
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_REPORTS = 0.1
# A commit waits for ever for a synchronous standby that is gone.
SECONDS_FOR_THE_LAST_BATCH = 1.0


@dataclass
class Tally:
    """What the fill has done: rows, batches, batches that met locked rows, blocks gone over."""

    rows: int = 0
    batches: int = 0
    skipped_batches: int = 0
    blocks_done: float = 0.0
    blocks: int = 0
    batch_rows: int = 0
    throttled_by: str = ""
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    held_back: dict[str, float] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rows_per_second(self) -> float:
        """Return the rate since the start."""
        return self.rows / max(self.seconds or (time.monotonic() - self.started), 1e-3)

    @property
    def share(self) -> float:
        """Return which part of the blocks has been gone over, 0 to 1."""
        return min(self.blocks_done / self.blocks, 1.0) if self.blocks else 1.0

    def add(self, rows: int, *, skipped: bool = False, blocks: float = 0.0) -> None:
        """Count a batch."""
        with self._lock:
            self.rows += rows
            self.batches += 1 if rows else 0
            self.skipped_batches += skipped
            self.blocks_done += blocks


class Groups:
    """Groups of windows over all tables; each worker takes the next one."""

    def __init__(self, leaves: Sequence[Leaf], size: BatchSize) -> None:
        self._lock = threading.Lock()
        self._windows = self._cut(leaves, size)

    def next(self) -> list[Window]:
        """Return the next windows to go over together; none where all are taken."""
        with self._lock:
            return [window for _, window in zip(range(INTERLEAVED), self._windows)]  # noqa: B905

    @staticmethod
    def _cut(leaves: Sequence[Leaf], size: BatchSize) -> Iterator[Window]:
        for leaf in leaves:
            start = 0
            while start < leaf.blocks:
                blocks = size.rows * len(passes_over(leaf.rows_per_block)) / leaf.rows_per_block
                end = min(start + max(1, round(blocks)), leaf.blocks)
                yield Window(leaf, start, end)
                start = end


@dataclass(eq=False)
class Worker(threading.Thread):
    """One session that fills groups of windows until there are none, or it is told to stop."""

    origin: BaseDatabaseWrapper
    open_session: Callable[[BaseDatabaseWrapper], BaseDatabaseWrapper]
    spec: ColumnSpec
    groups: Groups
    size: BatchSize
    gate: Gate
    tally: Tally
    error: BaseException | None = None
    pid: int | None = None
    connection: BaseDatabaseWrapper | None = None
    # Not is_alive(): see run_interruptibly.
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True, name="opsmigrate fill")

    def run(self) -> None:
        """Fill; an exception is kept in `error` for who waits, and stops the others."""
        try:
            connection = self.connection = self.open_session(self.origin)
            self.pid = backend_pid(connection)
            while (group := self.groups.next()) and not self.gate.stopped.is_set():
                cut = (self._as_dense_as_planned(connection, window) for window in group)
                self._go_over(connection, list(chain.from_iterable(cut)))
        except BaseException as error:
            self.error = error
            self.gate.stopped.set()
        finally:
            if self.connection is not None:
                self.connection.close()
            self.ended.set()

    def end(self) -> None:
        """Let the batch that runs finish; cancel it where it waits for what does not come."""
        if not self.ended.wait(SECONDS_FOR_THE_LAST_BATCH) and self.connection is not None:
            cancel_until(self.connection, self.ended)
        self.ended.wait()

    def _as_dense_as_planned(self, connection: BaseDatabaseWrapper, window: Window) -> list[Window]:
        """Return the window, cut smaller where rows stand closer; none where there is no NULL.

        So it is where all that was not deleted stands at the end, or another run has been.
        """
        rows = count_left(connection, self.spec, window)
        if rows is None:
            return [window]
        if not rows:
            self.tally.add(0, blocks=window.blocks)
            return []
        counted = replace(window, rows=rows)
        planned = self.size.rows * len(passes_over(counted.rows_per_block))
        if window.blocks == 1 or rows <= planned * MOST_ABOVE_PLAN:
            return [counted]
        half = (window.blocks + 1) // 2
        return [
            part
            for each in window.parts(half)
            for part in self._as_dense_as_planned(connection, each)
        ]

    def _go_over(self, connection: BaseDatabaseWrapper, group: list[Window]) -> None:
        passes = [passes_over(window.rows_per_block) for window in group]
        for together in zip_longest(*passes):
            for window, fill_pass in zip(group, together, strict=True):
                if fill_pass is not None:
                    if not self._pass(connection, window, fill_pass):
                        return
                    self.tally.add(0, blocks=window.blocks * fill_pass.share)
        # The first look at a row after its commit marks it as committed. Where pages have
        # checksums, that writes the whole page to the WAL, unless it was written since the last
        # checkpoint, as now (PostgreSQL documentation, wal_log_hints).
        for window in group:
            any_left(connection, self.spec, window)

    def _pass(self, connection: BaseDatabaseWrapper, window: Window, fill_pass: FillPass) -> bool:
        """Fill the rows of a pass over the window, batch by batch; return False where stopped."""
        blocks = max(1, round(self.size.rows / fill_pass.share / window.rows_per_block))
        for part in window.parts(blocks):
            started = time.monotonic()
            filled, skipped = fill_batch(connection, self.spec, part, fill_pass)
            seconds = time.monotonic() - started
            self.tally.add(filled, skipped=skipped)
            if not skipped:
                self.size.note(filled, seconds)
            if not self.gate.wait(filled, seconds):
                return False
        return True


def fill(  # noqa: PLR0913 - what its workers share
    connection: BaseDatabaseWrapper,
    spec: ColumnSpec,
    leaves: Sequence[Leaf],
    *,
    pace: Pace,
    tally: Tally,
    open_session: Callable[[BaseDatabaseWrapper], BaseDatabaseWrapper],
    between: Callable[[Tally], None],
) -> None:
    """Go over every block that is there now, and give rows without a value one.

    Each batch is a transaction of its own, on sessions of `open_session`; `connection` only looks
    at the server. `between` is called again and again and may raise to stop: the batches that run
    are then let finish, or cancelled where they do not in some seconds. Rows that are locked, or
    that move meanwhile, are left to `sweep`. Rows that come later have the column's default. A
    value that is there is never changed.
    """
    tally.blocks, tally.blocks_done = sum(leaf.blocks for leaf in leaves), 0.0
    size, gate = BatchSize(pace.largest_batch), Gate(pace.max_rows_per_second)
    groups = Groups(leaves, size)
    oids = tuple(leaf.oid for leaf in leaves)
    throttle = Throttle(connection, pace, gate, size, oids)
    workers = [
        Worker(connection, open_session, spec, groups, size, gate, tally)
        for _ in range(pace.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        _watch(workers, throttle, tally, between)
    finally:
        gate.stopped.set()
        for worker in workers:
            worker.end()
        tally.held_back, tally.unseen = gate.held_back, throttle.unseen
    errors = [worker.error for worker in workers if worker.error]
    if errors:
        raise next((error for error in errors if not isinstance(error, Error)), errors[0])


def _watch(
    workers: Sequence[Worker],
    throttle: Throttle,
    tally: Tally,
    between: Callable[[Tally], None],
) -> None:
    looked = 0.0
    while not all(worker.ended.wait(SECONDS_BETWEEN_REPORTS) for worker in workers):
        tally.batch_rows, tally.throttled_by = throttle.size.rows, throttle.gate.reason
        between(tally)
        if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS:
            looked = time.monotonic()
            throttle.look([worker.pid for worker in workers if worker.pid])
