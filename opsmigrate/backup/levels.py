"""Verify level by level; the manifest says each as soon as it is reached."""

from dataclasses import replace
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.verify import Verification, verify_archive, verify_by_restoring
from opsmigrate.manifest import VERIFIED, Manifest, write_manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.progress import Progress
from opsmigrate.report import Unexamined


def verify_to(
    level: str,
    connection: BaseDatabaseWrapper,
    clients: Clients,
    file: Path,
    manifest: Manifest,
    *,
    run_id: str,
    maintenance_db: str | None,
    progress: Progress,
    keep: bool = False,
    trust_code: bool = False,
    isolated: int | None = None,
) -> tuple[Manifest, Verification]:
    """Verify up to `archive` or `restore`; return the manifest, now saying so, and what was found.

    Where only rows were counted when the backup was taken, their values cannot be compared: then
    the manifest goes on to say that it is not verified, and the values are named as unexamined.
    `keep`, `trust_code` and `isolated` are those of verify_by_restoring.
    """
    found = Verification(findings=verify_archive(connection, clients, file, manifest, progress))
    manifest = _noted(file, manifest, "archive", found)
    if level == "restore" and not found.findings:
        found = verify_by_restoring(
            connection,
            clients,
            file,
            manifest,
            run_id=run_id,
            maintenance_db=maintenance_db,
            progress=progress,
            keep=keep,
            trust_code=trust_code,
            isolated=isolated,
        )
        manifest = _noted(file, manifest, "restore", found)
    if manifest.tables and not manifest.digests:
        missed = Unexamined(
            "the values of the rows", "backup_db --verify none only counted the rows"
        )
        found = replace(found, unexamined=(*found.unexamined, missed))
    return manifest, found


def _noted(file: Path, manifest: Manifest, level: str, found: Verification) -> Manifest:
    wrong = [item for item in found.findings if item.severity.value == "error"]
    counted_only = manifest.tables and not manifest.digests
    reached = VERIFIED.index(manifest.verified) >= VERIFIED.index(level)
    if wrong or counted_only or reached:
        return manifest
    manifest = manifest.with_verification(level)
    write_manifest(file.parent, manifest)
    return manifest
