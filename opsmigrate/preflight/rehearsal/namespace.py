"""A network of the rehearsal's own: on Linux, where the kernel lets us have one."""

import ctypes
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# linux/sched.h, sys/mount.h, sys/prctl.h, linux/sockios.h, linux/capability.h
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
PR_SET_NO_NEW_PRIVS = 38
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CAPABILITY_VERSION = 0x20080522
# What root needs to read the project's files as before: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH,
# FOWNER, FSETID.
OF_FILES = 0b11111
SERVER_SOCKET = re.compile(r"/\S*/\.s\.PGSQL\.\d+$")


class NoNamespaceError(Exception):
    """The process goes on in the network of everybody; the message says why."""


def enter_own_network(own_socket: Path) -> None:
    """Put this process into a network in which there is nothing, for good.

    Of the sockets of PostgreSQL servers and poolers on this machine only `own_socket` stays in
    reach. The account and its rights to files stay what they are. Raises NoNamespaceError where
    that cannot be had, and where another thread would stay outside.
    """
    if sys.platform != "linux":
        raise NoNamespaceError("only Linux has network namespaces")
    if len(os.listdir("/proc/self/task")) > 1:
        raise NoNamespaceError("the settings have started threads")
    libc = ctypes.CDLL(None, use_errno=True)
    others = [path for path in _server_sockets() if path != str(own_socket)]
    uid, gid = os.geteuid(), os.getegid()
    # Root keeps its own account: as the only one of a new one, it could not read others' files.
    kinds = CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)
    _call(libc, "unshare", kinds)
    try:
        if uid:
            _map_account(uid, gid)
        _call(libc, "mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        for path in others:
            _call(libc, "mount", b"/dev/null", os.fsencode(path), None, MS_BIND, None)
        _switch_loopback_on()
        _give_powers_up(libc, OF_FILES if uid == 0 else 0)
    except OSError as error:
        # It is in there by now, and may not get out: half of it is no answer.
        raise SystemExit(
            f"the network namespace of the rehearsal could not be created: {error}"
        ) from error


def _call(libc: Any, name: str, *arguments: Any) -> None:
    if getattr(libc, name)(*arguments) == 0:
        return
    error = ctypes.get_errno()
    if name == "unshare":
        raise NoNamespaceError(f"the kernel does not allow it: {os.strerror(error)}")
    raise OSError(error, f"{name}: {os.strerror(error)}")


def _server_sockets() -> Iterator[str]:
    """Yield the Unix sockets of PostgreSQL's kind that somebody listens on and we could reach."""
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as lines:
        found = {match[0] for line in lines if (match := SERVER_SOCKET.search(line.rstrip("\n")))}
    for path in sorted(found):
        if os.access(path, os.F_OK):
            yield path


def _map_account(uid: int, gid: int) -> None:
    # user_namespaces(7): groups may only be mapped once nobody can change them.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text, encoding="ascii")


def _switch_loopback_on() -> None:
    """So that nobody listens there, as on any machine: it refuses, it is not unreachable."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", IFF_UP, b"")
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def _give_powers_up(libc: Any, capabilities: int) -> None:
    """Keep no power by which one could get out again: into other namespaces, other processes."""
    _call(libc, "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    # Effective, permitted, inheritable: the lower 32 and then the upper.
    data = struct.pack("6I", capabilities, capabilities, 0, 0, 0, 0)
    _call(libc, "capset", header, data)
