"""Run the acceptance checks and write a report that a team can sign off on."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.files import require_writable, write_together
from opsmigrate.management.database import adopted
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.report import Report, Result, Verdict
from opsmigrate.schema.history import applied_migrations
from opsmigrate.shown import shown
from opsmigrate.uat.acceptance import CheckSelection, accept, select
from opsmigrate.uat.baseline.record import Baseline, read_baseline
from opsmigrate.uat.external_results import read_external_result
from opsmigrate.uat.registry import discover
from opsmigrate.uat.reports.junit import junit_xml
from opsmigrate.uat.reports.page import html_page
from opsmigrate.uat.reports.report_digest import sealed, verify_report
from opsmigrate.uat.runner import JOBS
from opsmigrate.uat.save_baseline import save_baseline
from opsmigrate.uat.site import Site, site_at
from opsmigrate.uat.system import System

NAME = "uat_report"
# Of these one at most, and with any of them no report is written.
APART = ("list", "save_baseline", "verify_report")


class Command(DatabaseCommand):
    """run_uat: never a vacuous pass, and it cannot write to the database."""

    # They are checks of its own, with an outcome like any other.
    needs_clean_checks = False
    help = "Run the acceptance checks, and write uat_report.txt, .json, .xml and .html."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._images: dict[str, bytes] = {}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of the acceptance run."""
        super().add_arguments(parser)
        parser.add_argument(
            "--base-url",
            metavar="URL",
            help="the URL of the site to check; without one this run serves the site itself",
        )
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="without a site, do not serve one: checks that need one do not run",
        )
        parser.add_argument(
            "--tag", action="append", default=[], metavar="T", help="only checks with this tag"
        )
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="T",
            help="without checks that have this tag or id",
        )
        parser.add_argument(
            "--check", action="append", default=[], metavar="ID", help="only this check"
        )
        parser.add_argument(
            "--jobs",
            type=_jobs,
            default=JOBS,
            metavar="N",
            help="number of checks run in parallel (default: 4)",
        )
        parser.add_argument("--list", action="store_true", help="list the checks; run none")
        parser.add_argument(
            "--save-baseline",
            metavar="FILE",
            help=(
                "before the migration: save the figures and pages that must be the same after "
                "it; run no check"
            ),
        )
        parser.add_argument(
            "--baseline", metavar="FILE", help="compare with the file that --save-baseline wrote"
        )
        parser.add_argument(
            "--include",
            action="append",
            default=[],
            metavar="FILE",
            help="include the results of uat_load or uat_scan; may be given several times",
        )
        parser.add_argument(
            "--report-dir", default="reports", metavar="DIR", help="default: reports"
        )
        parser.add_argument(
            "--verify-report",
            metavar="FILE",
            help="say whether an uat_report.json or .html is unchanged; run no check",
        )

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse what does not go together; make the folder of the reports."""
        self._images = {}
        asked = [f"--{name.replace('_', '-')}" for name in (*APART, "baseline") if options[name]]
        if len(asked) > 1:
            options["report_dir"] = None
            raise UsageError(
                f"{asked[0]} and {asked[1]} cannot be combined in one run",
                id="conflicting-options",
                hint="run them one after the other",
            )
        if any(options[name] for name in APART):
            options["report_dir"] = None
            if options["save_baseline"]:
                require_writable(
                    Path(options["save_baseline"]),
                    by="a file in a folder that exists with --save-baseline",
                )
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
                hint="name a folder that can be written with --report-dir",
            ) from error

    def without_database(self, options: dict[str, Any]) -> Result | None:
        """List the checks, or verify a report, where that was asked for."""
        if options["list"]:
            return _listed(options)
        if options["verify_report"]:
            return verify_report(Path(options["verify_report"]))
        return None

    def run(self, run: Run, **options: Any) -> Result:
        """Save a baseline, or run the selected checks."""
        site = _site(options["base_url"] or run.settings.uat.base_url)
        system = System(
            connection=run.connection, session=run.session, settings=run.settings, site=site
        )
        if options["save_baseline"]:
            file = Path(options["save_baseline"])
            return save_baseline(system, run_id=run.id, file=file, progress=run.progress)
        included = tuple(
            read_external_result(
                Path(file),
                base_url=site.base_url if site else None,
                release=run.settings.release,
            )
            for file in options["include"]
        )
        acceptance = accept(
            replace(system, baseline=_baseline(run, options["baseline"])),
            selection=CheckSelection(
                tags=options["tag"],
                exclude=options["exclude"],
                ids=options["check"],
                jobs=options["jobs"],
                serve=not options["no_serve"],
                settings_module=options.get("settings"),
                repeated=_repeated(options),
                included=included,
            ),
            progress=run.progress,
            adopted=adopted,
        )
        self._images = acceptance.images
        return acceptance.result

    def write_reports(self, report: Report, options: dict[str, Any]) -> None:
        """Write the reports, on failure too."""
        if options["report_dir"] is None:
            return
        folder = Path(options["report_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        body = sealed(json.loads(report.as_json()))
        closing = f"\n\nSHA-256 of the report:\n{body['sha256']}\n"
        texts = {
            "txt": report.as_text() + closing,
            "json": json.dumps(body, indent=2) + "\n",
            "xml": junit_xml(body),
            "html": html_page(body, self._images),
        }
        write_together({folder / f"{NAME}.{ending}": text for ending, text in texts.items()})
        if options["verbosity"]:
            self.stderr.write(shown(f"Reports: {folder / NAME}.html, .txt, .json and .xml"))
            self.stderr.write(f"SHA-256: {body['sha256']}")


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 32:
        raise ArgumentTypeError(f"a number from 1 to 32 is needed, not {text!r}")
    return int(text)


def _site(base_url: str | None) -> Site | None:
    return site_at(base_url) if base_url else None


def _baseline(run: Run, file: str | None) -> Baseline | None:
    if not file:
        return None
    return read_baseline(
        Path(file),
        session=run.session,
        applied=applied_migrations(run.connection),
        max_age_hours=run.settings.uat.baseline_max_age_hours,
    )


def _repeated(options: dict[str, Any]) -> tuple[str, ...]:
    """Return what was typed that a check alone needs again, to look at the same."""
    typed = ("--baseline", options["baseline"]), ("--base-url", options["base_url"])
    return tuple(word for name, value in typed if value for word in (name, value))


def _listed(options: dict[str, Any]) -> Result:
    broken = discover()
    selection = CheckSelection(
        tags=options["tag"], exclude=options["exclude"], ids=options["check"]
    )
    checks = select(selection)
    lines = [
        f"  {check.id} ({check.severity}; {', '.join(check.tags) or 'no tags'})" for check in checks
    ]
    lines += [f"  {item.module} cannot be imported: {item.words}" for item in broken]
    return Result(
        verdict=Verdict.FAILED if broken else Verdict.PASSED,
        summary=counted(len(checks), "check")
        + (f"; {len(broken)} uat.py cannot be imported" if broken else ""),
        facts={"checks": [check.id for check in checks]},
        detail=tuple(lines),
    )
