"""A fleet on this machine: threads that each wait for a process, so many for each server."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opsmigrate.fleet.progress import FleetProgress
from opsmigrate.fleet.run_folder import Outcome
from opsmigrate.fleet.unit import Unit, run_unit

SECONDS_BETWEEN_LOOKS = 0.25
HERE = "here"


class _StoppedError(Exception):
    """The run was told to end: its processes end."""


class LocalEngine:
    """One run of units on this machine."""

    def __init__(
        self,
        units: Sequence[Unit],
        folder: Path,
        *,
        at_most: Callable[[str], int],
        progress: Callable[[FleetProgress], None] = lambda progress: None,
    ) -> None:
        """Take what is to be done; `at_most` says of a server how many units run at a time."""
        self._waiting = list(units)
        self._every = len(units)
        self._folder, self._at_most, self._progress = folder, at_most, progress
        self._running: dict[str, str] = {}
        self._ended: queue.SimpleQueue[tuple[Unit, Outcome | BaseException]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._begun = time.monotonic()
        self._done = self._failed = 0

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each unit, in the order in which they come.

        Where the caller closes the iterator before its end, or is interrupted, the processes that
        run are told to end, and have ended when the exception leaves.
        """
        try:
            while self._waiting or self._running:
                self._begin_more()
                self._progress(self._seen())
                try:
                    unit, ended = self._ended.get(timeout=SECONDS_BETWEEN_LOOKS)
                except queue.Empty:
                    continue
                yield self._collected(unit, ended)
        finally:
            # In the thread of each, run_unit() ends its process and returns.
            self._stop.set()
            while self._running:
                unit, _ = self._ended.get()
                del self._running[unit.target.label]
        self._progress(self._seen())

    def stop(self) -> None:
        """Begin no more units; outcomes() goes on until those that run have come to their end."""
        self._waiting.clear()

    def _begin_more(self) -> None:
        busy = Counter(self._running.values())
        left = []
        for unit in self._waiting:
            server = unit.target.server
            if busy[server] >= self._at_most(server):
                left.append(unit)
                continue
            busy[server] += 1
            self._running[unit.target.label] = server
            threading.Thread(target=self._work, args=[unit], daemon=True).start()
        self._waiting = left

    def _work(self, unit: Unit) -> None:
        ended: Outcome | BaseException
        try:
            ended = run_unit(unit, self._folder, look=self._look, wait=self._wait)
        except BaseException as error:
            ended = error
        self._ended.put((unit, ended))

    def _look(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._look()

    def _collected(self, unit: Unit, ended: Outcome | BaseException) -> Outcome:
        del self._running[unit.target.label]
        if isinstance(ended, BaseException):
            raise ended
        self._done += 1
        self._failed += ended.exit_code != 0
        return ended

    def _seen(self) -> FleetProgress:
        return FleetProgress(
            done=self._done,
            every=self._every,
            failed=self._failed,
            running={HERE: list(self._running)},
            seconds=time.monotonic() - self._begun,
        )
