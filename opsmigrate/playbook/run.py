"""The playbook: each step a command of its own, written down before and after, and resumed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import Error

from opsmigrate import interrupts
from opsmigrate.conf import PLAYBOOK_STEPS, Settings
from opsmigrate.errors import OpsmigrateError, PartialError, RefusedError, UndecidedError
from opsmigrate.guard import approved
from opsmigrate.interrupts import INTERRUPTED
from opsmigrate.playbook.command_process import CommandEnd, run_command
from opsmigrate.playbook.hooks import Hooks
from opsmigrate.playbook.journal import Journal, JournalRun
from opsmigrate.playbook.journal_lines import About, Event, StepEnd
from opsmigrate.playbook.sequence import (
    BACKUP,
    FAILED,
    MIGRATE,
    NOTHING_TO_SEED,
    PREFLIGHT,
    PREFLIGHT_AGAIN,
    SEED,
    USAGE,
    WRITE,
    Asked,
    Stand,
    arguments_of,
    facts_of,
    is_mended_by_seed,
)
from opsmigrate.playbook.step_list import StepList
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.shown import shown
from opsmigrate.steps import Step, aimed_text, command

AGAIN = "python manage.py run_playbook"
ANEW = command(f"{AGAIN} --from {BACKUP}")
NOTHING = {"facts": {"summary": "there is nothing to seed", "skipped": True}}
LOSES = "loses what was written since the backup"


@dataclass(kw_only=True)
class Playbook:
    """A run in progress. `stand` is asked again and again: the database changes meanwhile."""

    settings: Settings
    asked: Asked
    journal: Journal
    run: JournalRun
    stand: Callable[[], Stand]
    hooks: Hooks
    shown: StepList
    findings: list[Finding] = field(default_factory=list)
    # What was written by the step that stopped the run, for the report.
    stopped: CommandEnd | None = None


def play(playbook: Playbook, steps: Sequence[str]) -> Result:
    """Run the steps, one after the other, up to the first that does not pass."""
    run, verdict = playbook.run, Verdict.UNDECIDED
    _tell(playbook, "begun")
    try:
        result = _played(playbook, steps)
        verdict = result.verdict
    except OpsmigrateError as error:
        verdict = error.verdict
        if _has_written(run) and error.id != "playbook-stopped":
            error.steps = (*(error.steps or (command(AGAIN),)), *_rollback_steps(playbook))
        error.facts = {**facts_of_run(playbook), **error.facts}
        raise
    except KeyboardInterrupt:
        interrupts.hold_back()
        if not run.begun:
            raise
        verdict = Verdict.PARTIAL
        raise _interrupted(playbook, "between two steps") from None
    finally:
        interrupts.hold_back()
        _end(playbook, verdict)
    return result


def _end(playbook: Playbook, verdict: Verdict) -> None:
    """Write, and tell, how it ended; where it has not passed, that must not hide the reason."""
    run, passed = playbook.run, verdict is Verdict.PASSED
    rollback = None if passed else rollback_of(playbook)
    typed = rollback.text if rollback else None
    try:
        playbook.journal.end(run, verdict.value, passed=not steps_left(run), rollback=typed)
    except UndecidedError:
        if passed:
            raise
    _tell(playbook, "ended", verdict=verdict)


def steps_left(run: JournalRun) -> list[str]:
    """Return the steps of a run that are not completed, from the one on that it began with."""
    steps = PLAYBOOK_STEPS[PLAYBOOK_STEPS.index(run.first) :]
    return [each for each in steps if not run.has_done(each)]


def _played(playbook: Playbook, steps: Sequence[str]) -> Result:
    run = playbook.run
    for step in steps:
        end = _take(playbook, step)
        if end.exit_code:
            return _stopped(playbook, end)
    left = steps_left(run)
    words = f"done up to {steps[-1]}; {left[0]} comes next" if left else "the playbook is done"
    return Result(
        verdict=Verdict.PASSED,
        summary=words,
        findings=tuple(playbook.findings),
        facts=facts_of_run(playbook),
        detail=(*step_lines(run), *_rollback_lines(playbook)),
    )


def _rollback_lines(playbook: Playbook) -> list[str]:
    rollback = rollback_of(playbook)
    return ["", f"To roll back ({LOSES}):", f"  {rollback.text}"] if rollback else []


def _take(playbook: Playbook, step: str) -> StepEnd:
    """Take one step: write that it begins, run it, write how it ended."""
    run = playbook.run
    try:
        stand = playbook.stand()
    except Error as error:
        raise UndecidedError(
            f"the server was lost before the step {step}: {first_line(error)}",
            id="server-lost",
            hint="when it is there again, go on: the next run begins with that step",
            steps=(command(AGAIN),),
        ) from error
    if _is_needless(step, stand):
        end = _ended(step, CommandEnd(0, NOTHING), time.monotonic())
        playbook.journal.step_ends(run, end)
        return end
    _begin(playbook, step)
    began = time.monotonic()
    try:
        done = _run(playbook, step, stand)
    except KeyboardInterrupt:
        interrupts.hold_back()
        end = _ended(step, CommandEnd(INTERRUPTED, last_words="interrupted"), began)
        playbook.shown.end(step, word_for(end), end.seconds)
        try:
            playbook.journal.step_ends(run, end)
        finally:
            playbook.findings += playbook.hooks.after(step, INTERRUPTED)
        raise _interrupted(playbook, f"in the step {step}") from None
    end = _ended(step, done, began)
    playbook.shown.end(step, word_for(end), end.seconds)
    try:
        playbook.journal.step_ends(run, end)
    finally:
        playbook.findings += playbook.hooks.after(step, end.exit_code)
    _tell(playbook, "step-ended", end=end)
    playbook.stopped = done if end.exit_code else None
    return end


def _begin(playbook: Playbook, step: str) -> None:
    """Do what goes before a step; undo it where the step cannot be begun."""
    try:
        playbook.hooks.before(step)
        playbook.shown.begin(step)
        playbook.journal.step_begins(playbook.run, step)
    except BaseException:
        interrupts.hold_back()
        # A maintenance page, say, must not stay.
        playbook.findings += playbook.hooks.after(step, Verdict.UNDECIDED.exit_code)
        raise


def _is_needless(step: str, stand: Stand) -> bool:
    if not is_expected(step, stand.settings):
        return True
    seeded = stand.run.ends.get(SEED)
    return step == PREFLIGHT_AGAIN and seeded is not None and seeded.skipped


def is_expected(step: str, settings: Settings) -> bool:
    """Return whether a run of these settings takes the step, as far as they can tell."""
    return settings.seed is not None or step not in (SEED, PREFLIGHT_AGAIN)


def _run(playbook: Playbook, step: str, stand: Stand) -> CommandEnd:
    def ask(arguments: Sequence[str]) -> CommandEnd:
        return run_command(arguments, playbook.run.run_id, say=playbook.shown.say)

    arguments = arguments_of(step, stand)
    if step == SEED:
        plan = ask([*arguments, "--dry-run"])
        if plan.exit_code == USAGE and NOTHING_TO_SEED & set(plan.ids):
            return CommandEnd(0, NOTHING)
        if plan.exit_code:
            return plan
    done = ask(arguments)
    mended = step == PREFLIGHT and done.exit_code == FAILED and stand.settings.seed is not None
    if mended and is_mended_by_seed(done):
        words = f"no, and the seed mends it: {done.summary}"
        playbook.shown.say("  the seed mends this")
        return CommandEnd(0, {"facts": {"summary": words}})
    return done


def _ended(step: str, done: CommandEnd, began: float) -> StepEnd:
    return StepEnd(
        step=step,
        exit_code=done.exit_code,
        seconds=round(time.monotonic() - began, 3),
        summary=shown(done.summary),
        skipped=done.report is NOTHING,
        facts=facts_of(step, done),
    )


def verdict_of(exit_code: int) -> Verdict:
    """Return the verdict of an exit code; one that is none of ours decides nothing."""
    known = {each.exit_code: each for each in Verdict}
    return known.get(exit_code, Verdict.UNDECIDED)


def word_for(end: StepEnd) -> str:
    """Return the word for how a step ended."""
    if end.skipped:
        return "skipped"
    known = {each.exit_code: each.value for each in Verdict}
    return known.get(end.exit_code, "interrupted" if end.exit_code == INTERRUPTED else "stopped")


def _stopped(playbook: Playbook, end: StepEnd) -> Result:
    run = playbook.run
    words = f"the step {end.step} ended with {end.exit_code} ({word_for(end)}): {end.summary}"
    return Result(
        verdict=verdict_of(end.exit_code),
        summary=words,
        findings=(
            Finding(
                id="playbook-stopped",
                severity=Severity.ERROR,
                message=words,
                hint=_hint(playbook),
                steps=_next_steps(playbook),
            ),
            *findings_of(playbook.stopped),
            *playbook.findings,
        ),
        facts=facts_of_run(playbook),
        detail=tuple(step_lines(run)),
    )


def _hint(playbook: Playbook) -> str:
    written = _has_written(playbook.run)
    return (
        ("" if written else "nothing was written; ")
        + "when its cause is mended, go on: the next run begins with that step; if the code of the "
        "release was changed for that, begin anew" + ("; or roll back" if written else "")
    )


def _next_steps(playbook: Playbook) -> tuple[Step, ...]:
    return (command(AGAIN), replace(ANEW, alternative=2), *_rollback_steps(playbook))


def _rollback_steps(playbook: Playbook) -> tuple[Step, ...]:
    rollback = rollback_of(playbook)
    return (rollback,) if rollback else ()


def _has_written(run: JournalRun) -> bool:
    return any(step in WRITE for step in run.begun)


def rollback_of(playbook: Playbook) -> Step | None:
    """Return what takes the database back to the backup; None before anything was written."""
    run, asked = playbook.run, playbook.asked
    file = run.fact(BACKUP, "file")
    if file is None or not _has_written(run):
        return None
    typed = f"python manage.py restore_db {shlex.quote(str(file))}"
    text = aimed_text(approved(playbook.settings, typed).text, asked.alias, asked.settings_module)
    return command(text, risk=LOSES, alternative=3)


def _interrupted(playbook: Playbook, where: str) -> PartialError:
    return PartialError(
        f"interrupted {where}; the journal has what was done, as the run {playbook.run.run_id}",
        id="playbook-stopped",
        hint="run it again, and it goes on from there"
        + ("; or roll back" if _has_written(playbook.run) else "; nothing was written"),
        steps=(command(AGAIN), *_rollback_steps(playbook)),
        facts=facts_of_run(playbook),
    )


def findings_of(end: CommandEnd | None) -> list[Finding]:
    """Return the errors and warnings of the report of a command."""
    names = ("id", "message", "hint", "migration", "operation", "table", "column", "evidence")
    return [
        Finding(
            severity=Severity(each["severity"]),
            steps=tuple(Step(**step) for step in each["steps"]),
            **{name: each[name] for name in names},
        )
        for each in (end.report.get("findings", ()) if end else ())
        if each["severity"] != Severity.INFO.value
    ]


def facts_of_run(playbook: Playbook) -> dict[str, Any]:
    """Return the run in the words of the report."""
    run = playbook.run
    rollback = rollback_of(playbook)
    return {
        "journal": str(playbook.journal.file),
        "run": run.run_id,
        "steps": [
            {
                "step": step,
                "verdict": word_for(end) if end else None,
                "exit_code": end.exit_code if end else None,
                "seconds": end.seconds if end else None,
                "message": end.summary if end else None,
            }
            for step in PLAYBOOK_STEPS
            for end in [run.ends.get(step)]
        ],
        "backup": run.fact(BACKUP, "file"),
        "rollback": rollback.text if rollback else None,
        "migrations_before": len(run.about.applied),
    }


def step_lines(run: JournalRun) -> list[str]:
    """Return the steps as a table."""
    lines = [f"Steps of the run {run.run_id}:"]
    for step in PLAYBOOK_STEPS:
        end = run.ends.get(step)
        word, took = (word_for(end), f"{end.seconds:,.1f} s") if end else ("-", "")
        lines.append(f"  {step:<16} {word:<12} {took:>10}".rstrip())
    return lines


def require_same(then: JournalRun, now: About) -> None:
    """Raise RefusedError where a run of another database, release or plan would be continued."""
    was = then.about
    if (was.system_identifier, was.oid) != (now.system_identifier, now.oid):
        what = f"the database is another one: it was {was.database} with the oid {was.oid}"
    elif was.timeline != now.timeline:
        what = (
            "another server has its files: a standby was promoted since, or a backup was restored "
            f"to a point in time (timeline {now.timeline}, then {was.timeline})"
        )
    elif was.release != now.release:
        what = "the release is another one: its migrations, Django or opsmigrate have changed"
    elif _expected(then, now) != now.plan:
        what = "what is pending is not what was"
    else:
        return
    raise RefusedError(
        f"the run {then.run_id} of {then.started} was not completed, and cannot be continued: "
        f"{what}",
        id="journal-differs",
        hint="restore what it was, and go on; or begin anew",
        steps=(ANEW,),
        evidence={"run_id": then.run_id},
    )


def _expected(then: JournalRun, now: About) -> tuple[tuple[str, str], ...]:
    """Return what must be pending: all that was, but for what the run itself has applied."""
    if MIGRATE not in then.begun:
        return then.about.plan
    applied = set(now.applied)
    return tuple(each for each in then.about.plan if each[0] not in applied)


def _tell(playbook: Playbook, event: Event, **more: Any) -> None:
    database = playbook.run.about.database
    playbook.findings += playbook.hooks.tell(event, database, **more)
