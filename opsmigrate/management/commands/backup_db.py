"""Back up the database, and prove the backup."""

import re
import shlex
from argparse import ArgumentParser
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate import interrupts
from opsmigrate.backup.properties import read_extensions
from opsmigrate.backup.restore import require_extensions
from opsmigrate.backup.retention import Removal, passed_over, remove_old
from opsmigrate.backup.take import BackupOptions, take_backup
from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import Verification, verify_to
from opsmigrate.counted import counted
from opsmigrate.errors import OpsmigrateError, PartialError, UsageError
from opsmigrate.management.argument_types import positive_int
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.shared_arguments import add_trust_code
from opsmigrate.manifest import Manifest, manifest_path, read_manifests
from opsmigrate.pgtools.clients import Clients, best_compression, find_clients
from opsmigrate.report import Result, Severity, Verdict
from opsmigrate.scratch_rights import require_scratch_allowed
from opsmigrate.steps import command

COMPRESS = re.compile(r"\d|(none|gzip|lz4|zstd)(:[\w=,-]+)?")
LEVELS = ("none", "archive", "restore")
# The file may be whole though these were found: a right may be missing, or another version used.
NOT_THE_FILE = {"restore-failed", "schema-differs", "extension-differs"}


# Nothing was restored, and nothing is known of the file by it.
NOT_TRIED = {
    "no-maintenance-database",
    "no-scratch-database",
    "restore-runs-code",
    "too-few-connections",
}


class Command(DatabaseCommand):
    """backup_db: pg_dump from a proven snapshot, a manifest, and a verification."""

    help = "Back up the database with pg_dump, and verify the backup."
    # It needs the database, and not the code, which may be broken just then.
    needs_clean_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the backup's options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--directory",
            metavar="DIR",
            help="folder of the backup, instead of the setting BACKUP_DIR",
        )
        parser.add_argument(
            "--jobs",
            type=positive_int,
            default=1,
            metavar="N",
            help=(
                "number of tables dumped in parallel; with more than 1 the archive is a folder; "
                "default: 1"
            ),
        )
        parser.add_argument(
            "--compress",
            metavar="SPEC",
            help="as for pg_dump; default: zstd:1, or 1 (gzip) if this pg_dump has no zstd",
        )
        parser.add_argument(
            "--verify",
            choices=LEVELS,
            default="archive",
            help="how to verify the backup: not at all (none), by reading the archive, or by "
            "restoring it too (restore); default: archive",
        )
        parser.add_argument(
            "--keep",
            type=positive_int,
            metavar="N",
            help="remove backups of this database that are older than its N newest verified "
            "ones; default: the setting BACKUP_KEEP",
        )
        parser.add_argument(
            "--keep-scratch",
            action="store_true",
            help=("with --verify restore: keep the scratch database for a day, for a rehearsal"),
        )
        parser.add_argument(
            "--exclude-table-data",
            action="append",
            default=[],
            metavar="PATTERN",
            help="leave out the rows of these tables, [schema.]name with * and ?; may be given "
            "several times",
        )
        add_trust_code(parser)
        parser.add_argument(
            "--list", action="store_true", help="list the existing backups; take none"
        )

    def run(self, run: Run, **options: Any) -> Result:
        """Take a backup and verify it; or list those that are there."""
        folder = Path(options["directory"] or run.settings.backup_dir)
        if options["list"]:
            return _listed(folder)
        _require_sense(options)
        clients = find_clients(run.session.major, run.settings.pg_bin)
        if options["verify"] == "restore":
            require_scratch_allowed(run.connection)
            require_extensions(run.connection, read_extensions(run.connection))
        file, manifest = take_backup(
            run.connection,
            run.session,
            clients,
            BackupOptions(
                folder=folder,
                compress=_compression(options["compress"], clients),
                run_id=run.id,
                release=run.settings.release,
                jobs=options["jobs"],
                digests=options["verify"] != "none",
                exclude=tuple(options["exclude_table_data"]),
            ),
            run.progress,
        )
        if options["verify"] == "none":
            return _result(file, manifest, "not verified").with_findings(*passed_over(folder))
        try:
            result = _verify(
                Verifier(
                    connection=run.connection,
                    clients=clients,
                    file=file,
                    manifest=manifest,
                    progress=run.progress,
                    run_id=run.id,
                    maintenance_db=run.settings.maintenance_db,
                ),
                options["verify"],
                keep=options["keep_scratch"],
                trust_code=options["trust_code"],
            )
        except (KeyboardInterrupt, Exception) as error:
            if not (isinstance(error, KeyboardInterrupt) or interrupts.asked()):
                raise
            raise PartialError(
                f"interrupted while {file} was being verified; it is complete, and its manifest "
                "says how far it was verified",
                id="interrupted",
                hint="verify the existing backup, or take a new one",
                steps=(
                    command(f"python manage.py verify_backup {shlex.quote(str(file))}"),
                    command("python manage.py backup_db", alternative=2),
                ),
                facts={"file": str(file)},
            ) from error
        result = result.with_findings(*passed_over(folder))
        keep = options["keep"] or run.settings.backup_keep
        if keep and result.verdict is Verdict.PASSED:
            [newest] = [each for each in read_manifests(folder) if each.file == file.name]
            result = _cleared(result, remove_old(folder, newest, keep))
        return result


def _cleared(result: Result, removal: Removal) -> Result:
    removed = list(removal.removed)
    said = replace(result, detail=(*result.detail, *(f"  removed: {name}" for name in removed)))
    return said.with_findings(*removal.findings).with_facts(removed=removed)


def _compression(wanted: str | None, clients: Clients) -> str:
    if not wanted:
        return best_compression(clients)
    if not (wanted.isdigit() or clients.knows_compression_methods):
        raise UsageError(
            f"--compress {wanted!r} names a method, and pg_dump {clients.version} takes a level",
            id="bad-compress",
            hint="give --compress a level, such as 1, or leave it out",
        )
    return wanted


def _require_sense(options: dict[str, Any]) -> None:
    if options["compress"] and not COMPRESS.fullmatch(options["compress"]):
        raise UsageError(
            f"--compress {options['compress']!r} is not what pg_dump understands",
            id="bad-compress",
            hint="give --compress 1, or gzip:6, lz4, zstd:3 or none, where this pg_dump has them",
        )
    if options["keep_scratch"] and options["verify"] != "restore":
        raise UsageError(
            "--keep-scratch keeps the scratch database of --verify restore, which was not given",
            id="no-scratch-to-keep",
            hint="give both, or omit --keep-scratch",
            steps=(command("python manage.py backup_db --verify restore --keep-scratch"),),
        )


def _whole_but(error: OpsmigrateError, file: Path) -> OpsmigrateError:
    """Return why it is not restored, with the file, which is whole and verified by archive."""
    error.args = (f"{file} is complete, and verified by archive; but {error}",)
    error.facts = {"file": str(file), "verified": "archive"}
    return error


def _verify(verifier: Verifier, level: str, *, keep: bool, trust_code: bool) -> Result:
    file = verifier.file
    try:
        manifest, found = verify_to(level, verifier, keep=keep, trust_code=trust_code)
    except OpsmigrateError as error:
        raise _whole_but(error, file) if error.id in NOT_TRIED else error from None
    # What was found wrong may be the interrupt itself: pg_restore was ended, the line closed.
    interrupts.raise_if_asked()
    wrong = [item for item in found.findings if item.severity is Severity.ERROR]
    if wrong and {item.id for item in wrong} <= NOT_THE_FILE:
        # The file is whole; that it cannot be restored here may be for want of a right.
        return _unrestorable(file, manifest, found)
    if wrong:
        # Kept for whoever asks why, under a name that nothing takes for a backup.
        file.rename(file.with_name(f"{file.name}.bad"))
        manifest_path(file).unlink()
        return _failed(file, found)
    return _result(file, manifest, f"verified by {level}", found)


def _result(file: Path, manifest: Manifest, how: str, found: Verification | None = None) -> Result:
    tables, rows = counted(len(manifest.tables), "table"), sum(manifest.tables.values())
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{file}: {manifest.bytes / 1e6:,.1f} MB, {tables}, {counted(rows, 'row')}, {how}",
        findings=found.findings if found else (),
        undecided=found.undecided if found else (),
        facts={
            "file": str(file),
            "bytes": manifest.bytes,
            "sha256": manifest.sha256,
            "tables": dict(manifest.tables),
            "excluded": list(manifest.excluded),
            "verified": manifest.verified,
            "client_version": manifest.client_version,
            "compress": manifest.compress,
            "seconds": manifest.seconds,
            "migrations": list(manifest.migrations),
            "scratch": found.scratch if found else None,
            "restored_on": found.where if found else None,
        },
    )


def _failed(file: Path, found: Verification) -> Result:
    return Result(
        verdict=Verdict.FAILED,
        summary=f"the backup is unusable: {found.findings[0].message}; it is kept as "
        f"{file.name}.bad",
        findings=found.findings,
        facts={"file": f"{file}.bad", "verified": None},
    )


def _unrestorable(file: Path, manifest: Manifest, found: Verification) -> Result:
    return Result(
        verdict=Verdict.FAILED,
        summary=(
            f"{found.findings[0].message}; the file itself is complete, and verified by archive"
        ),
        findings=found.findings,
        undecided=found.undecided,
        facts={"file": str(file), "verified": manifest.verified},
    )


def _listed(folder: Path) -> Result:
    manifests, now = read_manifests(folder), datetime.now(timezone.utc)
    lines = [
        f"  {item.file}  {item.bytes / 1e6:,.1f} MB  taken {item.taken[:19]}  "
        f"{'verified by ' + item.verified if item.verified else 'not verified'}"
        + (", dated in the future" if item.is_from_the_future(now) else "")
        for item in manifests
    ]
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{counted(len(manifests), 'backup')} in {folder}",
        findings=passed_over(folder),
        facts={"backups": [item.file for item in manifests]},
        detail=tuple(lines),
    )
