"""What `--keep` leaves running, written down for `--stop` and for whoever forgets the login."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from opsmigrate.pgtools.embedded import discard_all
from scripts.demonstration.background import answers
from scripts.environment import DEMO

FILE = DEMO / "kept.json"
# The same for a shell, which reads it with: set -a; . .demo/kept.env; set +a
VARIABLES = DEMO / "kept.env"
SERVERS = DEMO / "servers"
STOP_SECONDS = 10


@dataclass(frozen=True)
class Kept:
    """Where the kept site and database are, and who may log in."""

    site: str
    username: str
    password: str = field(repr=False)
    database_url: str = field(repr=False)


def write(kept: Kept, variables: Mapping[str, str]) -> Path:
    """Write it down for this user alone; the site runs for as long as the returned file is there.

    The variables are those of the site's environment.
    """
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    _write_privately(VARIABLES, "".join([*lines, f"SITE={shlex.quote(kept.site)}\n"]))
    _write_privately(FILE, json.dumps(asdict(kept), indent=1))
    return FILE


def _write_privately(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def stop() -> bool:
    """Stop what a run has left, kept or killed; tell whether there was anything."""
    site = ""
    with suppress(OSError, ValueError, KeyError):
        site = json.loads(FILE.read_text(encoding="utf-8"))["site"]
    anything = FILE.exists() or (SERVERS.is_dir() and any(SERVERS.iterdir()))
    FILE.unlink(missing_ok=True)
    VARIABLES.unlink(missing_ok=True)
    deadline = time.monotonic() + STOP_SECONDS
    while site and answers(f"{site}/healthz") and time.monotonic() < deadline:
        time.sleep(0.2)
    discard_all(SERVERS)
    return anything
