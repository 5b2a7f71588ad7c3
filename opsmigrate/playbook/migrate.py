"""Migrate the live database: each try gets its locks soon, or gives up and changes nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.counted import counted
from opsmigrate.errors import OpsmigrateError, PartialError, RefusedError, UndecidedError
from opsmigrate.playbook.fingerprints import Fingerprint
from opsmigrate.playbook.lock_holders import Holder, end_idle, holding, waited_for
from opsmigrate.playbook.migrate_process import Failure, Try, run_try
from opsmigrate.playbook.one_at_a_time import end_sessions_of_process
from opsmigrate.playbook.time_limits import TimeLimits
from opsmigrate.postgres.driver_errors import (
    DEADLOCK_DETECTED,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
)
from opsmigrate.postgres.interruptible import pause
from opsmigrate.preflight.live.planned_locks import PlannedLock
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.schema.history import applied_migrations
from opsmigrate.steps import Step, command

RETRIED = (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
AGAIN = command("python manage.py migrate_safely")
LOOK_FIRST = command("python manage.py preflight_migrate")
SAID_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class HowToMigrate:
    """What is migrated, with the plan that passed, and how it goes about its locks.

    `identity` is that of the database that was examined; `locks` are those that the examination
    expects.
    """

    identity: tuple[str, ...]
    target: MigrateArguments
    plan: tuple[Fingerprint, ...]
    locks: tuple[PlannedLock, ...]
    limits: TimeLimits
    attempts: int
    end_blockers: bool
    verbosity: int


@dataclass
class Migrating:
    """A run in progress: what it has applied, whom it waited for, whom it has ended."""

    connection: BaseDatabaseWrapper
    how: HowToMigrate
    progress: Progress
    attempts: int = 0
    waited_for: dict[int, str] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _said: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Say who is in the way, and end those who only idle where that was asked for."""
        self._face(lambda: waited_for(self.connection))

    def look_back(self, failure: Failure) -> None:
        """Do so for a try that gave up, perhaps sooner than anybody looked."""
        locks = [each for each in self.how.locks if each.migration == failure.migration]
        if locks:
            self._face(lambda: holding(self.connection, locks))

    def _face(self, who: Callable[[], Sequence[Holder]]) -> None:
        interrupts.raise_if_asked()
        try:
            for holder in who():
                self.waited_for[holder.pid] = str(holder)
                if time.monotonic() - self._said.get(holder.pid, 0.0) > SAID_AGAIN_SECONDS:
                    self._said[holder.pid] = time.monotonic()
                    self.progress.phase(f"  waiting for {holder}")
                if self.how.end_blockers and holder.only_idles:
                    self._end(holder.pid, end_idle(self.connection, holder), str(holder))
        except Error:
            # What can only be said of others must not stop the migration.
            interrupts.raise_if_asked()
            self.connection.close()

    def _end(self, pid: int, ended: bool | None, words: str) -> None:
        if ended:
            self.ended.append(pid)
            self.progress.phase(f"  ended {words}")
        elif ended is None and not any(each.id == "blocker-not-ended" for each in self.findings):
            self.findings.append(
                Finding(
                    id="blocker-not-ended",
                    severity=Severity.WARNING,
                    message=f"the role may not end {words}",
                    hint="a superuser grants pg_signal_backend to the role that migrates, or ends "
                    "the session",
                    evidence={"pid": pid},
                )
            )

    def applied(self) -> list[str]:
        """Return the migrations of the plan that have been done, by the history."""
        done = set(applied_migrations(self.connection))
        return [
            each.migration
            for each in self.how.plan
            if (each.migration in done) is not each.backwards
        ]

    def remaining(self, applied: Sequence[str]) -> tuple[Fingerprint, ...]:
        """Return what is left of the plan."""
        return tuple(each for each in self.how.plan if each.migration not in applied)

    def facts(self, applied: Sequence[str]) -> dict[str, Any]:
        """Return what was done, in the words of the report."""
        return {
            "applied": list(applied),
            "attempts": self.attempts,
            "lock_timeout_seconds": self.how.limits.lock,
            "statement_timeout_seconds": self.how.limits.statement,
            "waited_for": list(self.waited_for.values()),
            "ended_sessions": self.ended,
        }


def migrate_safely(
    connection: BaseDatabaseWrapper,
    how: HowToMigrate,
    progress: Progress,
    *,
    recovery: Callable[[], Sequence[Finding]],
) -> Result:
    """Apply the plan that passed, and nothing else; return what came of it.

    A try that did not get a lock in time is repeated after a pause, as long as nothing of the
    migration that wanted it was done. `recovery` says what a migration left behind that is not
    atomic. Raises RefusedError, UndecidedError or PartialError where the plan was not completed.
    """
    run = Migrating(connection, how, progress)
    seconds = FIRST_PAUSE
    while True:
        failure = _try(run)
        applied = run.applied()
        if failure is None:
            return _done(run, applied)
        if failure.sqlstate in RETRIED:
            run.look_back(failure)
        if not _may_be_repeated(failure) or run.attempts >= how.attempts:
            return _given_up(run, failure, applied, recovery)
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        progress.phase(
            f"Try {run.attempts} of {how.attempts} did not get its lock"
            f"{_at(failure)}; the next one begins in {seconds * jitter:.1f} s"
        )
        pause(connection, seconds * jitter)
        seconds = min(seconds * 2, LONGEST_PAUSE)


def _try(run: Migrating) -> Failure | None:
    run.attempts += 1
    left = run.remaining(run.applied())
    run.progress.phase(f"Migrating: {counted(len(left), 'migration')}")
    how = run.how
    job = Try(
        identity=how.identity,
        target=how.target,
        plan=left,
        limits=how.limits,
        verbosity=how.verbosity,
    )
    try:
        failure = run_try(run.connection, job, look=run.look, say=run.progress.phase)
    except BaseException as error:
        raise _stopped(run, error) from error
    if failure is not None and not end_sessions_of_process(run.connection):
        raise PartialError(
            "the process of migrate has ended, but its session on the server has not: what it did "
            "is not known yet",
            id="migrate-stopped",
            hint="wait until its session has ended; then examine what is left",
            steps=(LOOK_FIRST,),
            facts=run.facts([]),
        )
    return failure


def _stopped(run: Migrating, error: BaseException) -> BaseException:
    """Return what an interrupt in the midst of a try ends in; what is done stays done."""
    if not isinstance(error, KeyboardInterrupt):
        return error
    end_sessions_of_process(run.connection)
    applied = run.applied()
    # Only a migration that is atomic leaves nothing behind, and we do not know which one ran.
    return PartialError(
        f"interrupted while migrate ran: {_so_far(run, applied)}",
        id="migrate-stopped",
        hint="what was not committed is undone; examine what is left, and go on from there",
        steps=(LOOK_FIRST, AGAIN),
        facts=run.facts(applied),
    )


def _may_be_repeated(failure: Failure) -> bool:
    """Return whether it is for want of a lock, and nothing of the migration was done."""
    if failure.kind != "error" or failure.sqlstate not in RETRIED:
        return False
    # Before its first migration `migrate` does nothing that it does not do again, and after its
    # last one neither.
    return failure.migration is None or failure.after_the_plan or not failure.lasting


def _done(run: Migrating, applied: Sequence[str]) -> Result:
    left = run.remaining(applied)
    if left:
        return Result(
            verdict=Verdict.FAILED,
            summary=f"migrate ended well, but {left[0].migration} is not recorded",
            findings=(
                *run.findings,
                Finding(
                    id="migrate-incomplete",
                    severity=Severity.ERROR,
                    message=f"migrate ended well, but the history does not have what it was to do: "
                    f"{', '.join(each.migration for each in left)}",
                    hint="see whether the project has a migrate command of its own, which leaves "
                    "it out",
                    steps=(LOOK_FIRST,),
                ),
            ),
            facts=run.facts(applied),
        )
    tries = counted(run.attempts, "try", "tries")
    verb = "unapplied" if run.how.plan and run.how.plan[0].backwards else "applied"
    what = f"{counted(len(applied), 'migration')} {verb}" if applied else "nothing to migrate"
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{what}, in {tries}",
        findings=tuple(run.findings),
        facts=run.facts(applied),
    )


def _at(failure: Failure) -> str:
    where = " ".join(filter(None, (failure.migration, failure.operation)))
    return f" at {where}" if where else ""


def _given_up(
    run: Migrating,
    failure: Failure,
    applied: Sequence[str],
    recovery: Callable[[], Sequence[Finding]],
) -> Result:
    """Return, or raise, why the plan was not completed, and how the database is now."""
    facts = run.facts(applied)
    if failure.kind in ("plan-changed", "another-database"):
        raise _unlike(failure, applied, facts)
    half = failure.lasting and (failure.kind == "ended" or failure.migration is not None)
    left_behind = tuple(recovery()) if half else ()
    if failure.kind == "error" and failure.sqlstate in RETRIED:
        raise _without_lock(run, failure, applied, left_behind)
    if failure.kind == "ended":
        return _ended(run, failure, applied, left_behind)
    return _failed(run, failure, applied, left_behind)


def _so_far(run: Migrating, applied: Sequence[str]) -> str:
    return f"{counted(len(applied), 'migration')} of {len(run.how.plan)} applied"


def _ended(
    run: Migrating, failure: Failure, applied: Sequence[str], left_behind: tuple[Finding, ...]
) -> Result:
    """Return what is said where the process did not come to its end."""
    words = f"migrate was ended: {failure.words}; {_so_far(run, applied)}"
    finding = Finding(
        id="migrate-stopped",
        severity=Severity.ERROR,
        message=words,
        hint="examine what is left, and go on from there",
        steps=(LOOK_FIRST,),
    )
    return Result(
        verdict=Verdict.PARTIAL if applied or left_behind else Verdict.UNDECIDED,
        summary=words,
        findings=(finding, *left_behind, *run.findings),
        facts=run.facts(applied),
    )


def _failed(
    run: Migrating, failure: Failure, applied: Sequence[str], left_behind: tuple[Finding, ...]
) -> Result:
    """Return what is said where the project's `migrate` raised an error."""
    words = f"migrate failed{_at(failure)}: {failure.words}; {_so_far(run, applied)}"
    limit = run.how.limits.statement
    hint = "correct its cause, and examine what is left"
    if failure.sqlstate == QUERY_CANCELED and limit is not None:
        hint = (
            f"a statement took longer than the {limit:g} s that the forecast allows: see what "
            "slowed it down, or give it more time with --statement-timeout"
        )
    finding = Finding(
        id="migrate-failed",
        severity=Severity.ERROR,
        message=words,
        hint=hint,
        steps=(LOOK_FIRST,),
        migration=failure.migration,
        operation=failure.operation,
        evidence={"sqlstate": failure.sqlstate, "error": failure.error},
    )
    return Result(
        verdict=Verdict.FAILED,
        summary=words,
        findings=(finding, *left_behind, *run.findings),
        facts=run.facts(applied),
    )


def _unlike(failure: Failure, applied: Sequence[str], facts: dict[str, Any]) -> OpsmigrateError:
    kind = PartialError if applied else RefusedError
    if failure.kind == "another-database":
        return kind(
            f"{failure.words}; nothing was migrated there",
            id="another-database",
            hint="let the alias lead to one database, whoever asks and whenever",
            facts=facts,
        )
    return kind(
        f"the plan is no longer the one that was examined: {failure.words}",
        id="plan-changed",
        hint="finish the deploy, or whatever else changes the migrations or the history; then run "
        "this again",
        steps=(AGAIN,),
        facts=facts,
    )


def _without_lock(
    run: Migrating, failure: Failure, applied: Sequence[str], left_behind: tuple[Finding, ...]
) -> OpsmigrateError:
    tries = counted(run.attempts, "try", "tries")
    who = "; ".join(run.waited_for.values())
    held = f", held by {who}" if who else ""
    words = f"the lock{_at(failure)} was not obtained in {tries}{held}"
    facts = run.facts(applied)
    if not applied and not failure.lasting:
        return UndecidedError(
            f"nothing was migrated: {words}",
            id="lock-not-obtained",
            hint="wait for the session that holds it, or end it; --end-blockers ends those that "
            "only idle in a transaction",
            steps=(AGAIN,),
            facts=facts,
        )
    half = (
        f"; {left_behind[0].message}"
        if left_behind
        else "; parts of the migration that wanted it may be done"
        if failure.lasting
        else ""
    )
    hint = "run it again: it goes on from there"
    steps: tuple[Step, ...] = (LOOK_FIRST, AGAIN)
    if left_behind:
        hint, steps = left_behind[0].hint or "", left_behind[0].steps
    elif failure.lasting:
        # Its code may multiply what it finds, say: then a second time is not the first.
        hint = (
            f"see what {failure.migration} has done: migrate would begin it anew, and do that "
            "twice; undo it, or let its code leave out what is done, before anything is run again"
        )
        steps = (LOOK_FIRST,)
    return PartialError(
        f"{_so_far(run, applied)}, and then {words}{half}",
        id="migrate-stopped",
        hint=hint,
        steps=steps,
        facts=facts,
    )
