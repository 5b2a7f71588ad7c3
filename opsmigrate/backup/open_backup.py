"""Find a backup by the name that was typed, and its manifest."""

from pathlib import Path

from opsmigrate.errors import OpsmigrateError, RefusedError, UndecidedError, UsageError
from opsmigrate.manifest import (
    BACKUP_SUFFIX,
    Manifest,
    UnreadableManifestError,
    UnsealedManifestError,
    read_manifest,
)
from opsmigrate.pgtools.clients import Clients, find_clients
from opsmigrate.steps import command


def open_backup(name: str, folder: Path) -> tuple[Path, Manifest]:
    """Return the backup that `name` says, a path or a name in `folder`, and its manifest.

    Raises UsageError where there is none, OpsmigrateError (failed) where its manifest cannot be
    relied on, RefusedError where a key is set and it is not sealed with that.
    """
    given = Path(name)
    if given.suffix == ".json":
        given = given.with_suffix(BACKUP_SUFFIX)
    backup = next((path for path in (given, folder / given.name) if path.exists()), None)
    if backup is None:
        raise UsageError(
            f"there is no backup {name}",
            id="unknown-backup",
            hint="list the existing ones",
            steps=(command("python manage.py backup_db --list"),),
        )
    try:
        return backup, read_manifest(backup)
    except UnsealedManifestError as error:
        raise RefusedError(
            f"{backup.name} was not sealed by this project: {error}",
            id="seal-unkeyed",
            hint="set the SEAL_KEY with which it was taken, or take a new backup",
            steps=(command("python manage.py backup_db"),),
        ) from error
    except UnreadableManifestError as error:
        raise OpsmigrateError(
            f"{backup.name} cannot be verified: {error}",
            id="manifest-unreadable",
            steps=(command("python manage.py backup_db"),),
        ) from error


def clients_for(manifest: Manifest, server_major: int | None, pg_bin: Path | None) -> Clients:
    """Return clients that read the archive, and restore it into a server where one is given.

    Raises UndecidedError where there are none, or where the server is too old for the archive.
    """
    wrote = int(manifest.client_version.partition(".")[0])
    if server_major is None:
        return find_clients(wrote, pg_bin)
    clients = find_clients(server_major, pg_bin)
    if clients.major < wrote:
        raise UndecidedError(
            f"pg_dump {manifest.client_version} wrote {manifest.file}; PostgreSQL {server_major} "
            "is too old to restore it",
            id="older-server",
            hint=f"name the alias of a server of PostgreSQL {wrote} or newer",
        )
    return clients
