"""Temporary folders that the next run deletes where this one is killed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from opsmigrate.errors import UndecidedError


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for this process, gone when the block ends.

    Raises UndecidedError where somebody else has taken its place.
    """
    parent = _parent()
    parent.mkdir(mode=0o700, exist_ok=True)
    if not is_ours(parent):
        raise UndecidedError(
            f"{parent} belongs to another user",
            id="copy-failed",
            hint="set TMPDIR to a folder that you own",
        )
    folder = parent / f"{os.getpid()}-{token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another run may have its own in it
            parent.rmdir()


def reap_temporary_folders() -> None:
    """Delete the folders of runs that were killed, and stop the servers that they left there."""
    parent = _parent()
    if not parent.is_dir():
        return
    # Loaded only where there is something.
    from opsmigrate.pgtools.embedded import EmbeddedServerError, discard_all

    with suppress(OSError, EmbeddedServerError):
        if not is_ours(parent):
            return
        for folder in parent.iterdir():
            if not _is_alive(folder.name.partition("-")[0]):
                discard_all(folder)
                shutil.rmtree(folder, ignore_errors=True)
        parent.rmdir()


def _parent() -> Path:
    """Return the folder of our folders; each begins with the number of its process."""
    account = os.getuid() if hasattr(os, "getuid") else "files"
    return Path(tempfile.gettempdir()) / f"opsmigrate-rehearsals-{account}"


def is_ours(folder: Path) -> bool:
    """Return whether the folder is of this user, where there are users."""
    return not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()


def _is_alive(number: str) -> bool:
    if os.name == "nt" or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
