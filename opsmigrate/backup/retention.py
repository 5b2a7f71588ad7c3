"""Which old backups may go: those that enough newer, verified ones of the same database outlive."""

from pathlib import Path

from opsmigrate.backup.files import remove_backup
from opsmigrate.manifest import Manifest, manifest_path, read_manifests


def remove_old(folder: Path, newest: Manifest, keep: int) -> tuple[str, ...]:
    """Remove the backups that are older than the `keep` newest verified ones; return their names.

    Only those of the database of `newest`, which is verified, are looked at: the same server
    (system identifier) and oid. Their age is that of their snapshots, never that of the files.
    What is newer than the oldest one kept stays, verified or not.
    """
    same = [
        manifest
        for manifest in read_manifests(folder)
        if all(
            manifest.database.get(key) == newest.database[key]
            for key in ("system_identifier", "oid")
        )
    ]
    verified = [number for number, manifest in enumerate(same) if manifest.verified]
    if newest.verified is None or len(verified) < keep:
        return ()
    old = same[verified[keep - 1] + 1 :]
    for manifest in old:
        backup = folder / manifest.file
        remove_backup(backup, manifest_path(backup))
    return tuple(manifest.file for manifest in old)
