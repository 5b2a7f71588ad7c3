"""Run the acceptance checks and write a report that a team can sign off on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.errors import UsageError
from opsmigrate.files import require_writable, write_atomically
from opsmigrate.management.base import ReportCommand, Run
from opsmigrate.management.target import adopted
from opsmigrate.report import Report, Result, Verdict
from opsmigrate.uat.acceptance import accept, select
from opsmigrate.uat.registry import discover

NAME = "uat_report"


class Command(ReportCommand):
    """run_uat: never a vacuous pass, and it cannot write to the database."""

    # They are checks of its own, with an outcome like any other.
    needs_clean_checks = False
    help = "Run the acceptance checks; writes uat_report.txt and .json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of the acceptance run."""
        super().add_arguments(parser)
        parser.add_argument("--base-url", metavar="URL", help="the live site")
        parser.add_argument(
            "--tag", action="append", default=[], metavar="T", help="only checks with this tag"
        )
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="T",
            help="leave out the checks with this tag or id",
        )
        parser.add_argument(
            "--check", action="append", default=[], metavar="ID", help="only this check"
        )
        parser.add_argument("--list", action="store_true", help="list the checks; run none")
        parser.add_argument(
            "--report-dir", default="reports", metavar="DIR", help="default: reports"
        )

    def prepare(self, options: dict[str, Any]) -> None:
        """Make the folder of the reports."""
        if options["list"]:
            return
        folder = Path(options["report_dir"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            require_writable(folder / NAME)
        except (OSError, UsageError) as error:
            options["report_dir"] = None
            raise UsageError(
                f"cannot write reports to {folder}",
                id="cannot-write-output",
                hint="--report-dir with a folder that can be written",
            ) from error

    def run(self, run: Run, **options: Any) -> Result:
        """Run the selected checks; or list them."""
        if options["list"]:
            return _listed(options)
        return accept(
            run.connection,
            run.settings,
            base_url=options["base_url"] or run.settings.uat.base_url,
            tags=options["tag"],
            exclude=options["exclude"],
            ids=options["check"],
            progress=run.progress,
            adopted=adopted,
        )

    def keep(self, report: Report, options: dict[str, Any]) -> None:
        """Write the reports, on failure too."""
        if options["list"] or options["report_dir"] is None:
            return
        folder = Path(options["report_dir"])
        write_atomically(folder / f"{NAME}.txt", report.as_text() + "\n")
        write_atomically(folder / f"{NAME}.json", report.as_json() + "\n")
        if options["verbosity"]:
            self.stderr.write(f"Reports: {folder / NAME}.txt and .json")


def _listed(options: dict[str, Any]) -> Result:
    broken = discover()
    checks = select(tags=options["tag"], exclude=options["exclude"], ids=options["check"])
    lines = [f"  {check.id} ({check.severity}; {', '.join(check.tags)})" for check in checks]
    lines += [f"  {item.module} cannot be imported: {item.words}" for item in broken]
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{len(checks)} checks",
        facts={"checks": [check.id for check in checks]},
        detail=tuple(lines),
    )
