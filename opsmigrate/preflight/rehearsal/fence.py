"""The fence around a rehearsal: its code may touch the scratch database, and nothing else."""

import logging
import multiprocessing.process
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opsmigrate.preflight.rehearsal.driver_fence import FenceError

# Audit events of what leaves the process (Python documentation, Audit events table).
LEAVING = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "socket.bind",
        "socket.connect",
        "socket.sendmsg",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
# Event -> how many of its first arguments are paths; a folder's descriptor may follow them.
CHANGING_FILES = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
    "shutil.move": 2,
    "shutil.rmtree": 1,
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def raise_fence(own_folder: Path, tell: Callable[[str], None]) -> None:
    """Refuse whatever would leave this process, until it ends.

    Files may be changed in `own_folder` only. `tell` hears of everything that was refused, but for
    threads that ran before: those that report to somebody, and are no part of a migration.
    """
    before = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
    inside = os.path.realpath(own_folder) + os.sep

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if not _leaves(event, arguments, inside):
            return
        if threading.get_ident() not in before:
            shown = f" {arguments[0]}" if arguments else ""
            tell(f"it may not do this on a copy: {event}{shown}")
        raise FenceError(f"a rehearsal may not do this: {event}")

    # Processes of multiprocessing that are not forked come without an audit event.
    def start(process: Any) -> None:
        refuse("os.fork", ("by multiprocessing",))

    setattr(multiprocessing.process.BaseProcess, "start", start)  # noqa: B010 - as above
    # Log files and collectors would be told of what never happened.
    logging.disable(logging.CRITICAL)
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)


def _leaves(event: str, arguments: tuple[Any, ...], inside: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING or path == os.devnull:
            return False
        # An open descriptor: whoever opened it was asked.
        return not isinstance(path, int) and not _is_inside(path, inside)
    count = CHANGING_FILES.get(event)
    if count is None:
        return event in LEAVING
    folders = [each for each in arguments[count:] if isinstance(each, int) and each >= 0]
    return not all(_is_inside(path, inside, folders) for path in arguments[:count])


def _is_inside(path: Any, inside: str, folders: list[int] | None = None) -> bool:
    if isinstance(path, int):
        return False
    name = os.fsdecode(path)
    if not os.path.isabs(name) and folders:
        # What shutil.rmtree takes away is named from the folder that it has open.
        try:
            name = os.path.join(os.readlink(f"/proc/self/fd/{folders[-1]}"), name)
        except OSError:
            return False
    place = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
    return f"{place}{os.sep}".startswith(inside)
