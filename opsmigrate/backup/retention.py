"""Which old backups may go: those that enough newer, verified ones of the same database outlive."""

from pathlib import Path

from opsmigrate.backup.files import remove_backup
from opsmigrate.manifest import Manifest, manifest_path, read_manifests


def remove_old(folder: Path, newest: Manifest, keep: int) -> tuple[str, ...]:
    """Remove the backups that `keep` newer, verified ones outlive; return their names.

    Only those of the database of `newest`, which is verified, are looked at: the same server
    (system identifier) and oid. Their age is that of their snapshots, never that of the files.
    One that lacks the rows of a table outlives none that has them.
    """
    if newest.verified is None:
        return ()
    same = [
        manifest
        for manifest in read_manifests(folder)
        if all(
            manifest.database.get(key) == newest.database[key]
            for key in ("system_identifier", "oid")
        )
    ]
    old = [
        manifest
        for number, manifest in enumerate(same)
        if sum(_outlives(newer, manifest) for newer in same[:number]) >= keep
    ]
    for manifest in old:
        backup = folder / manifest.file
        remove_backup(backup, manifest_path(backup))
    return tuple(manifest.file for manifest in old)


def _outlives(newer: Manifest, older: Manifest) -> bool:
    return newer.verified is not None and set(newer.excluded) <= set(older.excluded)
