"""Other Pythons on this machine, and which Django goes with which."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# What the project is tested on; docs/versions.md and the classifiers say the same.
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6.0", "6.1")
# Django 6.0 and newer (https://docs.djangoproject.com/en/6.0/faq/install/).
OLDEST_FOR_DJANGO_6 = (3, 12)


def own_version() -> str:
    """Return the version of this interpreter, as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def django_for(python: str) -> str:
    """Return the newest supported Django that runs on a Python."""
    major, minor = python.split(".")
    return DJANGOS[-1] if (int(major), int(minor)) >= OLDEST_FOR_DJANGO_6 else DJANGOS[0]


def newest() -> tuple[str, Path] | None:
    """Return the newest supported Python at hand and its interpreter; None where there is none."""
    for version in reversed(PYTHONS):
        found = Path(sys.executable) if version == own_version() else find(version)
        if found is not None:
            return version, found
    return None


def find(version: str) -> Path | None:
    """Return the interpreter of a version such as 3.13: on PATH, of pyenv, of Windows' launcher."""
    return next((path for path in _candidates(version) if _is_version(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    for root in (os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")):
        if root:
            yield from sorted(Path(root, "versions").glob(f"{version}.*/bin/python"), reverse=True)
    if launcher := shutil.which("py"):
        yield from _by_launcher(launcher, version)


def _by_launcher(launcher: str, version: str) -> Iterator[Path]:
    show = "import sys; print(sys.executable)"
    try:
        done = _run([launcher, f"-{version}", "-c", show])
    except OSError:
        return
    if done.returncode == 0:
        yield Path(done.stdout.strip())


def _is_version(path: Path, version: str) -> bool:
    """Return whether this is an interpreter of that version: a shim of pyenv may lead nowhere."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = _run([str(path), "-c", show])
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
