"""The account an embedded server runs as: PostgreSQL's server programs refuse to run as root."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CANDIDATES = ("nobody", "postgres")
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
INHERITED_ON_WINDOWS = ("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE")


@dataclass(frozen=True)
class Account:
    """A user of the system that root drops to."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class ProgramResult:
    """How a program ended, with stdout and stderr in the order they were written."""

    returncode: int
    output: str


def server_account() -> Account | None:
    """Return the account to drop to; None where this process is not root and need not."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    names = " or ".join(CANDIDATES)
    raise LookupError(
        f"PostgreSQL does not run as root, and there is no user {names} to run it instead"
    )


def can_traverse(account: Account | None, folder: Path) -> bool:
    """Return whether the account can enter the folder and everything above it."""
    if account is None:
        return True
    folder = folder.resolve()
    return all(_may_search(account, each) for each in (folder, *folder.parents))


def _may_search(account: Account, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def give(account: Account | None, path: Path) -> None:
    """Make the account the owner of a file or folder that this process has just made."""
    if sys.platform != "win32" and account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def belongs_to(account: Account | None, path: Path) -> bool:
    """Return whether path belongs to the account (None: this process's) and is not a link."""
    if sys.platform == "win32":
        return path.exists()
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    owner = os.geteuid() if account is None else account.uid
    return status.st_uid == owner and not stat.S_ISLNK(status.st_mode)


def run_as(account: Account | None, command: Sequence[str | Path], *, cwd: Path) -> ProgramResult:
    """Run a program as the account, in a folder it can enter, with none of our secrets."""
    argv = [str(part) for part in command]
    # A file and not a pipe: a server that pg_ctl leaves behind would hold a pipe open for ever.
    with tempfile.TemporaryFile() as sink:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=_bare_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
        sink.seek(0)
        return ProgramResult(done.returncode, sink.read().decode(errors="replace"))


def _bare_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = INHERITED_ON_WINDOWS + INHERITED if sys.platform == "win32" else INHERITED
    kept = {name: environment[name] for name in names if name in environment}
    return kept | {"LC_ALL": "C"}
