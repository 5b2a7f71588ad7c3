"""Say whether `migrate` with the same arguments will apply, why not, and what to type."""

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist

from opsmigrate.conf import SeedTarget
from opsmigrate.errors import SettingsError, UndecidedError
from opsmigrate.guard import PRODUCTION, require_approval, require_backup
from opsmigrate.management.base import ReportCommand, Run
from opsmigrate.management.numbers import positive_float
from opsmigrate.pages import page_of
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.postgres.session import is_pooled_by_transaction
from opsmigrate.preflight.examine import examine
from opsmigrate.preflight.plan import Target
from opsmigrate.preflight.rehearsal import NotRehearsed, Rehearsal, database_bytes, rehearse
from opsmigrate.report import Result, Verdict
from opsmigrate.schema.history import applied_migrations
from opsmigrate.scratch import require_scratch_allowed

REHEARSE = "python manage.py preflight_migrate --rehearse clone"


class Command(ReportCommand):
    """preflight_migrate: never changes the database it examines."""

    help = "Say whether migrate with the same arguments will apply to this database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of migrate."""
        super().add_arguments(parser)
        parser.add_argument("app_label", nargs="?", help="as for migrate")
        parser.add_argument("migration_name", nargs="?", help="as for migrate; or zero")
        parser.add_argument("--fake", action="store_true", help="as for migrate")
        parser.add_argument("--fake-initial", action="store_true", help="as for migrate")
        parser.add_argument("--run-syncdb", action="store_true", help="as for migrate")
        parser.add_argument(
            "--rehearse",
            choices=("auto", "off", "clone"),
            help="run migrate on a copy: auto, off, or clone (default: REHEARSE, off)",
        )
        parser.add_argument(
            "--approval", metavar="TEXT", help="who approved a copy on a production server"
        )
        parser.add_argument(
            "--require-backup",
            type=positive_float,
            metavar="HOURS",
            help="refuse without a verified backup of this database and state, so old at the most",
        )
        parser.add_argument(
            "--accept-unexamined",
            action="store_true",
            help="let what could not be examined count as passed",
        )
        parser.add_argument(
            "--explain", metavar="ID", help="print the page of a finding, and do nothing else"
        )

    def prepare(self, options: dict[str, Any]) -> Result | None:
        """Return the page that was asked for."""
        if options["explain"] is None:
            return None
        page = page_of(options["explain"])
        return Result(
            verdict=Verdict.PASSED,
            summary=f"the page of {options['explain']}",
            facts={"page": page},
            text=page,
        )

    def run(self, run: Run, **options: Any) -> Result:
        """Examine the database of `run`."""
        target = Target(
            app_label=options["app_label"],
            migration_name=options["migration_name"],
            fake=options["fake"],
            fake_initial=options["fake_initial"],
            run_syncdb=options["run_syncdb"],
        )
        backup = _backup(run, options["require_backup"])
        result = examine(
            run.connection,
            run.session,
            target,
            accept_unexamined=options["accept_unexamined"],
            seed_hint=lambda table, column: _seed_hint(run.settings.seed, table, column),
            rehearse=lambda: _rehearse(run, target, options["rehearse"], options["approval"]),
            progress=run.progress,
        )
        return result.with_facts(backup=backup)


def _backup(run: Run, hours: float | None) -> str | None:
    """Return the name of the backup that was asked for, None where none was; or refuse."""
    if hours is None:
        return None
    applied = applied_migrations(run.connection)
    return require_backup(run.settings, run.session, applied, hours=hours).file


def _rehearse(
    run: Run, target: Target, typed: str | None, approval: str | None
) -> Rehearsal | NotRehearsed:
    """Rehearse where that was asked for, or where nothing speaks against it."""
    mode = typed or run.settings.rehearse
    if mode == "off":
        return NotRehearsed("a rehearsal was switched off", REHEARSE)
    if mode == "clone":
        require_approval(
            run.settings, action="a rehearsal on the examined server", approval=approval
        )
    elif (reason := _against(run)) is not None:
        return reason
    return rehearse(
        run.connection,
        target,
        clients=find_clients(run.session.major, run.settings.pg_bin),
        run_id=run.id,
        maintenance_db=run.settings.maintenance_db,
        progress=run.progress,
    )


def _against(run: Run) -> NotRehearsed | None:
    """Return what speaks against a copy that nobody asked for, None where nothing does."""
    if run.settings.environment == PRODUCTION:
        return NotRehearsed(
            "no copy is made on a production server without approval",
            f'{REHEARSE} --approval "who approved it"',
        )
    size = database_bytes(run.connection)
    if size > run.settings.rehearse_max_bytes:
        return NotRehearsed(
            f"the database has {size / 1e9:,.1f} GB, more than REHEARSE_MAX_BYTES", REHEARSE
        )
    if is_pooled_by_transaction(run.connection):
        return NotRehearsed(
            "a connection pooler in transaction mode is in between",
            "point DATABASES at the server itself, not at the pooler",
        )
    try:
        require_scratch_allowed(run.connection)
        find_clients(run.session.major, run.settings.pg_bin)
    except UndecidedError as error:
        return NotRehearsed(str(error), error.hint or REHEARSE)
    return None


def _seed_hint(seed: SeedTarget | None, table: str, column: str) -> str | None:
    """Return the command that adds this very column, where the settings name it as the seed."""
    if seed is None:
        return None
    try:
        model = apps.get_model(seed.model)
        field = model._meta.get_field(seed.field)
    except (LookupError, ValueError, FieldDoesNotExist) as error:
        raise SettingsError(
            f"OPSMIGRATE['SEED'] names {seed.model}.{seed.field}, which is not there",
            id="bad-setting",
            hint='set it as in {"model": "treasury.Payment", "field": "payment_id"}',
        ) from error
    if (table, column) == (model._meta.db_table, getattr(field, "column", None)):
        return "python manage.py seed_payment_id"
    return None
