"""Virtual environments under .demo/, made once and made again when what they need has changed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
STAMP = "opsmigrate.stamp"
PIP_LINES = 6
# What the caller's shell says about other projects, servers and interpreters.
FOREIGN = ("PG", "PYTHON", "DJANGO_", "OPSMIGRATE_", "UAT_", "VIRTUAL_ENV", "DATABASE_URL")


class EnvironmentProblem(Exception):
    """The virtual environment cannot be made; one sentence says what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment that has what was asked for."""

    folder: Path

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """Return one of its programs."""
        return self.programs / (f"{name}.exe" if sys.platform == "win32" else name)

    @property
    def packages(self) -> Path:
        """The folder that pip installs into."""
        if sys.platform == "win32":
            return self.folder / "Lib" / "site-packages"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"


def ensure(folder: Path, wanted: Sequence[str], *, files: Sequence[Path]) -> Environment:
    """Return the environment in `folder` with `wanted` (pip's arguments) installed.

    One that exists is used as it is while the interpreter, `wanted` and the text of `files` are
    what they were.
    """
    environment = Environment(folder)
    stamp = fingerprint(wanted, files)
    if _is_usable(environment, stamp):
        return environment
    print(f"Making the environment {folder}; this is done once and takes a minute.", flush=True)
    _make(environment)
    _install(environment, wanted)
    (folder / STAMP).write_text(stamp, encoding="ascii")
    return environment


def fingerprint(wanted: Sequence[str], files: Sequence[Path]) -> str:
    """Return what an environment depends on, as one hash."""
    digest = hashlib.sha256()
    parts = [sys.version.encode(), *(each.encode() for each in wanted)]
    for part in (*parts, *(file.read_bytes() for file in files)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _is_usable(environment: Environment, stamp: str) -> bool:
    try:
        if (environment.folder / STAMP).read_text(encoding="ascii") != stamp:
            return False
        return _run([environment.python, "-c", ""]).returncode == 0
    except OSError:
        return False


def _make(environment: Environment) -> None:
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise EnvironmentProblem(
            f"this Python has no {' and no '.join(missing)} module, so it cannot make a virtual "
            f"environment; on Debian and Ubuntu type: apt install {_venv_package()}"
        )
    shutil.rmtree(environment.folder, ignore_errors=True)
    done = _run([sys.executable, "-m", "venv", environment.folder])
    if done.returncode:
        raise EnvironmentProblem(
            f"the virtual environment {environment.folder} cannot be made "
            f"(on Debian and Ubuntu it needs: apt install {_venv_package()}):\n{_end(done)}"
        )


def _venv_package() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


def _install(environment: Environment, wanted: Sequence[str]) -> None:
    # What is imported is compiled when it is; the rest never.
    options = ["--no-input", "--no-compile", "--quiet"]
    pip = [str(environment.python), "-m", "pip", "install", *options]
    done = _run([*pip, "--disable-pip-version-check", *wanted], cwd=ROOT)
    if done.returncode:
        raise EnvironmentProblem(
            "pip could not install what is needed; is the network there, and does pip reach its "
            f"index (PIP_INDEX_URL, HTTPS_PROXY)? It said:\n{_end(done)}"
        )


def _run(
    command: Sequence[str | Path], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(done.stdout.strip().splitlines()[-PIP_LINES:])


def child_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment for a child, without what is meant for other things."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return own | {"PYTHONUTF8": "1"} | variables
