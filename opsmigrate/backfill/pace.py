"""How fast the fill goes: the size of a batch, the rate, and the rests that others need."""

import threading
import time
from dataclasses import dataclass, field

# What one batch is to take: a writer that meets it waits no longer than that.
TARGET_SECONDS = 0.05
SMALLEST_BATCH = 50
FIRST_BATCH = 1000
# A batch of a limited rate is at most what that rate gives in this time.
SECONDS_OF_RATE = 0.25
STRONGEST_CHANGE = 2.0
LONGEST_REST = 0.2


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the fill goes: rows a batch at most, the lock time-out in seconds, rows/s at most.

    `patience` is for how many seconds it waits for rows or tables that others hold and do not let
    go. `workers` is how many sessions fill. `largest_lag` is how many bytes a standby may be
    behind, `wal_rate` how many bytes of WAL a second the server may write; None for its default.
    """

    batch_rows: int
    lock_timeout: float
    max_rows_per_second: float | None
    patience: float
    workers: int = 1
    largest_lag: int = 128 << 20
    wal_rate: int | None = None

    @property
    def largest_batch(self) -> int:
        """Return how many rows a batch has at most."""
        if self.max_rows_per_second is None:
            return self.batch_rows
        return max(1, min(self.batch_rows, int(self.max_rows_per_second * SECONDS_OF_RATE)))


class BatchSize:
    """The rows of a batch, moved so that one takes TARGET_SECONDS; shared by the workers."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._lock = threading.Lock()
        self.rows = min(largest, FIRST_BATCH)

    def note(self, rows: int, seconds: float) -> None:
        """Learn from a batch that filled `rows` in `seconds`."""
        if rows < self.rows // 4 and seconds < TARGET_SECONDS:
            return  # It found little to fill: that says nothing of the speed.
        with self._lock:
            wanted = TARGET_SECONDS / max(seconds, 1e-3)
            factor = min(max(wanted, 1 / STRONGEST_CHANGE), STRONGEST_CHANGE)
            # Half of the way: one slow batch, at a checkpoint say, is no reason to crawl.
            self._set(self.rows * (1 + factor) / 2)

    def shrink(self) -> None:
        """Make the next batches smaller, because somebody waits for us."""
        with self._lock:
            self._set(self.rows * 0.7)

    def _set(self, rows: float) -> None:
        self.rows = int(min(max(rows, SMALLEST_BATCH), self._largest)) or 1


@dataclass
class Gate:
    """Where a worker rests between two batches; the watching thread opens and closes it."""

    max_rows_per_second: float | None = None
    # Seconds of rest for each second of work, and why; paused until that is over, and why.
    rest: float = 0.0
    paused: bool = False
    reason: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    held_back: dict[str, float] = field(default_factory=dict)
    _next: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, rows: int, seconds: float) -> bool:
        """Rest after a batch of `rows` that took `seconds`; return False where it is all over."""
        now = time.monotonic()
        until = now + seconds * self.rest
        if self.max_rows_per_second:
            with self._lock:
                self._next = max(self._next, now - seconds) + rows / self.max_rows_per_second
                until = max(until, self._next)
        while not self.stopped.is_set():
            left = until - time.monotonic()
            if left <= 0 and not self.paused:
                return True
            self.stopped.wait(min(max(left, 0.01), LONGEST_REST))
        return False

    def set(self, *, rest: float, paused: bool, reason: str) -> None:
        """Say from now on how long to rest, whether to pause, and why."""
        self.rest, self.paused, self.reason = rest, paused, reason

    def note(self, seconds: float) -> None:
        """Count how much of the last `seconds` the present reason has taken from us."""
        if self.reason:
            lost = seconds if self.paused else seconds * self.rest / (1 + self.rest)
            self.held_back[self.reason] = self.held_back.get(self.reason, 0.0) + lost
