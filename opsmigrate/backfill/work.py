"""One run in progress: what it has done, the time it has, and how it stops in good order."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.fill import Tally
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.sessions import is_lost
from opsmigrate.errors import PartialError, UndecidedError
from opsmigrate.postgres.errors import first_line
from opsmigrate.postgres.locks import (
    AutovacuumAgainstWraparoundError,
    LockNotObtainedError,
    LockTries,
    LockWaits,
)
from opsmigrate.progress import Progress


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
    goal: Goal
    options: SeedOptions
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    waits: LockWaits = field(default_factory=LockWaits)
    begun: bool = False
    reconnects: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def tries(self) -> LockTries:
        """Return how to ask for a strong lock."""
        pace = self.options.pace
        return LockTries(
            lock_timeout=pace.lock_timeout,
            patience=pace.patience,
            waits=self.waits,
            say=self.progress.update,
            announce=self.progress.phase,
        )

    def require_time(self) -> None:
        """Raise OutOfTimeError where the time budget is used up and something was begun."""
        budget = self.options.time_budget
        if self.begun and budget is not None and time.monotonic() - self.started > budget:
            raise OutOfTimeError(f"the time budget of {budget:g} s is used up")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that a phase begins, and count its seconds."""
        self.require_time()
        self.progress.phase(f"{name} …")
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
            "throttles_unseen": sorted(tally.unseen),
            "reconnects": self.reconnects,
            "seconds": self.seconds,
        }

    def partial(self, why: str) -> PartialError:
        """Return the error that says how far the work came."""
        done = f"{self.tally.rows:,} rows filled in {self.tally.batches:,} batches, all committed"
        return PartialError(
            f"stopped part of the way: {why}; {done}",
            id="stopped-part-way",
            hint=self.options.again,
            table=self.goal.label,
            facts=self.facts(),
        )

    @contextmanager
    def stopped_in_good_order(self) -> Iterator[None]:
        """Turn what stops the work into the sentence and the exit code that say how it stands."""
        try:
            yield
        except LockNotObtainedError as error:
            if self.begun:
                raise self.partial(f"the lock was not obtained: {error}") from error
            raise UndecidedError(
                f"not begun, because the lock on {self.goal.label} was not obtained: {error}",
                id="lock-not-obtained",
                hint=f"end or wait for what holds the table; then {self.options.again}",
                table=self.goal.label,
            ) from error
        except (AutovacuumAgainstWraparoundError, OutOfTimeError) as error:
            # Only here, when the last batches have ended, is it known how far the work came.
            raise self.partial(str(error)) from error
        except KeyboardInterrupt:
            if not self.begun:
                raise
            raise self.partial("interrupted") from None
        except DatabaseError as error:
            if not self.begun:
                raise
            lost = "the connection was lost: " if is_lost(self.connection) else ""
            raise self.partial(f"{lost}{first_line(error)}") from error
