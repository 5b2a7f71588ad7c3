"""A folder in memory for what tests throw away: to copy a database there costs a tenth."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

# Linux keeps in memory what is written here; Docker gives a container 64 MB of it by default, and
# lets no program run from it.
MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108 - whose folder is looked at below
ROOM_BYTES = 4 << 30


@contextmanager
def in_memory(root: Path) -> Iterator[Path | None]:
    """Yield the folder in memory of the project in `root`, which is gone afterwards.

    None where the system has no such place, not enough room in it, or where others made it.
    """
    folder = MEMORY / f"opsmigrate-test-{sha256(str(root).encode()).hexdigest()[:12]}"
    if not _has_room(MEMORY) or not _make(folder):
        yield None
        return
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(place: Path) -> bool:
    if not place.is_dir() or not hasattr(os, "statvfs"):
        return False
    lets_run = not os.statvfs(place).f_flag & os.ST_NOEXEC
    return lets_run and shutil.disk_usage(place).free >= ROOM_BYTES


def _make(folder: Path) -> bool:
    """Make it, unless it is there; say whether it is ours alone to write to."""
    try:
        folder.mkdir(mode=0o711, exist_ok=True)
    except OSError:
        return False
    found = folder.lstat()
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
