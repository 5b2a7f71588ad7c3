"""What a worker does with a unit that a broker delivered to it: once, whoever else got it too."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.fleet.claims import claim
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.shared_place import Assignment, SharedPlace
from opsmigrate.fleet.unit import MOST_ATTEMPTS, SECONDS_WHERE_HELD, Unit, run_unit
from opsmigrate.report import Verdict

LOG = logging.getLogger(__name__)
ALREADY_RUNNING = "already-running"
# A worker that is killed each time, for want of memory, would be killed for ever.
MOST_STARTS = 3
# What a killed worker leaves: its process is told to end, and its server process notices.
SECONDS_FOR_WHAT_WAS_LEFT = 30.0
SECONDS_BETWEEN_TRIES = 1.0
TRIES_TO_CONNECT = 3
# The command itself keeps to its time budget, in each of its attempts; this is for one that does
# not.
SECONDS_OVER_BUDGET = 30.0


class AnotherReleaseError(Exception):
    """The worker has other code than the command."""


class OutOfTime(Exception):
    """The unit took longer than it may."""


def deliver(
    label: str,
    *,
    place: SharedPlace,
    connection_of: Callable[[str], BaseDatabaseWrapper],
    release: str | None,
    worker: str,
) -> str:
    """Run the unit of a target, unless that is done or being done; return in a word what was.

    `connection_of` returns the connection of an alias. The word is the verdict of the command, or
    already-running, done-before, stopped. Raises FileNotFoundError where the unit is not to be
    found, AnotherReleaseError where the worker is not of the release of the run.
    """
    assignment = place.assignment(label)
    unit = assignment.unit
    if assignment.release != release:
        # For the log of the worker. The command sends the unit again, perhaps to one that is.
        raise AnotherReleaseError(
            f"this worker has the release {release}, and the run has {assignment.release}: "
            "deploy the same release, and start the worker again"
        )
    with ExitStack() as stack:
        if not _claimed(stack, connection_of(unit.target.alias), unit):
            return ALREADY_RUNNING
        return _begin(assignment, place, worker)


def _begin(assignment: Assignment, place: SharedPlace, worker: str) -> str:
    """Run the unit, and publish what came of it before the claim is let go."""
    label = assignment.unit.target.label
    # Only now: while the claim was waited for, another one may have come to the end.
    if place.outcome(label) is not None:
        return "done-before"
    if place.is_stopped():
        return "stopped"
    starts = place.starts(label) - assignment.starts_before
    if starts >= MOST_STARTS:
        place.publish(lost(assignment.unit, starts), {})
        return Verdict.UNDECIDED.value
    place.start(label, worker, time.time())
    with TemporaryDirectory(prefix="opsmigrate-fleet-") as name:
        folder = RunFolder(Path(name))
        try:
            outcome = _run(assignment, folder, begun_before=starts > 0)
        except OutOfTime:
            outcome = _outcome(
                assignment.unit,
                Verdict.UNDECIDED,
                f"it was ended after {assignment.seconds:g} s, long after its time budget",
            )
        except Exception as error:
            # What it says stays in the worker's log: it may quote what is in the database.
            LOG.exception("the unit %s of run %s failed", label, assignment.unit.run_id)
            outcome = _outcome(
                assignment.unit,
                Verdict.UNDECIDED,
                f"the worker {worker} failed: {type(error).__name__}; see its log",
            )
        place.publish(outcome, folder.read_report(outcome))
    return outcome.verdict


def limit_of(seconds: float) -> float:
    """Return after how many seconds a unit is ended whose command has a budget of `seconds`."""
    return MOST_ATTEMPTS * seconds + sum(SECONDS_WHERE_HELD) + SECONDS_OVER_BUDGET


def lost(unit: Unit, starts: int) -> Outcome:
    """Return the outcome of a unit whose worker went away each time."""
    times = f"{starts} times" if starts else "not once"
    return _outcome(
        unit,
        Verdict.UNDECIDED,
        f"it was begun {times}, and no worker came to its end: see the workers' logs",
    )


def _run(assignment: Assignment, folder: RunFolder, *, begun_before: bool) -> Outcome:
    """Run the unit; where the process of a killed worker still ends, wait for that."""
    unit = assignment.unit
    patience = time.monotonic() + (SECONDS_FOR_WHAT_WAS_LEFT if begun_before else 0)
    with _limit(assignment.seconds) as look:
        while True:
            outcome = run_unit(unit, folder.folder, look=look)
            found = folder.read_report(outcome).get("findings", ())
            left_behind = any(each["id"] == ALREADY_RUNNING for each in found)
            if not left_behind or time.monotonic() > patience:
                return outcome
            time.sleep(SECONDS_BETWEEN_TRIES)


@contextmanager
def _limit(seconds: float | None) -> Iterator[Callable[[], None]]:
    """Yield a function that raises OutOfTime after so many seconds."""
    deadline = None if seconds is None else time.monotonic() + seconds

    def look() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime

    yield look


def _claimed(stack: ExitStack, connection: BaseDatabaseWrapper, unit: Unit) -> bool:
    """Return whether the claim is ours, until the stack ends.

    Where the server stays out of reach, or a pooler stands before it, it counts as ours: the
    command refuses that itself, and says why.
    """
    for _ in range(TRIES_TO_CONNECT):
        try:
            return stack.enter_context(claim(connection, unit))
        except RefusedError:
            break
        except OperationalError:
            time.sleep(SECONDS_BETWEEN_TRIES)
    return True


def _outcome(unit: Unit, verdict: Verdict, summary: str) -> Outcome:
    return Outcome(
        label=unit.target.label,
        verdict=verdict.value,
        exit_code=verdict.exit_code,
        attempts=1,
        seconds=0.0,
        summary=summary,
    )
