"""PostgreSQL's programs where packages of the system, and installers, put them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

VERSIONED_FOLDERS = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/usr/local", "pgsql*/bin"),
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/usr/local/opt", "postgresql@*/bin"),
    ("/Library/PostgreSQL", "*/bin"),
    ("/Applications/Postgres.app/Contents/Versions", "*/bin"),
    ("C:/Program Files/PostgreSQL", "*/bin"),
)
SECONDS = 10


def installed_folders() -> Iterator[Path]:
    """Yield the usual folders of programs that are there, the newest of each place first."""
    for root, pattern in VERSIONED_FOLDERS:
        yield from sorted(Path(root).glob(pattern), reverse=True)


def extensions_of(bindir: Path) -> frozenset[str]:
    """Return the names of the extensions that a server of this folder of programs can create."""
    # A wheel is moved after it was built: what its pg_config says is of no use.
    found = {path.stem for path in bindir.parent.glob("share/**/extension/*.control")}
    if found:
        return frozenset(found)
    said = _said_by(bindir / "pg_config", "--sharedir")
    return frozenset(path.stem for path in Path(said).glob("extension/*.control") if said)


@lru_cache(maxsize=64)
def major_of(bindir: Path) -> int | None:
    """Return the major version of the server of this folder, None where it has none that runs."""
    version = re.search(r"\(PostgreSQL\) (\d+)", _said_by(bindir / "postgres", "--version"))
    return int(version[1]) if version else None


def _said_by(program: Path, option: str) -> str:
    try:
        done = subprocess.run(
            [program, option], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
