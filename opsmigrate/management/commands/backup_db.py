"""Back up the database, and prove the backup."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.backup.take import BackupOptions, take_backup
from opsmigrate.backup.verify import verify_archive, verify_by_restoring
from opsmigrate.management.base import ReportCommand, Run
from opsmigrate.manifest import Manifest, read_manifests, write_manifest
from opsmigrate.pgtools.clients import Clients, find_clients
from opsmigrate.report import Finding, Result, Verdict

LEVELS = ("none", "archive", "restore")


class Command(ReportCommand):
    """backup_db: pg_dump from a proven snapshot, a manifest, and a verification."""

    help = "Back up the database with pg_dump, and verify the backup."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the backup's options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--directory", metavar="DIR", help="instead of the settings' BACKUP_DIR"
        )
        parser.add_argument(
            "--compress", default="1", metavar="SPEC", help="as pg_dump's; default: 1 (gzip)"
        )
        parser.add_argument("--verify", choices=LEVELS, default="archive", help="default: archive")
        parser.add_argument("--list", action="store_true", help="list the backups that are there")

    def run(self, run: Run, **options: Any) -> Result:
        """Take a backup and verify it; or list those that are there."""
        folder = Path(options["directory"] or run.settings.backup_dir)
        if options["list"]:
            return _listed(folder)
        clients = find_clients(run.session.major, run.settings.pg_bin)
        file, manifest = take_backup(
            run.connection,
            run.session,
            clients,
            BackupOptions(
                folder=folder,
                compress=options["compress"],
                run_id=run.id,
                release=run.settings.release,
            ),
            run.progress,
        )
        if options["verify"] == "none":
            return _result(file, manifest, "not verified")
        findings = _verify(run, clients, file, manifest, options["verify"])
        if findings:
            # Kept for whoever asks why, under a name that nothing takes for a backup.
            file.rename(file.with_name(f"{file.name}.bad"))
            file.with_suffix(".json").unlink()
            return _failed(file, findings)
        manifest = manifest.with_verification(options["verify"])
        write_manifest(folder, manifest)
        return _result(file, manifest, f"verified by {options['verify']}")


def _verify(
    run: Run, clients: Clients, file: Path, manifest: Manifest, level: str
) -> tuple[Finding, ...]:
    findings = verify_archive(run.connection, clients, file, manifest, run.progress)
    if findings or level == "archive":
        return findings
    return verify_by_restoring(
        run.connection,
        clients,
        file,
        manifest,
        run_id=run.id,
        maintenance_db=run.settings.maintenance_db,
        progress=run.progress,
    )


def _result(file: Path, manifest: Manifest, how: str) -> Result:
    rows = sum(manifest.tables.values())
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{file}: {manifest.bytes / 1e6:,.1f} MB, {len(manifest.tables)} tables, "
        f"{rows:,} rows, {how}",
        facts={
            "file": str(file),
            "bytes": manifest.bytes,
            "sha256": manifest.sha256,
            "tables": dict(manifest.tables),
            "verified": manifest.verified,
            "client_version": manifest.client_version,
            "migrations": list(manifest.migrations),
        },
    )


def _failed(file: Path, findings: tuple[Finding, ...]) -> Result:
    return Result(
        verdict=Verdict.FAILED,
        summary=f"the backup is not good: {findings[0].message}; it is kept as {file.name}.bad",
        findings=findings,
        facts={"file": f"{file}.bad", "verified": None},
    )


def _listed(folder: Path) -> Result:
    manifests = read_manifests(folder)
    lines = [
        f"  {item.file}  {item.bytes / 1e6:,.1f} MB  taken {item.taken[:19]}  "
        f"{'verified by ' + item.verified if item.verified else 'not verified'}"
        for item in manifests
    ]
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{len(manifests)} backups in {folder}",
        facts={"backups": [item.file for item in manifests]},
        detail=tuple(lines),
    )
