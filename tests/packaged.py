"""The wheel and the sdist, built once, and a folder that the wheel is installed into."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.package import build
from tests.conftest import ROOT

# A day of 2026; any would do.
EPOCH = 1772323200


@dataclass(frozen=True)
class Built:
    """The archives of a build."""

    wheel: Path
    sdist: Path


def copy_of_source(target: Path) -> Path:
    """Copy what git knows, and what it would: a build leaves its traces in the folder."""
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def build_in(folder: Path, source: Path | None = None) -> Built:
    """Build from a copy in a folder of its own, unless there is one already."""
    dist = folder / "dist"
    source = source or copy_of_source(folder / "source")
    sdist, wheel = sorted(build(Path(sys.executable), source, dist, EPOCH), key=_is_wheel)
    return Built(wheel=wheel, sdist=sdist)


def _is_wheel(path: Path) -> bool:
    return path.suffix == ".whl"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return the archives."""
    return build_in(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing that it needs, into a folder."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(built.wheel)]
    subprocess.run(command, check=True)
    return target
