"""One run in progress: what it has done, the time it has, and how it stops in good order."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.fill import Tally
from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.sessions import is_lost
from opsmigrate.counted import counted
from opsmigrate.errors import PartialError, UndecidedError
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.locks import (
    AutovacuumAgainstWraparoundError,
    LockNotObtainedError,
    LockTries,
    LockWaits,
)
from opsmigrate.progress import Progress
from opsmigrate.steps import command


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """How to go about it; times in seconds, `again` is what to type to go on."""

    pace: Pace
    time_budget: float | None
    triggers: str
    again: str = "python manage.py seed_payment_id"


class OutOfTimeError(Exception):
    """The time budget is used up."""


@dataclass
class Work:
    """What a run has done so far."""

    connection: BaseDatabaseWrapper
    spec: ColumnSpec
    options: SeedOptions
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    waits: LockWaits = field(default_factory=LockWaits)
    begun: bool = False
    phases_done: int = 0
    long_phases_done: int = 0
    running: str = "examine"
    reconnects: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def has_written(self) -> bool:
        """Return whether this run has written anything."""
        return self.phases_done > 0 or self.tally.rows > 0

    @property
    def seconds_left(self) -> float:
        """Return what is left of the time budget."""
        budget = self.options.time_budget
        return math.inf if budget is None else budget - (time.monotonic() - self.started)

    @property
    def tries(self) -> LockTries:
        """Return how to ask for a strong lock."""
        pace = self.options.pace
        return LockTries(
            lock_timeout=pace.lock_timeout,
            patience=min(pace.patience, max(self.seconds_left, 0.0)),
            waits=self.waits,
            say=self.progress.update,
            announce=self.progress.phase,
        )

    def require_time(self) -> None:
        """Raise OutOfTimeError where the time budget is used up."""
        if self.seconds_left <= 0:
            raise OutOfTimeError(f"{self._budget} is used up")

    def require_time_for(self, what: str, expected: Callable[[], float]) -> None:
        """Raise OutOfTimeError where `what`, which must not be stopped half way, is not to begin.

        It is let begin where it is expected to end in time (`expected` is in seconds), and where
        this run has done nothing of length yet: the next one would have no more time for it.
        """
        self.require_time()
        if self.options.time_budget is None or (seconds := expected()) <= self.seconds_left:
            return
        words = f"to {what} will take about {seconds:,.0f} s"
        if self.tally.rows or self.long_phases_done:
            left = f"{self.seconds_left:,.0f} s of the time budget are left"
            raise OutOfTimeError(f"{words}, and {left}; the next run begins with it")
        self.progress.phase(
            f"{words}, more than is left; it may finish, because it cannot be continued later"
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that a phase begins, and count its seconds."""
        self.progress.phase(f"{name} …")
        self.running = name
        started = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)

    def facts(self) -> dict[str, Any]:
        """Return what the run has done, in the words of the report."""
        tally = self.tally
        return {
            "seeded": tally.rows,
            "batches": tally.batches,
            "batch_rows": tally.batch_rows or None,
            "rows_per_second": round(tally.rows_per_second) if tally.rows else None,
            "workers": self.options.pace.workers,
            "longest_lock_wait_ms": round(self.waits.longest * 1000, 1),
            "batches_with_locked_rows": tally.skipped_batches,
            "throttled_seconds": {why: round(s, 1) for why, s in tally.held_back.items()},
            "throttles_not_visible": sorted(tally.unseen),
            "reconnects": self.reconnects,
            "seconds": self.seconds,
        }

    def partial(self, why: str, *, stopped_by: str = "trouble") -> PartialError:
        """Return the error that says how far the work came.

        `stopped_by` is for scripts: time-budget, interrupt, lock, or trouble for anything else.
        """
        done = (
            f"{counted(self.tally.rows, 'row')} filled in "
            f"{counted(self.tally.batches, 'batch', 'batches')}, all committed"
        )
        budget = self.options.time_budget
        return PartialError(
            f"stopped part of the way: {why}; {done}",
            id="stopped-part-way",
            steps=(command(self.options.again + (f" --time-budget {budget:g}" if budget else "")),),
            table=self.spec.label,
            facts={**self.facts(), "stopped_by": stopped_by},
        )

    def _out_of_time(self, late: OutOfTimeError) -> PartialError:
        return self.partial(str(late), stopped_by="time-budget")

    @property
    def _budget(self) -> str:
        return f"the time budget of {self.options.time_budget:g} s"

    def _interrupted(self) -> BaseException:
        """Return what an interrupt ends in: nothing may be known of a statement's end."""
        unknown = self.running != "examine" and is_lost(self.connection)
        if self.begun or unknown:
            return self.partial("interrupted", stopped_by="interrupt")
        return KeyboardInterrupt()

    def _ended_by(self, error: DatabaseError) -> BaseException:
        if interrupts.asked():
            return self._interrupted()
        lost = "the connection was lost: " if is_lost(self.connection) else ""
        if lost and self.seconds_left <= 0:
            # A server that is silent is not waited for any longer (Waits.end_where_silent).
            late = OutOfTimeError(f"the server did not answer when {self._budget} was used up")
            return self._out_of_time(late) if self.begun else self._too_short(late)
        if not self.begun:
            return error
        return self.partial(f"{lost}{first_line(error)}")

    def _too_short(self, error: OutOfTimeError) -> UndecidedError:
        twice = 2 * (self.options.time_budget or 0)
        return UndecidedError(
            f"{error} before this run could write anything to {self.spec.label}; it came to the "
            f"phase: {self.running}",
            id="time-budget-too-short",
            steps=(command(f"{self.options.again} --time-budget {twice:g}"),),
            table=self.spec.label,
            facts=self.facts(),
        )

    @contextmanager
    def stopped_in_good_order(self) -> Iterator[None]:
        """Turn what stops the work into the sentence and the exit code that say how it stands."""
        try:
            yield
        except LockNotObtainedError as error:
            if self.begun:
                why = f"the lock was not obtained: {error}"
                raise self.partial(why, stopped_by="lock") from error
            raise UndecidedError(
                f"not begun, because the lock on {self.spec.label} was not obtained: {error}",
                id="lock-not-obtained",
                hint="wait for the session that holds the table, or end it; then run it again",
                steps=(command(self.options.again),),
                table=self.spec.label,
            ) from error
        except OutOfTimeError as error:
            # Only here, when the last batches have ended, is it known how far the work came.
            if self.has_written:
                raise self._out_of_time(error) from error
            raise self._too_short(error) from error
        except AutovacuumAgainstWraparoundError as error:
            raise self.partial(str(error)) from error
        except KeyboardInterrupt:
            raise self._interrupted() from None
        except DatabaseError as error:
            if (ended := self._ended_by(error)) is error:
                raise
            raise ended from error
