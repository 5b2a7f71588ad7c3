"""Prove a backup that is there, by its file alone or by restoring it."""

from argparse import ArgumentParser
from typing import Any

from opsmigrate.backup.levels import verify_to
from opsmigrate.backup.open import clients_for, open_backup
from opsmigrate.backup.restore import require_extensions
from opsmigrate.management.base import ReportCommand, Run
from opsmigrate.management.elsewhere import server_of
from opsmigrate.postgres.session import read_session
from opsmigrate.report import Result, Severity, Verdict
from opsmigrate.scratch import require_scratch_allowed

LEVELS = ("archive", "restore")


class Command(ReportCommand):
    """verify_backup: whether a backup is what was backed up, and can be restored."""

    help = "Prove a backup: by its file alone, or by restoring it into a scratch database."
    needs_clean_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file, and how far to go."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="the backup, as backup_db named it")
        parser.add_argument("--level", choices=LEVELS, default="archive", help="default: archive")
        parser.add_argument(
            "--on",
            metavar="ALIAS",
            help="restore on the server of this alias, or on one of our own (embedded); "
            "default: the server of --database",
        )

    def run(self, run: Run, **options: Any) -> Result:
        """Verify the backup, and return what was found."""
        file, manifest = open_backup(options["file"], run.settings.backup_dir)
        level = options["level"]
        if level == "archive":
            clients = clients_for(manifest, None, run.settings.pg_bin)
            manifest, found = verify_to(
                level,
                run.connection,
                clients,
                file,
                manifest,
                run_id=run.id,
                maintenance_db=None,
                progress=run.progress,
            )
        else:
            wrote = int(manifest.client_version.partition(".")[0])
            with server_of(options["on"], run.connection, major=wrote) as server:
                require_scratch_allowed(server)
                require_extensions(server, manifest.extensions)
                clients = clients_for(manifest, read_session(server).major, run.settings.pg_bin)
                manifest, found = verify_to(
                    level,
                    server,
                    clients,
                    file,
                    manifest,
                    run_id=run.id,
                    maintenance_db=run.settings.maintenance_db
                    if server is run.connection
                    else None,
                    progress=run.progress,
                )
        wrong = [item for item in found.findings if item.severity is Severity.ERROR]
        rows = sum(manifest.tables.values())
        facts = {"file": str(file), "level": level, "verified": manifest.verified}
        if wrong:
            return Result(
                verdict=Verdict.FAILED,
                summary=f"{file} is not proven: {wrong[0].message}",
                findings=found.findings,
                unexamined=found.unexamined,
                facts=facts,
            )
        counted_only = manifest.tables and not manifest.digests
        return Result(
            verdict=Verdict.UNDECIDED if counted_only else Verdict.PASSED,
            summary=f"{file}: {len(manifest.tables)} tables, {rows:,} rows, "
            + ("counted only" if counted_only else f"verified by {level}"),
            findings=found.findings,
            unexamined=found.unexamined,
            facts=facts,
        )
