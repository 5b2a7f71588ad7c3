"""Files that are whole or not there."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from opsmigrate.errors import UsageError


def require_writable(file: Path) -> None:
    """Raise UsageError where `file` cannot be written, before anything else is done."""
    real = file.resolve()
    # A file is replaced by another one in its folder; a device or a pipe is written to.
    written = real if _is_special(real) else real.parent
    if real.is_dir() or not real.parent.is_dir() or not os.access(written, os.W_OK):
        raise UsageError(
            f"cannot write {file}: its folder is not there or not writable",
            id="cannot-write-output",
            hint="--output with a file in a folder that exists",
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
            file = each.resolve()
            if _is_special(file):
                file.write_text(text, encoding="utf-8")
                continue
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


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file()
