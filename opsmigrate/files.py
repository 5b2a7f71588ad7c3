"""Files that are whole or not there."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from opsmigrate.errors import UsageError

OUTPUT = "a file in a folder that exists with --output"


def require_writable(file: Path, *, by: str = OUTPUT) -> None:
    """Raise UsageError where `file` cannot be written, before anything else is done.

    `by` says what to name instead.
    """
    if not _can_be_written(file):
        raise UsageError(
            f"cannot write {file}: its folder does not exist or is not writable",
            id="cannot-write-output",
            hint=f"name {by}",
        )


def write_atomically(file: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` beside `file`, flush it to the disk, and rename it over `file`.

    A link is followed; what is no file but a device or a pipe (/dev/null) is written to as it is.
    """
    write_together({file: text}, mode=mode)


def write_together(texts: Mapping[Path, str], *, mode: int = 0o644) -> None:
    """Write files as write_atomically() does: none is renamed before all are on the disk."""
    written: dict[Path, Path] = {}
    try:
        for each, text in texts.items():
            if _is_special(each):
                # Not resolved: where /dev/stdout and >(…) of a shell lead to has no path.
                each.write_text(text, encoding="utf-8")
                continue
            file = each.resolve()
            descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
            written[Path(name)] = file
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(mode)
        for beside, file in written.items():
            beside.replace(file)
    except BaseException:
        for beside in written:
            beside.unlink(missing_ok=True)
        raise


def _can_be_written(file: Path) -> bool:
    try:
        # A file is replaced by another one in its folder; a device or a pipe is written to.
        special = _is_special(file)
        # From 3.13 on, resolve() says nothing of a link that leads to itself; stat() does.
        with suppress(FileNotFoundError):
            file.stat()
        written = file if special else file.resolve().parent
        return not file.is_dir() and (special or written.is_dir()) and os.access(written, os.W_OK)
    except (OSError, RuntimeError):
        # A name that is too long; a link to itself, until Python 3.13.
        return False


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file()
