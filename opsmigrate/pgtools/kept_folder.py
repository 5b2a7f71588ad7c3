"""Folders with an embedded server that stay for the next run: one at a time uses each."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate.files import write_atomically
from opsmigrate.pgtools.temporary_folder import is_ours

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: there nothing is kept.
    flock = None  # type: ignore[assignment]

RECORD = "kept.json"
# What was not synchronised to the disk is lost with the system, and only then.
BOOT = Path("/proc/sys/kernel/random/boot_id")


class KeptFolder:
    """A folder that this run alone uses; `record` is what the last run wrote, None where nothing.

    What was written before the system was started again, or has expired, counts as nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = self._read()

    def _read(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
            expires = datetime.fromisoformat(record["expires"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        same = record.get("boot") == _boot()
        return record if same and expires > datetime.now(timezone.utc) else None

    def keep(self, record: Mapping[str, Any], *, expires: datetime) -> None:
        """Keep the folder with its stopped server until then; the record may have a password."""
        body = {**record, "expires": expires.isoformat(), "boot": _boot()}
        write_atomically(self.path / RECORD, json.dumps(body), mode=0o600)
        if body["boot"] is None and hasattr(os, "sync"):
            os.sync()

    def discard(self) -> None:
        """Stop the server that may be there, and delete everything."""
        # Loaded only where there may be one.
        from opsmigrate.pgtools.embedded import EmbeddedServerError, discard_all

        self.record = None
        with suppress(OSError, EmbeddedServerError):
            discard_all(self.path)
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def kept_folder(name: str, *, new: bool = True) -> Iterator[KeptFolder | None]:
    """Yield the folder of this name; None where another run uses it, or it cannot be locked.

    And where there is none, and it is not to be `new`. Nothing is left of one that keeps nothing.
    """
    parent = _parent()
    path, lock = parent / name, parent / f"{name}.lock"
    if not (new or path.exists()):
        yield None
        return
    with suppress(OSError):
        parent.mkdir(mode=0o700, exist_ok=True)
    with _locked(lock) as is_locked:
        yield KeptFolder(path) if is_locked else None
        if is_locked and not path.exists():
            lock.unlink(missing_ok=True)
            with suppress(OSError):  # another one is in it
                parent.rmdir()


def reap_kept_folders() -> None:
    """Delete the folders that have expired, and that no run uses."""
    with suppress(OSError):
        for lock in _parent().glob("*.lock"):
            with kept_folder(lock.stem) as folder:
                if folder is not None and folder.record is None:
                    folder.discard()


@contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Hold the lock of the file; the system lets go of it when the process ends, however."""
    if flock is None or not is_ours(file.parent):
        yield False
        return
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
            # Whoever reaps deletes the file that he has locked.
            there = file.exists() and os.stat(file).st_ino == os.fstat(descriptor).st_ino
        except OSError:
            there = False
        yield there
    finally:
        os.close(descriptor)


def _parent() -> Path:
    account = os.getuid() if hasattr(os, "getuid") else "files"
    return Path(tempfile.gettempdir()) / f"opsmigrate-kept-{account}"


def _boot() -> str | None:
    with suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return None
