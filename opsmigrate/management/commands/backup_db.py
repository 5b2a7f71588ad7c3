"""Back up the database, and prove the backup."""

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsmigrate.backup.take import BackupOptions, take_backup
from opsmigrate.backup.verify import verify_archive, verify_by_restoring
from opsmigrate.errors import PartialError, UsageError
from opsmigrate.management.base import ReportCommand, Run
from opsmigrate.manifest import Manifest, manifest_path, read_manifests, write_manifest
from opsmigrate.pgtools.clients import Clients, find_clients
from opsmigrate.report import Finding, Result, Verdict
from opsmigrate.scratch import require_scratch_allowed

COMPRESS = re.compile(r"\d|(none|gzip|lz4|zstd)(:[\w=,-]+)?")
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
        if not COMPRESS.fullmatch(options["compress"]):
            raise UsageError(
                f"--compress {options['compress']!r} is not what pg_dump understands",
                id="bad-compress",
                hint="--compress 1, or gzip:6, lz4, zstd:3 or none, where this pg_dump has them",
            )
        clients = find_clients(run.session.major, run.settings.pg_bin)
        if options["verify"] == "restore":
            require_scratch_allowed(run.connection)
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
        try:
            return _verify(run, clients, file, manifest, options["verify"])
        except KeyboardInterrupt as interrupt:
            raise PartialError(
                f"interrupted while {file} was being verified; it is whole, and its manifest says "
                "how far it was verified",
                id="interrupted",
                hint="python manage.py backup_db",
                facts={"file": str(file)},
            ) from interrupt


def _verify(run: Run, clients: Clients, file: Path, manifest: Manifest, level: str) -> Result:
    """Verify level by level; the manifest says each as soon as it is reached."""
    findings = verify_archive(run.connection, clients, file, manifest, run.progress)
    if not findings:
        manifest = manifest.with_verification("archive")
        write_manifest(file.parent, manifest)
    if not findings and level == "restore":
        findings = verify_by_restoring(
            run.connection,
            clients,
            file,
            manifest,
            run_id=run.id,
            maintenance_db=run.settings.maintenance_db,
            progress=run.progress,
        )
        if not findings:
            manifest = manifest.with_verification("restore")
            write_manifest(file.parent, manifest)
    if [item.id for item in findings] == ["restore-failed"]:
        # The file is whole; that it cannot be restored here may be for want of a right.
        return _unrestorable(file, manifest, findings)
    if findings:
        # Kept for whoever asks why, under a name that nothing takes for a backup.
        file.rename(file.with_name(f"{file.name}.bad"))
        manifest_path(file).unlink()
        return _failed(file, findings)
    return _result(file, manifest, f"verified by {level}")


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


def _unrestorable(file: Path, manifest: Manifest, findings: tuple[Finding, ...]) -> Result:
    return Result(
        verdict=Verdict.FAILED,
        summary=f"{findings[0].message}; the file itself is whole, and verified by archive",
        findings=findings,
        facts={"file": str(file), "verified": manifest.verified},
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
