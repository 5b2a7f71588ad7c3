"""Files that are whole or not there."""

import os
import tempfile
from pathlib import Path

from opsmigrate.errors import UsageError


def require_writable(file: Path) -> None:
    """Raise UsageError where `file` cannot be written, before anything else is done."""
    folder = file.parent
    if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(
            f"cannot write {file}: its folder is not there or not writable",
            id="cannot-write-output",
            hint="--output with a file in a folder that exists",
        )


def write_atomically(file: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` beside `file`, flush it to the disk, and rename it over `file`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
