"""Take a backup: a whole file under its final name, or none; the manifest last."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.archive import sha256_of
from opsmigrate.backup.snapshot import (
    LOCK_TIMEOUT_SECONDS,
    Snapshot,
    count_rows,
    held_snapshot,
)
from opsmigrate.errors import RefusedError, UndecidedError, UsageError
from opsmigrate.manifest import Manifest, write_manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.postgres.session import Session, is_pooled_by_transaction
from opsmigrate.progress import Progress
from opsmigrate.schema.history import applied_migrations

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


@dataclass(frozen=True, kw_only=True)
class BackupOptions:
    """Where to, how compressed (as pg_dump's --compress), and for which run and release."""

    folder: Path
    compress: str
    run_id: str
    release: str | None


def take_backup(
    connection: BaseDatabaseWrapper,
    session: Session,
    clients: Clients,
    options: BackupOptions,
    progress: Progress,
) -> tuple[Path, Manifest]:
    """Dump the database of `connection` and return the file and its manifest, not yet verified.

    The rows of every table are counted at the very snapshot that is dumped, while it is dumped.
    Raises RefusedError or UndecidedError before a final name exists; the last good backup stays.
    """
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "a connection pooler in transaction mode is in between; a backup needs one session",
            id="pooled-by-transaction",
            hint="point DATABASES at the server itself, not at the pooler",
        )
    _make_folder(options.folder)
    with _new_file(options.folder, session.database) as (partial, final):
        with held_snapshot(connection) as (holder, snapshot):
            progress.phase(f"Dumping {len(snapshot.tables)} tables with pg_dump {clients.version}")
            counts = _dump(connection, holder, snapshot, clients, partial, options)
            migrations = applied_migrations(holder)
        _flush(partial)
        digest = sha256_of(partial)
        partial.replace(final)
        _flush(options.folder)
    manifest = Manifest(
        file=final.name,
        bytes=final.stat().st_size,
        sha256=digest,
        taken=snapshot.taken,
        finished=datetime.now(timezone.utc).isoformat(),
        run_id=options.run_id,
        release=options.release,
        database={
            "name": session.database,
            "oid": session.oid,
            "system_identifier": str(session.system_identifier),
            "server_version": session.version_text,
        },
        client_version=clients.version,
        lsn=snapshot.lsn,
        migrations=migrations,
        tables=counts,
    )
    write_manifest(options.folder, manifest)
    return final, manifest


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {folder}: {error.strerror}",
            id="cannot-write-output",
            hint="--directory with a folder that can be written",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"cannot write to the folder {folder}",
            id="cannot-write-output",
            hint="--directory with a folder that can be written",
        )


@contextmanager
def _new_file(folder: Path, database: str) -> Iterator[tuple[Path, Path]]:
    """Yield a file to write to and its final name; what was not renamed in the end is removed."""
    moment = datetime.now(timezone.utc).strftime("%Y%m%d_%H%M%S")
    stem = re.sub(r"[^\w.-]", "_", database) + f"_{moment}"
    for number in count(1):
        final = folder / (f"{stem}.dump" if number == 1 else f"{stem}_{number}.dump")
        partial = final.with_name(f".{final.name}.partial")
        if _reserved(partial, final):
            break
    try:
        yield partial, final
    finally:
        partial.unlink(missing_ok=True)


def _reserved(partial: Path, final: Path) -> bool:
    """Make `partial`, which nobody else can then make, unless the name is taken already."""
    try:
        # pg_dump truncates what is there before it connects, and keeps the mode that it finds.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    except FileExistsError:
        return False
    # Looked at after the reservation: another run may just have renamed its own.
    if final.exists():
        partial.unlink()
        return False
    return True


def _dump(
    connection: BaseDatabaseWrapper,
    holder: BaseDatabaseWrapper,
    snapshot: Snapshot,
    clients: Clients,
    file: Path,
    options: BackupOptions,
) -> dict[str, int]:
    argv = [
        clients.program("pg_dump"),
        "--format=custom",
        "--blobs",
        "--no-password",
        f"--compress={options.compress}",
        f"--snapshot={snapshot.id}",
        f"--lock-wait-timeout={LOCK_TIMEOUT_SECONDS * 1000}",
        f"--file={file.resolve()}",
    ]
    with child_environment(connection) as environment:
        if environment.role:
            argv.append(f"--role={environment.role}")
        try:
            with started(argv, environment):
                return count_rows(holder, snapshot.tables)
        except ClientError as error:
            raise UndecidedError(
                f"pg_dump failed: {error}",
                id="dump-failed",
                hint="see its words above; nothing was left behind",
            ) from error


def _flush(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
