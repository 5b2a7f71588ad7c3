"""The whole playbook as one command, which can be stopped and resumed."""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from django.db.migrations.executor import MigrationExecutor

from opsmigrate.conf import PLAYBOOK_STEPS
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError, UsageError
from opsmigrate.guard import require_approval
from opsmigrate.management.argument_types import positive_float, positive_int
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.pgtools.temporary_folder import reap_temporary_folders
from opsmigrate.playbook.command_process import CommandEnd, run_command
from opsmigrate.playbook.fingerprints import fingerprints, release_digest
from opsmigrate.playbook.hooks import Hooks
from opsmigrate.playbook.journal import Journal, JournalRun, seconds_of
from opsmigrate.playbook.journal_lines import About
from opsmigrate.playbook.one_at_a_time import OF_THE_PLAYBOOK, one_at_a_time, require_session
from opsmigrate.playbook.run import (
    Playbook,
    findings_of,
    is_expected,
    play,
    require_same,
    steps_left,
    verdict_of,
)
from opsmigrate.playbook.sequence import (
    FAILED,
    PREFLIGHT,
    SEED,
    TITLES,
    Asked,
    Stand,
    arguments_of,
    is_mended_by_seed,
)
from opsmigrate.playbook.step_list import step_list
from opsmigrate.postgres.identity import timeline_of
from opsmigrate.preflight.plan import MigrateArguments, Plan, make_plan
from opsmigrate.report import Result, Severity, Verdict
from opsmigrate.schema.history import applied_migrations

FIRST = PLAYBOOK_STEPS[0]
SHOWN_LOCKS = 20


class Command(DatabaseCommand):
    """run_playbook: backup, baseline, preflight, seed, preflight, migrate, acceptance."""

    help = (
        "Run the playbook: back up, save a baseline, examine, seed, examine, migrate, accept; a "
        "run that was stopped goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which steps are run, and what is handed to them."""
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="first",
            choices=PLAYBOOK_STEPS,
            help="begin with this step; with backup, a new run (default: where the last run "
            "stopped, else backup)",
        )
        parser.add_argument(
            "--until", choices=PLAYBOOK_STEPS, help="stop after this step (default: uat)"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="show the steps and the plan, with times and locks; write nothing",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before it begins")
        parser.add_argument(
            "--approval",
            metavar="TEXT",
            help="who approved the seed; required in production if there is a SEED",
        )
        parser.add_argument(
            "--accept-undecided", action="store_true", help="as for preflight_migrate"
        )
        parser.add_argument(
            "--base-url", metavar="URL", help="the URL of the site, for the baseline and for uat"
        )
        parser.add_argument(
            "--lock-timeout", type=positive_float, metavar="SECONDS", help="as for migrate_safely"
        )
        parser.add_argument(
            "--attempts", type=positive_int, metavar="N", help="as for migrate_safely"
        )
        parser.add_argument("--end-blockers", action="store_true", help="as for migrate_safely")

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse what does not go together, and a question that nobody would see."""
        first, until = options["first"], options["until"]
        if first and until and PLAYBOOK_STEPS.index(first) > PLAYBOOK_STEPS.index(until):
            raise UsageError(
                f"--from {first} comes after --until {until}",
                id="conflicting-options",
                hint=f"the steps are {', '.join(PLAYBOOK_STEPS)}",
            )
        if not _is_confirmed(options) and not sys.stdin.isatty():
            raise UsageError(
                "there is no terminal to confirm the run on",
                id="not-confirmed",
                hint="run it on a terminal, or say --yes",
            )

    def run(self, run: Run, **options: Any) -> Result:
        """Run the steps that are left, or say which these are."""
        require_session(run.connection, "run_playbook")
        reap_temporary_folders()
        plan = make_plan(run.connection, MigrateArguments())
        if plan.executor is None:
            found = plan.findings
            return Result(verdict=Verdict.FAILED, summary=found[0].message, findings=found)
        about = _about(run, plan, plan.executor)
        with one_at_a_time(
            run.connection, run.session, key=OF_THE_PLAYBOOK, what="run_playbook"
        ) as holder:
            journal = Journal(run.settings.journal_dir, run.connection.alias)
            runs = journal.runs()
            # One that was ended after its last step is done, whatever it still had to write.
            unfinished = runs and not runs[-1].passed and steps_left(runs[-1])
            last = runs[-1] if unfinished else None
            resumed = _resumed(last, about, options)
            steps = _steps(resumed, options)
            asked = _asked(run, options, resumed)
            if options["dry_run"]:
                present = resumed or JournalRun(
                    run_id=run.id, started="", about=about, first=steps[0]
                )
                return _planned(run, asked, present, steps, seconds_of(runs))
            _require_approval(run, steps, options)
            if not steps:
                return Result(verdict=Verdict.PASSED, summary="there is nothing left to do")
            self._confirm(run, steps, options)
            if resumed:
                run.progress.phase(f"Going on with the run {resumed.run_id} of {resumed.started}")
            present = resumed or journal.begin(run.id, about, steps[0])

            def stand() -> Stand:
                # It is hours later, perhaps: where the lock is lost, another run may hold it.
                with holder.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return _stand(run, asked, present)

            live = self._is_watched(options)
            with step_list(run.progress, steps, seconds_of(runs), live=live) as shown:
                return play(
                    Playbook(
                        settings=run.settings,
                        asked=asked,
                        journal=journal,
                        run=present,
                        stand=stand,
                        hooks=Hooks(
                            settings=run.settings.playbook, run_id=present.run_id, say=shown.say
                        ),
                        shown=shown,
                    ),
                    steps,
                )

    def _is_watched(self, options: dict[str, Any]) -> bool:
        return (
            self._from_shell
            and options["verbosity"] > 0
            and sys.stderr is not None
            and sys.stderr.isatty()
            and find_spec("rich") is not None
        )

    def _confirm(self, run: Run, steps: list[str], options: dict[str, Any]) -> None:
        if _is_confirmed(options):
            return
        self.stderr.write(f"On database {run.session.database}:")
        for step in steps:
            self.stderr.write(f"  {step}: {TITLES[step]}")
        self.stderr.write("Type 'yes' to begin: ", ending="")
        self.stderr.flush()
        if self.messages.lost or sys.stdin.readline().strip() != "yes":
            raise RefusedError(
                "not confirmed; nothing was begun",
                id="not-confirmed",
                hint="type yes, or say --yes",
            )


def _is_confirmed(options: dict[str, Any]) -> bool:
    return bool(options["yes"] or options["no_input"] or options["dry_run"])


def _about(run: Run, plan: Plan, executor: MigrationExecutor) -> About:
    prints = fingerprints((each.migration, each.backwards) for each in plan.steps)
    return About(
        database=run.session.database,
        system_identifier=str(run.session.system_identifier),
        oid=run.session.oid,
        release=release_digest(executor),
        plan=tuple((each.migration, each.digest) for each in prints),
        applied=applied_migrations(run.connection),
        timeline=timeline_of(run.connection),
    )


def _resumed(last: JournalRun | None, about: About, options: dict[str, Any]) -> JournalRun | None:
    """Return the run that goes on; None where a new one begins."""
    if last is None or options["first"] == FIRST:
        return None
    require_same(last, about)
    return last


def _steps(resumed: JournalRun | None, options: dict[str, Any]) -> list[str]:
    left = steps_left(resumed) if resumed else list(PLAYBOOK_STEPS)
    if options["first"]:
        left = list(PLAYBOOK_STEPS[PLAYBOOK_STEPS.index(options["first"]) :])
    until = PLAYBOOK_STEPS.index(options["until"] or PLAYBOOK_STEPS[-1])
    return [each for each in left if PLAYBOOK_STEPS.index(each) <= until]


def _asked(run: Run, options: dict[str, Any], resumed: JournalRun | None) -> Asked:
    lock, attempts = options["lock_timeout"], options["attempts"]
    return Asked(
        alias=run.connection.alias,
        base_url=options["base_url"],
        approval=options["approval"],
        accept_undecided=options["accept_undecided"],
        migrate_options=(
            *(("--lock-timeout", f"{lock:g}") if lock else ()),
            *(("--attempts", str(attempts)) if attempts else ()),
            *(("--end-blockers",) if options["end_blockers"] else ()),
        ),
        verbosity=options["verbosity"],
        run_id=resumed.run_id if resumed else run.id,
        settings_module=options.get("settings"),
    )


def _stand(run: Run, asked: Asked, present: JournalRun) -> Stand:
    if not run.connection.is_usable():
        run.connection.close()
    return Stand(
        settings=run.settings,
        asked=asked,
        run=present,
        applied=applied_migrations(run.connection),
    )


def _require_approval(run: Run, steps: list[str], options: dict[str, Any]) -> None:
    """Raise RefusedError now, and not after the backup, where the seed would be refused."""
    if SEED in steps and run.settings.seed is not None:
        require_approval(
            run.settings,
            action="run_playbook",
            approval=options["approval"],
            again="python manage.py run_playbook",
        )


def _planned(
    run: Run, asked: Asked, present: JournalRun, steps: list[str], seconds: Mapping[str, float]
) -> Result:
    """Return what would be done: the steps with their times, the plan with its locks."""
    stand = _stand(run, asked, present)
    run.progress.phase("Examining the plan")
    examined = run_command(arguments_of(PREFLIGHT, stand), run.id, say=run.progress.phase)
    mended = SEED in steps and run.settings.seed is not None and is_mended_by_seed(examined)
    fine = examined.exit_code == 0 or (examined.exit_code == FAILED and mended)
    skipped = [each for each in steps if not is_expected(each, run.settings)]
    steps = [each for each in steps if each not in skipped]
    lines = ["Steps:"]
    for step in PLAYBOOK_STEPS:
        took = f"{seconds[step]:,.1f} s last time" if step in seconds else ""
        word = "to do" if step in steps else "done" if present.has_done(step) else "-"
        if step in skipped:
            word, took = "skip", "there is no SEED"
        lines.append(f"  {step:<16} {word:<6} {took}".rstrip())
    return Result(
        verdict=Verdict.PASSED if fine else verdict_of(examined.exit_code),
        summary=f"{counted(len(steps), 'step')} to do; "
        + (f"the seed mends this: {examined.summary}" if mended else examined.summary),
        findings=tuple(
            replace(each, severity=Severity.INFO) if mended else each
            for each in findings_of(examined)
        ),
        facts={
            "journal": str(Journal(run.settings.journal_dir, asked.alias).file),
            "steps": [{"step": each, "seconds": seconds.get(each)} for each in steps],
            "plan": examined.report.get("facts", {}).get("plan"),
            "forecast": examined.report.get("facts", {}).get("forecast"),
        },
        detail=(*lines, *_plan_lines(examined)),
    )


def _plan_lines(examined: CommandEnd) -> list[str]:
    facts = examined.report.get("facts", {})
    plan = [f"  {each['migration']}" for each in facts.get("plan") or ()]
    lines = ["", "Plan:", *plan] if plan else []
    locks = (facts.get("forecast") or {}).get("locks") or ()
    if locks:
        lines.append("Locks:")
    for each in locks[:SHOWN_LOCKS]:
        blocks = " and ".join(each["blocks"]) or "nothing"
        lines.append(
            f"  {each['table']}: {each['mode']} for {each['seconds']:,.1f} s ({each['basis']}), "
            f"blocks {blocks}"
        )
    return lines
