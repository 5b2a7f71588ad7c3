"""The names and the bytes of a backup: whole under its final name, or not there."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from glob import escape
from itertools import count
from pathlib import Path

from opsmigrate.errors import UsageError
from opsmigrate.manifest import BACKUP_SUFFIX
from opsmigrate.postgres.session import Session

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def make_folder(folder: Path) -> None:
    """Make the folder for backups; raise UsageError where that, or writing to it, cannot be."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {folder}: {error.strerror}",
            id="cannot-write-output",
            hint="name a folder that can be written with --directory",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"cannot write to the folder {folder}",
            id="cannot-write-output",
            hint="name a folder that can be written with --directory",
        )


@contextmanager
def new_backup(folder: Path, session: Session, *, as_folder: bool) -> Iterator[tuple[Path, Path]]:
    """Yield what to write to and its final name; what was not renamed in the end is removed."""
    moment = datetime.now(timezone.utc).strftime("%Y%m%d_%H%M%S")
    stem = re.sub(r"[^\w.-]", "_", session.database) + f"_{moment}"
    for number in count(1):
        suffix = "" if number == 1 else f"_{number}"
        final = folder / f"{stem}{suffix}{BACKUP_SUFFIX}"
        partial = final.with_name(f".{final.name}.{_mark(session)}")
        if _reserved(partial, final, as_folder=as_folder):
            break
    try:
        yield partial, final
    finally:
        _remove(partial)


def remove_leftovers(folder: Path, session: Session) -> None:
    """Remove what killed runs left of this database; only while no other backup of it runs."""
    for path in folder.glob(f".*.{_mark(session)}"):
        _remove(path)


def flush(path: Path) -> None:
    """Make sure that a file is on the disk; or a folder with its files."""
    if path.is_dir():
        for member in path.iterdir():
            member.chmod(PRIVATE_FILE)
            _sync(member)
        sync_names(path)
    else:
        _sync(path)


def sync_names(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk, where the system can do that."""
    if os.name != "nt":
        _sync(folder)


def remove_backup(backup: Path, manifest: Path) -> None:
    """Remove a backup and its manifest, the manifest last: what is left is never taken for one."""
    _remove(backup)
    manifest.unlink(missing_ok=True)


def _mark(session: Session) -> str:
    # Two servers may have databases of one name, and one folder for their backups.
    return f"{session.system_identifier:x}-{session.oid}.partial"


def _reserved(partial: Path, final: Path, *, as_folder: bool) -> bool:
    """Make `partial`, which nobody else can then make, unless the name is taken already."""
    try:
        if as_folder:
            partial.mkdir(mode=PRIVATE_FOLDER)
        else:
            # pg_dump truncates what is there before it connects, and keeps the mode it finds.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    except FileExistsError:
        return False
    # Looked at after the reservation: another run may just have renamed its own; or be about to,
    # of a database of the same name on another server.
    others = final.parent.glob(f".{escape(final.name)}.*")
    if any(path != partial for path in others) or final.exists():
        _remove(partial)
        return False
    return True


def _remove(path: Path) -> None:
    # A link to a folder is a name and no more; what is behind it may be somebody else's.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
