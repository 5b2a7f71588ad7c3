"""Prove a backup that is there, by its file alone or by restoring it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.db import connections

from opsmigrate.backup.open_backup import clients_for, open_backup
from opsmigrate.backup.restore import require_extensions
from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import Verification, verify_to
from opsmigrate.conf import load_settings
from opsmigrate.counted import counted
from opsmigrate.management.database import require_alias
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.restore_server import EMBEDDED, restore_server
from opsmigrate.management.shared_arguments import add_trust_code
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.libpq import require_password_for_clients
from opsmigrate.postgres.session import read_session
from opsmigrate.report import Result, Severity, Verdict
from opsmigrate.scratch_rights import require_scratch_allowed

LEVELS = ("archive", "restore")


class Command(DatabaseCommand):
    """verify_backup: whether a backup is what was backed up, and can be restored."""

    help = "Prove a backup: from its file alone, or by restoring it into a scratch database."
    needs_clean_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file, and how far to go."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="the backup, as backup_db named it")
        parser.add_argument(
            "--level",
            choices=LEVELS,
            default="archive",
            help="how to verify the backup: by reading the archive, or by restoring it too "
            "(restore); default: archive",
        )
        parser.add_argument(
            "--on",
            metavar="ALIAS",
            help="restore on the server of this alias, or on a temporary embedded server "
            "(embedded); default: the server of --database",
        )
        add_trust_code(parser)

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse an alias that is none, also where its server is not asked."""
        require_alias(options["database"], option="--database")

    def without_database(self, options: dict[str, Any]) -> Result | None:
        """Verify by the file alone, where that was asked for: the server may be away."""
        if options["level"] != "archive":
            return None
        settings = load_settings()
        file, manifest = open_backup(options["file"], settings.backup_dir)
        with self.progress(options) as progress:
            verifier = Verifier(
                connection=connections[options["database"]],
                clients=clients_for(manifest, None, settings.pg_bin),
                file=file,
                manifest=manifest,
                progress=progress,
            )
            manifest, found = verify_to("archive", verifier)
        return _result(file, manifest, found, "archive")

    def run(self, run: Run, **options: Any) -> Result:
        """Verify the backup by restoring it, and return what was found."""
        file, manifest = open_backup(options["file"], run.settings.backup_dir)
        wrote = int(manifest.client_version.partition(".")[0])
        on_embedded = options["on"] == EMBEDDED
        on = None if on_embedded else options["on"]
        with restore_server(on, run.connection) as server:
            if not on_embedded:
                require_scratch_allowed(server)
                require_password_for_clients(server)
                require_extensions(server, manifest.extensions)
            major = wrote if on_embedded else read_session(server).major
            verifier = Verifier(
                connection=server,
                clients=clients_for(manifest, major, run.settings.pg_bin),
                file=file,
                manifest=manifest,
                progress=run.progress,
                run_id=run.id,
                maintenance_db=run.settings.maintenance_db if server is run.connection else None,
            )
            manifest, found = verify_to(
                "restore",
                verifier,
                trust_code=options["trust_code"],
                isolated=wrote if on_embedded else None,
            )
        return _result(file, manifest, found, "restore")


def _result(file: Path, manifest: Manifest, found: Verification, level: str) -> Result:
    wrong = [item for item in found.findings if item.severity is Severity.ERROR]
    rows = sum(manifest.tables.values())
    facts = {"file": str(file), "level": level, "verified": manifest.verified}
    if found.where:
        facts["restored_on"] = found.where
    if wrong:
        return Result(
            verdict=Verdict.FAILED,
            summary=f"{file} is not proven: {wrong[0].message}",
            findings=found.findings,
            undecided=found.undecided,
            facts=facts,
        )
    counted_only = manifest.tables and not manifest.digests
    return Result(
        verdict=Verdict.UNDECIDED if counted_only else Verdict.PASSED,
        summary=f"{file}: {counted(len(manifest.tables), 'table')}, {counted(rows, 'row')}, "
        + ("counted only" if counted_only else f"verified by {level}"),
        findings=found.findings,
        undecided=found.undecided,
        facts=facts,
    )
