"""DatabaseCommand: a command that works on one database, in a session of its own."""

import os
from abc import ABC, abstractmethod
from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.checks import run_checks
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.conf import Settings, load_settings
from opsmigrate.errors import OpsmigrateError, UndecidedError
from opsmigrate.management.base import ReportCommand
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.postgres.idle_timeouts import without_idle_timeouts
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import Session
from opsmigrate.postgres.tenant import read_variable
from opsmigrate.postgres.tenant_schema import require_own_schema
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result, Severity
from opsmigrate.scratch import left_behind, reap
from opsmigrate.steps import command, statement


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command works with: the run, the settings, the database, the place for progress."""

    id: str
    settings: Settings
    connection: BaseDatabaseWrapper
    session: Session
    progress: Progress


class DatabaseCommand(ReportCommand, ABC):
    """A command on one database; `run` does the work."""

    needs_clean_checks = True
    # What a server that Django no longer works with means.
    too_old: ClassVar[type[OpsmigrateError]] = UndecidedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of every command on a database."""
        super().add_arguments(parser)
        if self.needs_clean_checks:
            # Django adds it only where it runs the checks itself, before any report.
            parser.add_argument("--skip-checks", action="store_true", help="skip system checks")

    @abstractmethod
    def run(self, run: Run, **options: Any) -> Result:
        """Do the command's work on `run.connection` and return its result."""

    def without_database(self, options: dict[str, Any]) -> Result | None:
        """Return the result where no database is needed for it, else None."""
        return None

    def result(self, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]) -> Result:
        """Open the session, see that nothing is in the way, and let `run` do the work."""
        result = self.without_database(options)
        if result is not None:
            return result
        settings = load_settings()
        connection = chosen.choose(options["database"])
        session = chosen.reach(self.too_old)
        if self.needs_clean_checks and not options["skip_checks"]:
            _require_clean_checks(connection)
        reap(connection, settings.maintenance_db)
        with (
            self.progress(options) as progress,
            without_idle_timeouts(connection),
            _for_a_fleet(connection, session),
        ):
            run = Run(
                id=run_id,
                settings=settings,
                connection=connection,
                session=session,
                progress=progress,
            )
            result = self.run(run, **options)
            # It is done: an interrupt that comes now must not say that nothing was.
            interrupts.hold_back()
            return result.with_findings(*_left(connection, run_id))


def _for_a_fleet(
    connection: BaseDatabaseWrapper, session: Session
) -> AbstractContextManager[object]:
    """Hold the lock of the target where a fleet has started this process; another one must not."""
    alias, _ = read_variable(os.environ) or (None, None)
    if alias != connection.alias:
        return nullcontext()
    # Loaded only where there is a fleet.
    from opsmigrate.playbook.one_at_a_time import OF_A_FLEET, one_at_a_time, require_session

    require_session(connection, "a fleet")
    require_own_schema(connection)
    return one_at_a_time(connection, session, key=OF_A_FLEET, what="fleet's command")


def _left(connection: BaseDatabaseWrapper, run_id: str) -> list[Finding]:
    """Return what is said of the scratch databases of this run that could not be dropped."""
    names: tuple[str, ...] = ()
    with suppress(Error):
        names = tuple(left_behind(connection, run_id))
    return [
        Finding(
            id="scratch-left",
            severity=Severity.WARNING,
            message=f"the scratch database {name} could not be dropped",
            hint=(
                "the next run of any command drops it if no session is connected to it; or drop "
                "it now"
            ),
            steps=(statement(f"DROP DATABASE {quoted(name)} WITH (FORCE)"),),
        )
        for name in names
    ]


def _require_clean_checks(connection: BaseDatabaseWrapper) -> None:
    """Raise UndecidedError where the checks fail that `migrate` runs before anything else."""
    with project_search_path(connection):
        found = run_checks(databases=[connection.alias])
    errors = [item for item in found if item.is_serious() and not item.is_silenced()]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UndecidedError(
            f"the system check {errors[0].id} fails: {errors[0].msg}{more}",
            id="system-check",
            hint="correct it",
            steps=(command("python manage.py check"),),
        )
