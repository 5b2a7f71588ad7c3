"""The command's side of a fleet on a queue: what is sent, what has come back, what was lost.

The truth is in the files of the run, not in the broker. A broker that forgets, or delivers
twice, costs time and nothing else: what has no outcome and is claimed by nobody is sent again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from opsmigrate.errors import UndecidedError
from opsmigrate.fleet.delivery import MOST_STARTS, lost
from opsmigrate.fleet.progress import FleetProgress
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.shared_place import Assignment, SharedPlace, Start
from opsmigrate.fleet.unit import Unit

SECONDS_BETWEEN_CHECKS = 5.0
# A message that is in no queue, and that nobody began: a broker was restarted, or a worker holds
# it back. From the second time on, twice as long.
SECONDS_UNTIL_SENT_AGAIN = 15.0
# Where nobody at all begins or ends anything.
SECONDS_WITHOUT_BROKER = 300.0


class QueueUnreachable(Exception):
    """The broker cannot be reached now; the message says which, without its password."""


class Queue(Protocol):
    """What is known of a queue: all that an engine must give."""

    def send(self, unit: Unit) -> None:
        """Send the unit; raise QueueUnreachable where that cannot be done now."""

    def waiting(self) -> int | None:
        """Return how many messages no worker has taken yet, None where that is not known."""


@dataclass
class _Sent:
    unit: Unit
    at: float
    # How many starts of it were written down when it was sent the last time, and the first time.
    starts_before: int
    every_start_before: int
    times: int = 1
    # How often it was seen without a worker, one time after the other.
    alone: int = 0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How the units of a run are run.

    `at_most` says of a server how many units may be on their way at a time; `claimed` which of the
    units somebody works on now; `release` of which release the workers must be; `seconds` how long
    a unit may take, None: as long as it takes.
    """

    at_most: Callable[[str], int]
    claimed: Callable[[Collection[Unit]], set[str]]
    release: str | None = None
    seconds: float | None = None
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[FleetProgress], None] = lambda progress: None


class _Sender:
    """Sends units to a queue, whose broker may be away for a while."""

    def __init__(self, queue: Queue, say: Callable[[str], None]) -> None:
        self._queue, self._say = queue, say
        self._away_since: float | None = None

    def send(self, unit: Unit) -> bool:
        """Send the unit; return whether that could be done now. Raises UndecidedError."""
        try:
            self._queue.send(unit)
        except QueueUnreachable as error:
            if self._away_since is None:
                self._away_since = time.monotonic()
                self._say(f"{error}; trying again for {SECONDS_WITHOUT_BROKER:g} s")
            elif time.monotonic() - self._away_since > SECONDS_WITHOUT_BROKER:
                raise UndecidedError(
                    f"{error}, for {SECONDS_WITHOUT_BROKER:g} s",
                    id="no-broker",
                    hint="start the broker; what is done is kept, and --resume goes on from there",
                ) from error
            return False
        if self._away_since is not None:
            self._away_since = None
            self._say("the broker is there again")
        return True

    def is_empty(self) -> bool:
        """Return whether it is known that nothing waits in the queue."""
        return self._queue.waiting() == 0


class Dispatch:
    """One run of units on a queue."""

    def __init__(
        self,
        units: Sequence[Unit],
        place: SharedPlace,
        folder: RunFolder,
        queue: Queue,
        terms: Terms,
    ) -> None:
        """Take what is to be done; `place` is what the workers see of the run's `folder`."""
        self._waiting = list(units)
        self._place, self._folder, self._terms = place, folder, terms
        self._queue = _Sender(queue, terms.say)
        self._sent: dict[str, _Sent] = {}
        self._starts: dict[str, Start] = {}
        self._earlier: Counter[str] = Counter()
        self._seen = FleetProgress(done=0, every=len(units), failed=0, running={}, seconds=0.0)
        self._began = time.monotonic()
        self._stopped = False

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each unit, in the order in which they come.

        Where the caller closes the iterator before its end, no more units begin.
        """
        self._place.go_on()
        self._starts = self._place.every_start({})
        self._earlier = _counted(self._starts)
        checked = time.monotonic()
        try:
            while self._waiting or self._sent:
                self._send_more()
                yield from self._collect()
                if time.monotonic() - checked >= SECONDS_BETWEEN_CHECKS:
                    checked = time.monotonic()
                    yield from self._look_after()
                    self._tell()
                if self._waiting or self._sent:
                    time.sleep(self._place.files.seconds_between_looks)
        except BaseException:
            self._place.stop()
            raise
        self._tell()

    def stop(self) -> None:
        """Begin no more units; outcomes() goes on until those that run have come to their end."""
        self._stopped = True
        self._waiting.clear()
        self._place.stop()

    def _send_more(self) -> None:
        on_their_way = Counter(each.unit.target.server for each in self._sent.values())
        left: list[Unit] = []
        for number, unit in enumerate(self._waiting):
            server = unit.target.server
            if on_their_way[server] >= self._terms.at_most(server):
                left.append(unit)
                continue
            before = self._earlier[unit.target.label]
            self._place.assign(
                Assignment(
                    unit=unit,
                    release=self._terms.release,
                    seconds=self._terms.seconds,
                    starts_before=before,
                )
            )
            if not self._queue.send(unit):
                left += self._waiting[number:]
                break
            on_their_way[server] += 1
            sent = _Sent(unit, time.monotonic(), starts_before=before, every_start_before=before)
            self._sent[unit.target.label] = sent
        self._waiting = left

    def _collect(self) -> Iterator[Outcome]:
        for label in self._place.finished(self._sent):
            outcome = self._place.outcome(label)
            if outcome is not None:
                yield self._ended(outcome)

    def _ended(self, outcome: Outcome) -> Outcome:
        del self._sent[outcome.label]
        self._place.bring([outcome.label], self._folder)
        failed = self._seen.failed + (outcome.exit_code != 0)
        self._seen = replace(self._seen, done=self._seen.done + 1, failed=failed)
        return outcome

    def _look_after(self) -> Iterator[Outcome]:
        """Send again what nobody works on, and give up what was begun too often."""
        self._starts = self._place.every_start(self._starts)
        starts = _counted(self._starts)
        claimed = self._terms.claimed([each.unit for each in self._sent.values()])
        queue_is_empty = self._queue.is_empty()
        for label, sent in list(self._sent.items()):
            began = starts[label] > sent.starts_before
            long_ago = time.monotonic() - sent.at > SECONDS_UNTIL_SENT_AGAIN * 2 ** (sent.times - 1)
            if label in claimed:
                sent.alone = 0
            elif began or self._stopped or (queue_is_empty and long_ago):
                sent.alone += 1
            # Between two looks a worker may have come to its end, and let go of its claim.
            if sent.alone > 1 and self._place.outcome(label) is None:
                yield from self._again(sent, starts[label], others_run=bool(claimed))

    def _again(self, sent: _Sent, starts: int, *, others_run: bool) -> Iterator[Outcome]:
        label = sent.unit.target.label
        began = starts - sent.every_start_before
        # A worker may hold back what it has not begun for as long as it works on other units.
        nobody_takes_it = sent.times >= MOST_STARTS and not others_run
        if self._stopped:
            # Whoever takes it from the queue later on sees that it is not to be begun.
            del self._sent[label]
        elif began >= MOST_STARTS or (not began and nobody_takes_it):
            outcome = lost(sent.unit, began)
            self._place.publish(outcome, {})
            yield self._ended(outcome)
        elif self._queue.send(sent.unit):
            what = "its worker is gone" if starts > sent.starts_before else "no worker has it"
            self._terms.say(f"{label}: {what}; sent again")
            sent.at, sent.times, sent.alone = time.monotonic(), sent.times + 1, 0
            sent.starts_before = starts

    def _tell(self) -> None:
        latest = {start.label: start for start in sorted(self._starts.values(), key=_at)}
        running: dict[str, list[str]] = {}
        for label in self._sent:
            if label in latest:
                running.setdefault(latest[label].worker, []).append(label)
        passed = time.monotonic() - self._began
        self._terms.progress(replace(self._seen, running=running, seconds=passed))


def _counted(starts: Mapping[str, Start]) -> Counter[str]:
    return Counter(each.label for each in starts.values())


def _at(start: Start) -> float:
    return start.at
