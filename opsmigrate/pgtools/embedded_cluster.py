"""The files of an embedded server: where they lie, how they are made, found again and deleted."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from opsmigrate.pgtools.account import (
    Account,
    ProgramResult,
    belongs_to,
    can_traverse,
    give,
    run_as,
)

RECORD = "server.json"
SUPERUSER = "postgres"
LOCALES = ("C.UTF-8", "C")
# As of this one, initdb takes settings, and passwords are hashed as often as is set.
SETS_AT_INITDB = 16
NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "__pycache__")


class EmbeddedServerError(Exception):
    """The embedded server cannot be found, made, started or stopped; one sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The files of one server.

    `home` is where the caller wants them. They lie in `place`: the same, or a temporary folder
    where root's `home` is out of reach for the account that the server runs as. `bindir` is the
    wheel's folder of programs.
    """

    major: int
    bindir: Path
    home: Path
    place: Path
    password: str = field(repr=False)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.place / "cluster" / "data"

    @property
    def log(self) -> Path:
        """The server's log since its last start."""
        return self.place / "cluster" / "server.log"


def recorded_cluster(home: Path, account: Account | None) -> Cluster | None:
    """Return what an earlier run made for `home`, if it is whole, there, and the account's."""
    try:
        record = json.loads((home / RECORD).read_text(encoding="utf-8"))
        cluster = Cluster(
            major=int(record["major"]),
            bindir=Path(record["bindir"]),
            home=home,
            place=Path(record["place"]),
            password=str(record["password"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    # A temporary folder that was cleaned away could have been made anew by anybody.
    ours = cluster.place == home or belongs_to(None, cluster.place)
    whole = ours and (cluster.data / "PG_VERSION").is_file()
    return cluster if whole and belongs_to(account, cluster.data) else None


def make_cluster(
    home: Path, *, major: int, bindir: Path, account: Account | None, durable: bool
) -> Cluster:
    """Make an empty cluster for `home`, in the place of whatever incomplete one is there."""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    home.chmod(0o755)
    place = home if can_traverse(account, home) else _temporary_place(account, major)
    password = secrets.token_urlsafe(24)
    cluster = Cluster(major=major, bindir=bindir, home=home, place=place, password=password)
    try:
        cluster.data.parent.mkdir(mode=0o700)
        give(account, cluster.data.parent)
        _initdb(cluster, server_programs(cluster, account), account, durable=durable)
        write_record(cluster)
    except BaseException:
        delete_cluster(cluster)
        raise
    return cluster


def delete_cluster(cluster: Cluster) -> None:
    """Delete a stopped server's files."""
    for folder in {cluster.place, cluster.home}:
        shutil.rmtree(folder, ignore_errors=True)


def server_programs(cluster: Cluster, account: Account | None) -> Path:
    """Return the folder of programs to run as the account: the wheel's, or a copy it can reach."""
    bindir = cluster.bindir
    if account is None or _can_run(bindir, account):
        return bindir
    version = run_as(None, [bindir / "postgres", "--version"], cwd=cluster.place).output
    root = cluster.place / f"programs-{version.split()[-1]}"
    copied = root / bindir.relative_to(bindir.parents[2])
    if not copied.exists():
        _copy_programs(bindir, root)
    return copied


@lru_cache(maxsize=64)
def _can_run(bindir: Path, account: Account) -> bool:
    try:
        return run_as(account, [bindir / "initdb", "--version"], cwd=Path("/")).returncode == 0
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EINVAL):
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and root may not become {account.name} here; "
                "run this as an ordinary user"
            ) from error
        if error.errno == errno.EACCES:
            return False
        raise


def _copy_programs(bindir: Path, root: Path) -> None:
    """Copy one major with the libraries beside it: the programs find those by relative path."""
    install, package = bindir.parent, bindir.parents[1]
    unfinished = root.with_name(root.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    libraries = (package / ".dylibs", package.with_name(package.name + ".libs"))
    for folder in (install, *filter(Path.is_dir, libraries)):
        target = unfinished / folder.relative_to(package.parent)
        shutil.copytree(folder, target, symlinks=True, ignore=NOT_NEEDED)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    unfinished.rename(root)


def _temporary_place(account: Account | None, major: int) -> Path:
    place = Path(tempfile.mkdtemp(prefix=f"opsmigrate-pg{major}-"))
    place.chmod(0o755)
    if can_traverse(account, place):
        return place
    place.rmdir()
    name = account.name if account else ""
    raise EmbeddedServerError(
        f"the user {name}, as which PostgreSQL runs here, can enter neither the folder meant for "
        f"its data nor {place.parent}; set TMPDIR to a folder that every user can enter"
    )


def _initdb(cluster: Cluster, programs: Path, account: Account | None, *, durable: bool) -> None:
    password_file = cluster.place / "password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(cluster.password + "\n")
        give(account, password_file)
        done = _initdb_with_locale(
            [
                programs / "initdb",
                f"--pgdata={cluster.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-instructions",
                *([] if durable else ["--no-sync", *_quick_logins(cluster.major)]),
            ],
            cluster,
            account,
        )
    finally:
        password_file.unlink()
    if done.returncode:
        raise EmbeddedServerError(
            f"initdb of PostgreSQL {cluster.major} failed in {cluster.data}:\n"
            + done.output.strip()
        )


def _quick_logins(major: int) -> list[str]:
    """Return what spares each login 2 ms: repeated hashing is for passwords that can be guessed."""
    return ["--set=scram_iterations=1"] if major >= SETS_AT_INITDB else []


def _initdb_with_locale(
    command: Sequence[str | Path], cluster: Cluster, account: Account | None
) -> ProgramResult:
    """Take the first locale that the system has."""
    for locale in LOCALES:
        done = run_as(account, [*command, f"--locale={locale}"], cwd=cluster.data.parent)
        if done.returncode == 0 or "locale" not in done.output:
            break
    return done


def write_record(cluster: Cluster) -> None:
    """Write down what `recorded_cluster` reads."""
    record = {
        "major": cluster.major,
        "bindir": str(cluster.bindir),
        "place": str(cluster.place),
        "password": cluster.password,
    }
    unfinished = cluster.home / f"{RECORD}.part"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(record, stream)
    unfinished.replace(cluster.home / RECORD)
