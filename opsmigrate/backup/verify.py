"""Prove a backup: against its manifest, from the file alone or by restoring it."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.checksum import sha256_of
from opsmigrate.backup.contradictions import contradiction_in
from opsmigrate.backup.differences import broken, content_differences
from opsmigrate.backup.failed_restore import require_backup_at_fault, server_start
from opsmigrate.backup.properties import read_extensions
from opsmigrate.backup.restore import restore_into, why_not_owners
from opsmigrate.backup.sequences import read_sequences
from opsmigrate.backup.venue import isolated_venue, not_by_a_role, scratch_for, venue_for
from opsmigrate.backup.verifier import Verifier
from opsmigrate.digest.archive import read_archive
from opsmigrate.digest.server import Reading, read_database
from opsmigrate.digest.tables import list_tables
from opsmigrate.manifest import VERIFIED, Manifest, size_of, write_manifest
from opsmigrate.pgtools.run import ClientError
from opsmigrate.pgtools.schema_text import schema_differences
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.session import no_time_limits, second_connection, set_for_session
from opsmigrate.report import Finding, Severity, Undecided
from opsmigrate.scratch import ScratchDatabase, keep_scratch
from opsmigrate.steps import statement

JOBS = 2
KEPT_HOURS = 24
SEE_WORDS = (
    "read the server's message: if room, a role or a privilege is missing, provide it and verify "
    "again; otherwise take a new backup"
)
NO_MEMBER = "the role that was created for the restore is a member of no other role"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found wrong, what is undecided, and the name of the scratch database if it is kept.

    `where` says where it was restored, if it was.
    """

    findings: tuple[Finding, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    scratch: str | None = None
    where: str | None = None


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


def verify_checksum(file: Path, manifest: Manifest) -> tuple[Finding, ...]:
    """Return a finding where a single bit of the backup is not as it was written."""
    # What is neither file nor folder has no size, and reading it might never end.
    if size_of(file) < 0 or sha256_of(file) != manifest.sha256:
        return (
            broken(
                id="archive-changed",
                message=f"{file.name} differs from the file that was written",
            ),
        )
    return ()


def verify_archive(verifier: Verifier) -> tuple[Finding, ...]:
    """Return what differs between the backup and its manifest: checksum, then every row."""
    file, manifest, progress = verifier.file, verifier.manifest, verifier.progress
    progress.phase("Verifying the archive: SHA-256, then every row")
    if changed := verify_checksum(file, manifest):
        return changed
    read = 0

    def meanwhile(size: int) -> None:
        nonlocal read
        read += size
        progress.update(f"{read / 1e6:,.1f} MB of rows read")

    try:
        content = read_archive(
            verifier.clients,
            verifier.connection,
            file,
            encoding=_encoding(manifest),
            meanwhile=meanwhile,
        )
    except ClientError as error:
        if not error.of_its_own:
            raise
        return (unreadable(file, error),)
    return content_differences(manifest, content.tables, content.sequences, content.large_objects)


def verify_by_restoring(
    verifier: Verifier,
    *,
    keep: bool = False,
    trust_code: bool = False,
    isolated: int | None = None,
) -> Verification:
    """Restore the backup in a scratch database, compare everything, and drop it, or keep it.

    With `isolated`, on a temporary embedded server of that major, else on the verifier's server,
    where nothing that others own is then run by a superuser, unless `trust_code`. Raises
    RefusedError where there is no place for it.
    """
    connection, manifest = verifier.connection, verifier.manifest
    # After a long silence the server, or a firewall, may have ended it: connect anew.
    connection.close()
    chosen = (
        venue_for(verifier, trust_code=trust_code, keep=keep)
        if isolated is None
        else isolated_venue(verifier, major=isolated)
    )
    with ExitStack() as stack:
        try:
            venue = stack.enter_context(chosen)
        except ClientError as error:
            if not error.of_its_own:
                raise
            return Verification(findings=(unreadable(verifier.file, error),))
        why, lacking = why_not_owners(venue.server, manifest), None
        for owners in venue.attempts(owners=why is None):
            with (
                scratch_for(venue, verifier) as scratch,
                venue.hands(scratch, manifest, owners=owners) as hands,
            ):
                proof = prove_restored(verifier, hands, scratch, owners=owners)
                if lacking := venue.lacking(proof.findings):
                    continue
                if not owners:
                    missed = Undecided(
                        "owners and rights of the restored objects", why or NO_MEMBER
                    )
                    proof = replace(proof, undecided=(*proof.undecided, missed))
                if keep and not proof.findings:
                    connection.close()
                    about = _about(manifest, owners=owners)
                    keep_scratch(connection, scratch, about, hours=KEPT_HOURS)
                    proof = replace(proof, scratch=scratch.name)
                return replace(proof, where=venue.where)
        raise not_by_a_role(verifier.file, venue, lacking)


def prove_restored(
    verifier: Verifier, hands: BaseDatabaseWrapper, scratch: ScratchDatabase, *, owners: bool
) -> Verification:
    """Restore into the scratch database and compare rows, values, sequences and definitions.

    `hands` is the connection of the role that does it.
    """
    file, progress = verifier.file, verifier.progress
    progress.phase(f"Restoring into the scratch database {scratch.name}")
    # After a long silence the server, or a firewall, may have ended it: connect anew.
    hands.close()
    started = server_start(hands)
    try:
        restore_into(
            hands,
            verifier.clients,
            file,
            scratch.name,
            owners=owners,
            printed=verifier.manifest.printing,
            meanwhile=lambda: progress.update("restoring"),
        )
    except ClientError as error:
        require_backup_at_fault(hands, scratch.name, error, started=started)
        found = contradiction_in(hands, scratch.name, error)
        words = f"{file.name} cannot be restored: {error}{found.words if found else ''}"
        failed = broken(id="restore-failed", message=words)
        hint, steps = (found.hint, found.steps) if found else (SEE_WORDS, failed.steps)
        return Verification(findings=(replace(failed, hint=hint, steps=steps),))
    progress.phase("Comparing every row")
    with second_connection(hands, database=scratch.name) as restored:
        set_for_session(restored, **no_time_limits(restored))
        return Verification(
            findings=(
                *_contents(verifier, restored),
                *_extensions(verifier.manifest, read_extensions(restored)),
                *_definitions(verifier, restored, owners=owners),
            ),
            undecided=_definitions_undecided(verifier),
        )


def _noted(file: Path, manifest: Manifest, level: str, found: Verification) -> Manifest:
    wrong = [item for item in found.findings if item.severity.value == "error"]
    counted_only = manifest.tables and not manifest.digests
    reached = VERIFIED.index(manifest.verified) >= VERIFIED.index(level)
    if wrong or counted_only or reached:
        return manifest
    manifest = manifest.with_verification(level)
    write_manifest(file.parent, manifest)
    return manifest


def _contents(verifier: Verifier, restored: BaseDatabaseWrapper) -> tuple[Finding, ...]:
    manifest = verifier.manifest
    content = read_database(
        restored,
        verifier.clients,
        list_tables(restored),
        Reading(jobs=JOBS, printing=manifest.printing),
        encoding=_encoding(manifest),
        idle=lambda read: verifier.progress.update(f"{read / 1e6:,.1f} MB of rows read"),
    )
    # A table whose rows were left out is there, and empty.
    tables = {name: each for name, each in content.tables.items() if name not in manifest.excluded}
    return content_differences(manifest, tables, read_sequences(restored), content.large_objects)


def _definitions(
    verifier: Verifier, restored: BaseDatabaseWrapper, *, owners: bool
) -> tuple[Finding, ...]:
    if _definitions_undecided(verifier):
        return ()
    objects = schema_differences(
        restored,
        verifier.clients,
        verifier.file,
        owners=owners,
        printing=verifier.manifest.printing,
    )
    return tuple(_changed(each) for each in objects)


def _definitions_undecided(verifier: Verifier) -> tuple[Undecided, ...]:
    """Return what is not compared: another version of pg_dump would write it in other words."""
    wrote, reads = verifier.manifest.client_version, verifier.clients.version
    if wrote == reads:
        return ()
    why = f"pg_dump {wrote} wrote it, this is {reads}"
    return (Undecided("the definitions of the restored objects", why),)


def unreadable(file: Path, error: ClientError) -> Finding:
    """Return the finding where pg_restore cannot read the file, in its own words."""
    return broken(id="archive-unreadable", message=f"pg_restore cannot read {file.name}: {error}")


def _about(manifest: Manifest, *, owners: bool) -> dict[str, object]:
    """Return what the comment of a database that was restored from the backup says."""
    return {
        "kind": "restored",
        "backup": manifest.sha256,
        "file": manifest.file,
        "taken": manifest.taken,
        "database": dict(manifest.database),
        "migrations": list(manifest.migrations),
        "excluded": list(manifest.excluded),
        "xmin": manifest.xmin,
        "owners": owners,
    }


def _encoding(manifest: Manifest) -> str:
    return str(manifest.properties.get("encoding", "UTF8"))


def _changed(what: str) -> Finding:
    return broken(
        id="schema-differs", message=f"{what} is defined differently in the restored database"
    )


def _extensions(manifest: Manifest, found: dict[str, str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            id="extension-differs",
            severity=Severity.WARNING,
            message=f"the extension {name} had version {version}; a restore installs "
            + (found.get(name) or "none"),
            hint="before the next backup, update it to the version that a restore installs",
            steps=(statement(f"ALTER EXTENSION {quoted(name)} UPDATE"),),
            evidence={"source": version, "backup": found.get(name)},
        )
        for name, version in manifest.extensions.items()
        if found.get(name) != version
    )
