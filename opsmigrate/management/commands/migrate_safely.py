"""Run the project's own migrate, bound to the examination, with time limits on its locks."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opsmigrate.errors import OpsmigrateError, RefusedError
from opsmigrate.management.argument_types import positive_float, positive_int
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.examination import arguments_of, examined
from opsmigrate.management.examination_arguments import add_examination
from opsmigrate.management.shared_arguments import add_lock_timeout
from opsmigrate.management.typed import about_the_plan
from opsmigrate.playbook.fingerprints import fingerprints
from opsmigrate.playbook.migrate import HowToMigrate, migrate_safely
from opsmigrate.playbook.one_at_a_time import OF_THE_COMMAND, one_at_a_time, require_session
from opsmigrate.playbook.time_limits import SECONDS_CONCURRENTLY, TimeLimits, statement_limit
from opsmigrate.postgres.identity import identity_of
from opsmigrate.preflight.examination import Examination
from opsmigrate.preflight.live.timeouts import LOCK, STATEMENT, Limit, in_lines
from opsmigrate.preflight.plan import Plan, make_plan
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.steps import command

ATTEMPTS = 20


class Command(DatabaseCommand):
    """migrate_safely: what passed is applied, and nothing else; no writer waits for long."""

    # migrate stops there as well.
    too_old = OpsmigrateError
    help = (
        "Examine the plan as preflight_migrate does, and apply what passed with the project's own "
        "migrate: each try waits for a lock for a moment only."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of migrate, the options of the examination, and those of the tries."""
        super().add_arguments(parser)
        add_examination(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be done; write nothing"
        )
        add_lock_timeout(parser)
        parser.add_argument(
            "--statement-timeout",
            type=positive_float,
            metavar="SECONDS",
            help="how long a statement may take (default: from the forecast, at least a minute; "
            "none if the forecast does not know)",
        )
        parser.add_argument(
            "--attempts",
            type=positive_int,
            default=ATTEMPTS,
            metavar="N",
            help="number of tries for the locks, with growing pauses (default: 20)",
        )
        parser.add_argument(
            "--end-blockers",
            action="store_true",
            help="end sessions in the way that have been idle in a transaction for 5 seconds; "
            "what they have not committed is lost",
        )

    def repeating(self, result: Result, options: dict[str, Any]) -> Result:
        """Return the result, whose steps repeat the arguments of migrate."""
        said = about_the_plan(result, options)
        again = (said.again or "").replace("preflight_migrate", "migrate_safely", 1)
        return replace(said, again=again or None)

    def run(self, run: Run, **options: Any) -> Result:
        """Examine, and migrate what passed."""
        require_session(run.connection, "migrate_safely")
        with one_at_a_time(run.connection, run.session, key=OF_THE_COMMAND, what="migrate_safely"):
            # Before the examination: what it reads of the files may change while it takes its time.
            plan = make_plan(run.connection, arguments_of(options))
            identity = tuple(identity_of(run.connection))
            examination = examined(run, options)
            limits = _limits(run, plan, examination, options)
            result = _with_time_outs(examination, limits)
            judged = result.failing_on(Severity(options["fail_on"]))
            if judged.verdict is not Verdict.PASSED:
                return replace(judged, summary=f"nothing was migrated: {judged.summary}")
            # A connection that was lost is opened again.
            if tuple(identity_of(run.connection)) != identity:
                raise RefusedError(
                    "another server answers now than the one that was examined first",
                    id="another-database",
                    hint="let the alias lead to one database, whoever asks and whenever",
                )
            how = replace(_how(plan, examination, limits, options), identity=identity)
            if options["dry_run"]:
                return _planned(result, how)
            return _together(
                result,
                migrate_safely(
                    run.connection,
                    how,
                    run.progress,
                    recovery=lambda: _left_behind(run, options),
                ),
            )


def _limits(run: Run, plan: Plan, examination: Examination, options: dict[str, Any]) -> TimeLimits:
    """Return the time-outs that its sessions get, in the place of those that they would have."""
    return TimeLimits(
        lock=options["lock_timeout"] or run.settings.lock_timeout_seconds,
        statement=options["statement_timeout"]
        or statement_limit(
            examination.seconds,
            [step.migration for step in plan.steps],
            rehearsed=examination.rehearsed,
        ),
    )


def _with_time_outs(examination: Examination, limits: TimeLimits) -> Result:
    """Return the result, with the time-outs that this command's sessions have."""
    result = examination.result
    if not examination.plan:
        return result
    own = {LOCK: limits.lock, STATEMENT: limits.statement}
    stand = dict(examination.limits) | {
        name: Limit(name, seconds, "by migrate_safely")
        for name, seconds in own.items()
        if seconds is not None
    }
    return replace(result, detail=(*result.detail, *in_lines(stand, "the sessions of migrate")))


def _how(
    plan: Plan, examination: Examination, limits: TimeLimits, options: dict[str, Any]
) -> HowToMigrate:
    prints = fingerprints((each.migration, each.backwards) for each in plan.steps)
    if list(examination.plan) != [(each.migration, each.backwards) for each in prints]:
        raise RefusedError(
            "the plan changed while it was examined",
            id="plan-changed",
            hint="finish the deploy, or whatever else changes the migrations or the history; then "
            "run this again",
            steps=(command("python manage.py migrate_safely"),),
        )
    return HowToMigrate(
        identity=(),
        target=arguments_of(options),
        plan=prints,
        locks=examination.locks,
        limits=limits,
        attempts=options["attempts"],
        end_blockers=options["end_blockers"],
        verbosity=options["verbosity"],
    )


def _planned(result: Result, how: HowToMigrate) -> Result:
    return replace(
        result,
        detail=(
            *result.detail,
            f"It would try at most {how.attempts} times; what runs CONCURRENTLY waits up to "
            f"{SECONDS_CONCURRENTLY:g} s, and blocks nobody",
        ),
    ).with_facts(
        applied=[],
        attempts=0,
        lock_timeout_seconds=how.limits.lock,
        statement_timeout_seconds=how.limits.statement,
    )


def _together(examination: Result, migrated: Result) -> Result:
    """Return what came of it, with what was found before."""
    return replace(
        migrated,
        findings=(*migrated.findings, *examination.findings),
        undecided=examination.undecided,
        facts={**examination.facts, **migrated.facts},
        detail=examination.detail,
    )


def _left_behind(run: Run, options: dict[str, Any]) -> Sequence[Finding]:
    """Return what an examination without a rehearsal says of a migration that stopped half-way."""
    again = examined(run, {**options, "rehearse": "off", "require_backup": None})
    return [
        each
        for each in again.result.findings
        if each.id == "half-applied" or each.severity is Severity.ERROR
    ]
