"""Scan code, packages, settings and headers for what is known to be unsafe."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.conf import load_settings
from opsmigrate.management.base import ReportCommand
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.management.shared_arguments import add_result_file, require_result_file
from opsmigrate.report import Result
from opsmigrate.uat.security_scan import run_security_scan


class Command(ReportCommand):
    """uat_scan: what could not be looked at is never clean."""

    # They are a part of what is scanned.
    help = (
        "Scan code (bandit), packages (pip-audit), settings (check --deploy) and the headers of "
        "the site; needs the extra scan."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what is scanned."""
        super().add_arguments(parser)
        parser.add_argument(
            "--base-url",
            metavar="URL",
            help="the URL of the site; without one this run serves the site itself",
        )
        parser.add_argument(
            "--code",
            action="append",
            type=Path,
            metavar="DIR",
            help="folder of code for bandit; may be given several times (default: the current one)",
        )
        add_result_file(parser, "reports/security_scan.json")

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse a file that cannot be written."""
        require_result_file(options["result"])

    def result(self, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]) -> Result:
        """Scan; a site that is served here opens the project's own connections."""
        release = load_settings().release
        with self.progress(options) as progress:
            progress.phase("Scanning; pip-audit looks up the installed packages")
            return run_security_scan(
                options["base_url"],
                options["code"] or [Path.cwd()],
                options["result"],
                release=release,
            )
