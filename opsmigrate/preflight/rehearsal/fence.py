"""The fence around a rehearsal: its code may touch the scratch database, and nothing else."""

import logging
import multiprocessing.process
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from opsmigrate.preflight.rehearsal.fence_error import FenceError

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
        "readline.append_history_file",
        "readline.write_history_file",
        "signal.pidfd_send_signal",
        "shared_memory.shm_open",
        "socket.bind",
        "socket.connect",
        "socket.sendmsg",
        "socket.sendto",
        "socket.sethostname",
        "sqlite3.connect",
        "subprocess.Popen",
        "syslog.syslog",
    }
)
# Event -> how many of its first arguments are paths; a folder's descriptor may follow them.
CHANGING_FILES = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.mkfifo": 1,
    "os.mknod": 1,
    "os.removexattr": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.setxattr": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
    "shutil.move": 2,
    "shutil.rmtree": 1,
}
# Functions of C that no audit event of Python's would show once they are had.
C_FUNCTIONS = (
    "exec", "fork", "vfork", "posix_spawn", "system", "popen", "clone", "kill", "syscall",
    "socket", "connect", "send", "open", "fopen", "creat", "unlink", "rename", "mknod",
    "mkfifo", "chmod", "truncate", "dlopen", "PQ",
)  # fmt: skip
LOOKING_UP = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname", "socket.getnameinfo"}
)
# Functions that make or change files, or reach other processes, and have no audit event: where
# they are, and the event that they get.
UNHEARD = (
    ("os", "mkfifo", "os.mkfifo"),
    ("posix", "mkfifo", "os.mkfifo"),
    ("os", "mknod", "os.mknod"),
    ("posix", "mknod", "os.mknod"),
    ("_posixsubprocess", "fork_exec", "os.fork"),
    ("subprocess", "_fork_exec", "os.fork"),
    ("signal", "pidfd_send_signal", "signal.pidfd_send_signal"),
    ("_signal", "pidfd_send_signal", "signal.pidfd_send_signal"),
    ("readline", "write_history_file", "readline.write_history_file"),
    ("readline", "append_history_file", "readline.append_history_file"),
    ("_posixshmem", "shm_open", "shared_memory.shm_open"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def raise_fence(own_folder: Path, hosts: Iterable[str], record: Callable[[str], None]) -> None:
    """Refuse whatever would leave this process, until it ends.

    Files may be changed in `own_folder` only, and the names of `hosts` looked up. `record` hears of
    everything that was refused, but for threads that ran before: those that report to somebody,
    and are no part of a migration.
    """
    before = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
    inside = os.path.realpath(own_folder) + os.sep
    known = {*hosts, "", "localhost", socket.gethostname(), socket.getfqdn()}

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in LOOKING_UP:
            if _is_known(arguments[0], known):
                return
        elif not _leaves(event, arguments, inside):
            return
        if threading.get_ident() not in before:
            shown = f" {arguments[0]}" if arguments else ""
            record(f"it may not do this in a rehearsal: {event}{shown}")
        raise FenceError(f"a rehearsal may not do this: {event}")

    # Processes of multiprocessing that are not forked come without an audit event.
    def start(process: Any) -> None:
        refuse("os.fork", ("by multiprocessing",))

    setattr(multiprocessing.process.BaseProcess, "start", start)  # noqa: B010 - as above
    _replace_unheard(refuse)
    # Log files and collectors would record what never happened.
    logging.disable(logging.CRITICAL)
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)


def _replace_unheard(refuse: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Let the functions that have no audit event have one."""

    def heard(event: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            refuse(event, args or tuple(kwargs.values()))
            return real(*args, **kwargs)

        return run

    for module_name, name, event in UNHEARD:
        try:
            module = import_module(module_name)
            setattr(module, name, heard(event, getattr(module, name)))
        except (ImportError, AttributeError):
            continue  # on Windows; in other versions of Python
    keylog = getattr(ssl.SSLContext, "keylog_filename", None)
    if keylog is not None:

        def set_keylog(context: Any, path: Any) -> None:
            if path is not None:
                refuse("open", (path, None, WRITING))
            keylog.__set__(context, path)

        setattr(ssl.SSLContext, "keylog_filename", property(keylog.__get__, set_keylog))  # noqa: B010 - as above


def _is_known(host: Any, known: set[str]) -> bool:
    # getnameinfo has an address, of host and port.
    name = host[0] if isinstance(host, tuple) else host
    name = os.fsdecode(name) if isinstance(name, bytes) else str(name or "")
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return name in known
    return True


def _leaves(event: str, arguments: tuple[Any, ...], inside: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        if _is_of_another_process(path):
            return True
        if not isinstance(flags, int) or not flags & WRITING or path == os.devnull:
            return False
        # An open descriptor: whoever opened it was asked.
        return not isinstance(path, int) and not _is_inside(path, inside)
    if event == "ctypes.dlopen":
        # The program itself and the C library; those of a package have names of their own.
        return not arguments[0] or os.path.basename(str(arguments[0])).startswith("libc.")
    if event == "ctypes.dlsym":
        return str(arguments[1]).startswith(C_FUNCTIONS)
    count = CHANGING_FILES.get(event)
    if count is None:
        return event in LEAVING
    folders = [each for each in arguments[count:] if isinstance(each, int) and each >= 0]
    return not all(_is_inside(path, inside, folders) for path in arguments[:count])


def _is_of_another_process(path: Any) -> bool:
    """Return whether a file is about another process (Linux): its variables have passwords."""
    if isinstance(path, int):
        return False
    parts = os.path.realpath(os.fsdecode(path)).split("/")
    pid = parts[2] if len(parts) > 2 and parts[:2] == ["", "proc"] else ""
    return pid.isdigit() and int(pid) != os.getpid()


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
