"""Return whether the live tables are what the applied migrations claim; a gate of its own."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.files import require_writable, write_atomically
from opsmigrate.formats import FORMATS
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.delivery import PRIVATE
from opsmigrate.preflight.drift_gate import check
from opsmigrate.preflight.drift_repair import TYPED, repair_script
from opsmigrate.report import Result
from opsmigrate.steps import aimed_text
from opsmigrate.waivers import utc_today


class Command(DatabaseCommand):
    """check_drift: only reads the database."""

    formats = FORMATS
    help = "Say whether the live tables are what the applied migrations describe."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the option for the script."""
        super().add_arguments(parser)
        parser.add_argument(
            "--write-repair",
            metavar="FILE",
            help="write the statements that repair what is found, for review: in one transaction, "
            "with whatever may lose a value as a comment",
        )

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse a file that cannot be written."""
        if file := options["write_repair"]:
            require_writable(Path(file), by="a file in a folder that exists with --write-repair")

    def run(self, run: Run, **options: Any) -> Result:
        """Compare, and write the script where that was asked for."""
        run.progress.phase("Comparing the catalog with the applied migrations")
        result, left = check(run.connection, run.settings.drift_waivers, today=utc_today())
        file = options["write_repair"]
        if not file or "drift" not in result.facts:
            return result.with_facts(repair=None)
        typed = aimed_text(TYPED, run.connection.alias, options.get("settings"))
        script, repaired = repair_script(left, database=run.session.database, typed=typed)
        write_atomically(Path(file), script, mode=PRIVATE)
        run.progress.phase(f"{file}: repairs {repaired} of {counted(len(left), 'difference')}")
        repair = {"file": file, "repairs": repaired, "left": len(left) - repaired}
        return result.with_facts(repair=repair)
