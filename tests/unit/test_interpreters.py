"""How scripts/test.py finds another Python, and which Django it gives it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import interpreters
from scripts import test as script

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def stand_in(path: Path, version: str) -> Path:
    """Write a program that answers as the interpreter of a version does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has no Python but this one."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_python_on_the_path_is_found(nowhere: Path) -> None:
    python = stand_in(nowhere / "bin" / "python3.13", "3.13")

    assert interpreters.find("3.13") == python
    assert interpreters.find("3.12") is None


def test_a_shim_that_leads_nowhere_is_none_and_pyenv_is_asked(nowhere: Path) -> None:
    stand_in(nowhere / "bin" / "python3.13", "'pyenv: python3.13: command not found' >&2; exit 127")
    python = stand_in(nowhere / "pyenv" / "versions" / "3.13.4" / "bin" / "python", "3.13")

    assert interpreters.find("3.13") == python


def test_the_newest_is_at_least_this_one(nowhere: Path) -> None:
    version = interpreters.own_version()
    assert version in interpreters.PYTHONS

    assert interpreters.newest() == (version, Path(sys.executable))
    last = interpreters.PYTHONS[-1]
    stand_in(nowhere / "bin" / f"python{last}", last)
    newest = interpreters.newest()
    assert newest is not None
    assert newest[0] == last


@pytest.mark.parametrize(
    ("python", "django"), [("3.10", "5.2"), ("3.11", "5.2"), ("3.12", "6.1"), ("3.13", "6.1")]
)
def test_each_python_has_the_newest_django_that_runs_on_it(python: str, django: str) -> None:
    assert interpreters.django_for(python) == django


def test_a_python_that_is_not_there_is_one_sentence(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main_with(["--python", "3.9"]) == 1
    assert capsys.readouterr().err == (
        "there is no Python 3.9 on the PATH, of pyenv or of the launcher `py`\n"
    )
