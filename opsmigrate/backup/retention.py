"""Which old backups may go: those that enough newer, verified ones of the same database outlive."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opsmigrate.backup.files import remove_backup
from opsmigrate.manifest import Manifest, manifest_path, read_shelf
from opsmigrate.report import Finding, Severity

NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What was removed, and what was found that stands in the way of removing."""

    removed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def remove_old(folder: Path, newest: Manifest, keep: int) -> Removal:
    """Remove the backups that `keep` newer, verified ones outlive; return their names.

    Only those of the database of `newest`, which was just taken and is verified, are looked at:
    the same server (system identifier) and oid. Their age is that of their snapshots, never that
    of the files. One that lacks the rows of a table outlives none that has them. `newest` itself
    always stays; what says that it was taken after it comes from a clock that was wrong, so it
    outlives nothing, and stays too. What cannot be removed is a warning: the backup is good.
    """
    if newest.verified is None:
        return Removal()
    moment = datetime.fromisoformat(newest.taken)
    same = [
        manifest
        for manifest in read_shelf(folder).manifests
        if all(
            manifest.database.get(key) == newest.database[key]
            for key in ("system_identifier", "oid")
        )
    ]
    # The clock of the server is the same for all of them; ours need not agree with it.
    ahead = [item for item in same if datetime.fromisoformat(item.taken) > moment]
    past = [item for item in same if item not in ahead and item.file != newest.file]
    old = [
        manifest
        for number, manifest in enumerate(past)
        if sum(_outlives(newer, manifest) for newer in [newest, *past[:number]]) >= keep
    ]
    removed, findings = [], [_from_the_future(item) for item in ahead]
    for manifest in old:
        backup = folder / manifest.file
        try:
            remove_backup(backup, manifest_path(backup))
            removed.append(manifest.file)
        except OSError as error:
            findings.append(_not_removed(backup, error))
    return Removal(removed=tuple(removed), findings=tuple(findings))


def passed_over(folder: Path) -> tuple[Finding, ...]:
    """Return a warning that names what is called *.json in the folder and cannot be used."""
    found = read_shelf(folder).passed_over
    if not found:
        return ()
    named = "; ".join(f"{item.name} ({item.why})" for item in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return (
        Finding(
            id="unreadable-manifest",
            severity=Severity.WARNING,
            message=f"ignored in {folder}: {named}{more}",
            hint="move it elsewhere if it does not belong to a backup; a backup without a usable "
            "manifest does not count, and is never removed",
            evidence={"passed_over": {item.name: item.why for item in found}},
        ),
    )


def _outlives(newer: Manifest, older: Manifest) -> bool:
    return newer.verified is not None and set(newer.excluded) <= set(older.excluded)


def _from_the_future(manifest: Manifest) -> Finding:
    return Finding(
        id="backup-from-future",
        severity=Severity.WARNING,
        message=f"{manifest.file} claims to have been taken at {manifest.taken}, after the one "
        "that was taken just now; it is ignored, and not removed",
        hint="correct the clock of the server; remove the file by hand if it is not needed",
    )


def _not_removed(backup: Path, error: OSError) -> Finding:
    return Finding(
        id="backup-not-removed",
        severity=Severity.WARNING,
        message=(
            f"{backup} is older than the newest ones that are kept, but cannot be removed: "
            f"{error.strerror}"
        ),
        hint="remove it, and the .json beside it, by hand",
    )
