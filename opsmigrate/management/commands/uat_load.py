"""Put load on the site, and say whether it bears it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.conf import load_settings
from opsmigrate.management.argument_types import positive_float, positive_int
from opsmigrate.management.base import ReportCommand
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.management.shared_arguments import add_result_file, require_result_file
from opsmigrate.report import Result
from opsmigrate.uat.load.load_test import LoadTest, run_load_test
from opsmigrate.uat.load.locust_process import Load


class Command(ReportCommand):
    """uat_load: only on hosts that the settings allow, and never without a limit."""

    # The checks are those of the site's own process.
    help = (
        "Put load on the site with locust (extra load), and judge its errors and times; only hosts "
        'of OPSMIGRATE["UAT"]["LOAD_HOSTS"] (default: this machine) are asked.'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the load, and what it is judged by."""
        super().add_arguments(parser)
        parser.add_argument("--base-url", required=True, metavar="URL", help="the URL of the site")
        parser.add_argument(
            "--users", type=positive_int, default=10, metavar="N", help="default: 10"
        )
        parser.add_argument(
            "--seconds", type=positive_int, default=30, metavar="N", help="default: 30"
        )
        parser.add_argument(
            "--processes",
            type=positive_int,
            metavar="N",
            help="number of worker processes on this machine (default: none)",
        )
        parser.add_argument(
            "--expect-workers",
            type=positive_int,
            metavar="N",
            help="lead N workers on other hosts (see docs/commands.md)",
        )
        parser.add_argument(
            "--baseline", type=Path, metavar="FILE", help="the --result of before the migration"
        )
        parser.add_argument(
            "--max-p95-ms", type=positive_float, metavar="MS", help="the slowest p95 allowed"
        )
        add_result_file(parser, "reports/load_test.json")

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse a file that cannot be written."""
        require_result_file(options["result"])

    def result(self, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]) -> Result:
        """Do it; what the site asks of its database is its own affair."""
        load = Load(
            base_url=options["base_url"],
            users=options["users"],
            seconds=options["seconds"],
            processes=options["processes"],
            expect_workers=options["expect_workers"],
        )
        test = LoadTest(
            load=load,
            baseline=options["baseline"],
            max_p95_ms=options["max_p95_ms"],
            file=options["result"],
        )
        with self.progress(options) as progress:
            progress.phase(f"Load on {load.base_url} for {load.seconds} s")
            return run_load_test(test, load_settings())
