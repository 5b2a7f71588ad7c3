"""The virtual environments of the scripts: when they are made, and when they are made again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import environment
from scripts.environment import STAMP, Environment, child_environment, ensure, fingerprint


def test_an_environment_has_its_python_and_packages_where_it_says(tmp_path: Path) -> None:
    # pip is there already in a new environment, so that nothing is downloaded.
    environment = ensure(tmp_path / "venv", ["pip"], files=[])

    assert environment.python.exists()
    assert environment.program("pip").exists()
    assert (environment.packages / "pip").is_dir()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The environments that were made, quickly: without venv and pip."""
    folders: list[Path] = []

    def make(made: Environment) -> None:
        folders.append(made.folder)
        made.programs.mkdir(parents=True, exist_ok=True)
        made.python.unlink(missing_ok=True)
        made.python.symlink_to(sys.executable)

    monkeypatch.setattr(environment, "_make", make)
    monkeypatch.setattr(environment, "_install", lambda made, wanted: None)
    return folders


def test_an_environment_is_used_again_until_what_it_needs_changes(
    tmp_path: Path, made: list[Path]
) -> None:
    walk = tmp_path / "requirements.txt"
    walk.write_text("django\n")
    folder = tmp_path / "venv"

    first = ensure(folder, ["pip"], files=[walk])
    assert ensure(folder, ["pip"], files=[walk]) == first
    assert made == [folder]

    walk.write_text("django>=5.2\n")
    ensure(folder, ["pip"], files=[walk])
    ensure(folder, ["pip", "waitress"], files=[walk])
    assert made == [folder] * 3


def test_an_environment_whose_making_was_interrupted_is_made_again(
    tmp_path: Path, made: list[Path]
) -> None:
    folder = tmp_path / "venv"
    ensure(folder, ["pip"], files=[])
    (folder / STAMP).unlink()

    ensure(folder, ["pip"], files=[])
    assert made == [folder] * 2


def test_an_environment_whose_python_has_gone_is_made_again(
    tmp_path: Path, made: list[Path]
) -> None:
    folder = tmp_path / "venv"
    first = ensure(folder, ["pip"], files=[])
    first.python.unlink()
    first.python.symlink_to(tmp_path / "uninstalled")

    ensure(folder, ["pip"], files=[])
    assert made == [folder] * 2


def test_the_fingerprint_sees_every_part_and_where_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    first = fingerprint(["a", "b"], [file])

    assert fingerprint(["a", "b"], [file]) == first
    assert fingerprint(["ab"], [file]) != first
    file.write_text("two")
    assert fingerprint(["a", "b"], [file]) != first


def test_a_child_gets_nothing_that_the_shell_says_about_other_projects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "production.example.com")
    monkeypatch.setenv("DATABASE_URL", "postgres://production.example.com/live")
    monkeypatch.setenv("OPSMIGRATE_ENVIRONMENT", "production")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "other.settings")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")

    child = child_environment(DATABASE_URL="postgres://127.0.0.1/staging")

    assert child["DATABASE_URL"] == "postgres://127.0.0.1/staging"
    assert child["HTTPS_PROXY"] == "http://proxy.example.com"
    assert not {"PGHOST", "OPSMIGRATE_ENVIRONMENT", "DJANGO_SETTINGS_MODULE"} & set(child)
