"""Verify level by level; the manifest says each as soon as it is reached."""

from dataclasses import replace
from pathlib import Path

from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import Verification, verify_archive, verify_by_restoring
from opsmigrate.manifest import VERIFIED, Manifest, write_manifest
from opsmigrate.report import Undecided


def verify_to(
    level: str,
    verifier: Verifier,
    *,
    keep: bool = False,
    trust_code: bool = False,
    isolated: int | None = None,
) -> tuple[Manifest, Verification]:
    """Verify up to `archive` or `restore`; return the manifest, now saying so, and what was found.

    Where only rows were counted when the backup was taken, their values cannot be compared: then
    the manifest goes on to say that it is not verified, and the values are named as undecided.
    `keep`, `trust_code` and `isolated` are those of verify_by_restoring.
    """
    found = Verification(findings=verify_archive(verifier))
    manifest = _noted(verifier.file, verifier.manifest, "archive", found)
    if level == "restore" and not found.findings:
        found = verify_by_restoring(
            replace(verifier, manifest=manifest),
            keep=keep,
            trust_code=trust_code,
            isolated=isolated,
        )
        manifest = _noted(verifier.file, manifest, "restore", found)
    if manifest.tables and not manifest.digests:
        missed = Undecided(
            "the values of the rows", "backup_db --verify none only counted the rows"
        )
        found = replace(found, undecided=(*found.undecided, missed))
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
