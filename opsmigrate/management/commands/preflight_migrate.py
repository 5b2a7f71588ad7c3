"""Return whether `migrate` with the same arguments will apply, why not, and what to type."""

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from opsmigrate.errors import OpsmigrateError
from opsmigrate.formats import FORMATS
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.examination_arguments import add_examination
from opsmigrate.management.output import confirmed
from opsmigrate.management.typed import about_the_plan
from opsmigrate.pages import page_of
from opsmigrate.postgres.garbage_collection import gc_paused
from opsmigrate.report import Result, Verdict
from opsmigrate.shown import shown

# These are the time-outs that the forecast goes by.
OF_MIGRATE = "this session, and of migrate if it has the same PGOPTIONS"


class Command(DatabaseCommand):
    """preflight_migrate: never changes the database it examines."""

    # migrate stops there as well.
    too_old = OpsmigrateError
    formats = FORMATS
    help = "Say whether migrate with the same arguments will apply to this database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of migrate."""
        super().add_arguments(parser)
        add_examination(parser)
        parser.add_argument(
            "--rehearse-in",
            metavar="ALIAS",
            help="rehearse in the database of this alias, an existing clone of the live one, and "
            "leave it migrated: asks before it is written to, unless --no-input is given",
        )
        parser.add_argument(
            "--keep-copy",
            action="store_true",
            help="keep a copy of all rows for 24 hours, so that the next rehearsal takes seconds",
        )
        parser.add_argument(
            "--with-questions",
            action="store_true",
            help="put into the JSON report what was asked of the rows, so that fleet can ask it of "
            "schemas with the same catalog",
        )
        parser.add_argument(
            "--explain",
            metavar="ID",
            help=("print the page of a finding, and do nothing else; needs no database"),
        )

    def without_database(self, options: dict[str, Any]) -> Result | None:
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

    def repeating(self, result: Result, options: dict[str, Any]) -> Result:
        """Return the result, whose steps repeat the arguments of migrate."""
        return about_the_plan(result, options)

    def run(self, run: Run, **options: Any) -> Result:
        """Examine the database of `run`."""
        # Two hundred files, which leave nothing that the collector of cycles could find.
        with gc_paused():
            from opsmigrate.management.examination import examined
            from opsmigrate.preflight.live.timeouts import in_lines

        found = examined(run, options, confirm=None if options["no_input"] else self._confirm)
        times = in_lines(found.limits, OF_MIGRATE) if found.plan else ()
        return replace(found.result, detail=(*found.result.detail, *times))

    def _confirm(self, what: str) -> bool:
        self.stderr.write(shown(what))
        return confirmed(self.messages)
