"""Add, fill and constrain the column that pending foreign keys need, on a live table."""

import shlex
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from opsmigrate.backfill.column_spec import column_spec_of
from opsmigrate.backfill.dry_run import plan_of
from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.scripts_by_hand import write_scripts
from opsmigrate.backfill.seed import seed
from opsmigrate.backfill.verify import verify
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.conf import SeedSetting, Settings
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError, UsageError
from opsmigrate.guard import PRODUCTION, require_approval, require_seed_allowed
from opsmigrate.management.argument_types import positive_float, positive_int
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.shared_arguments import add_lock_timeout
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.schema.history import applied_migrations

PATIENCE_SECONDS = 60.0


class Command(DatabaseCommand):
    """seed_payment_id: online, idempotent, resumable."""

    help = "Add, fill and constrain the column of OPSMIGRATE['SEED'], while the application writes."
    writes = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the seed's options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--model", metavar="APP.MODEL", help="model of the column, instead of SEED"
        )
        parser.add_argument("--field", help="field of the column, instead of SEED")
        parser.add_argument(
            "--batch-rows",
            type=positive_int,
            default=10_000,
            metavar="N",
            help="approximate maximum of rows per transaction; the actual number is adapted to "
            "how long one takes (default: 10000)",
        )
        parser.add_argument(
            "--workers",
            type=positive_int,
            default=1,
            metavar="N",
            help="number of sessions that fill in parallel (default: 1)",
        )
        parser.add_argument(
            "--max-rows-per-second",
            type=positive_float,
            metavar="N",
            help="fill no faster than this",
        )
        parser.add_argument(
            "--time-budget",
            type=positive_float,
            metavar="SECONDS",
            help="stop cleanly after this time; the next run continues",
        )
        add_lock_timeout(parser)
        parser.add_argument(
            "--triggers",
            choices=("refuse", "fire", "skip"),
            default="refuse",
            help="what to do if UPDATE triggers would fire for every filled row; skip needs the "
            "privilege to set session_replication_role (default: refuse)",
        )
        parser.add_argument(
            "--no-unique",
            action="store_true",
            help=(
                "do not make the column unique, for example on a partitioned table, where this "
                "is impossible"
            ),
        )
        parser.add_argument(
            "--expression",
            metavar="SQL",
            help="the value of a row, for a field that does not determine it",
        )
        parser.add_argument(
            "--verify-only",
            action="store_true",
            help="read every row and say whether the column is as it must be; write nothing",
        )
        parser.add_argument(
            "--write-scripts",
            metavar="DIR",
            help="write the scripts that do the same with psql alone to DIR, and do nothing else; "
            "needs no database",
        )

    def without_database(self, options: dict[str, Any]) -> Result | None:
        """Write the scripts, where that was asked for."""
        if not options["write_scripts"]:
            return None
        files = write_scripts(Path(options["write_scripts"]))
        return Result(
            verdict=Verdict.PASSED,
            summary=f"{counted(len(files), 'script')} written to {options['write_scripts']}",
            facts={"scripts": list(map(str, files))},
            detail=tuple(f"  {each}" for each in files),
        )

    def run(self, run: Run, **options: Any) -> Result:
        """Seed the table, or say what would be done, or check what was."""
        target = _target(run.settings, options["model"], options["field"])
        spec = column_spec_of(
            run.connection,
            target.model,
            target.field,
            expression=options["expression"] or target.expression,
            unique=not options["no_unique"],
        )
        again = _again(self.name, options)
        if options["verify_only"]:
            return verify(run.connection, spec, again=again, done={"seeded": 0})
        seed_options = SeedOptions(
            pace=Pace(
                batch_rows=options["batch_rows"],
                lock_timeout=options["lock_timeout"] or run.settings.lock_timeout_seconds,
                max_rows_per_second=options["max_rows_per_second"],
                patience=PATIENCE_SECONDS,
                workers=options["workers"],
            ),
            time_budget=options["time_budget"],
            triggers=options["triggers"],
            again=again,
        )
        if options["dry_run"]:
            plan = plan_of(run.connection, spec, seed_options)
            return plan.with_findings(*_missing_approval(run.settings, options["approval"], again))
        backup = require_seed_allowed(
            run.settings,
            run.session,
            # Elsewhere the history does not matter, and the role may not even read it.
            applied_migrations(run.connection) if run.settings.environment == PRODUCTION else (),
            approval=options["approval"],
            again=again,
        )
        result = seed(run.connection, spec, seed_options, run.progress)
        return result.with_facts(
            approval=options["approval"], backup=backup.file if backup else None
        )


def _missing_approval(settings: Settings, approval: str | None, again: str) -> tuple[Finding, ...]:
    """Return, as a warning, what would refuse the seed itself."""
    try:
        require_approval(settings, action="seed_payment_id", approval=approval, again=again)
    except RefusedError as refusal:
        found = refusal.as_result().findings
        return tuple(replace(each, severity=Severity.WARNING) for each in found)
    return ()


def _again(command: str, options: dict[str, Any]) -> str:
    """Return what to type to go on, with what makes it the same seed."""
    words = [f"python manage.py {command}"]
    for name in ("model", "field", "expression", "approval"):
        words += [f"--{name} {shlex.quote(options[name])}"] if options[name] else []
    words += ["--no-unique"] if options["no_unique"] else []
    words += [f"--triggers {options['triggers']}"] if options["triggers"] != "refuse" else []
    return " ".join(words)


def _target(settings: Settings, model: str | None, field: str | None) -> SeedSetting:
    if bool(model) != bool(field):
        raise UsageError(
            "--model and --field go together",
            id="incomplete-target",
            hint="give both, or neither: then the setting SEED determines the column",
        )
    if model and field:
        return SeedSetting(model=model, field=field)
    if settings.seed is None:
        raise UsageError(
            "no column to seed was named",
            id="no-seed-target",
            hint='set it as in OPSMIGRATE["SEED"] = {"model": "treasury.Payment", "field": '
            '"payment_id"}, or give --model and --field',
        )
    return settings.seed
