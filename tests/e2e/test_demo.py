"""The demo's and the scripts' own answers, typed as a newcomer would, without the whole story."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import processes

ROOT = Path(__file__).resolve().parents[2]
VENV_PACKAGE = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the demo needs to begin with, in a folder of its own."""
    folder = tmp_path / "a checkout"
    for part in ("scripts", "opsmigrate/pgtools"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "opsmigrate" / "__init__.py", folder / "opsmigrate")
    (folder / "requirements.txt").write_text("no-such-package-as-this-one\n")
    return folder


def run(
    folder: Path, script: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"scripts/{script}", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("rows", ["0", "-5", "many", "1.5"])
def test_a_number_of_rows_that_is_none_is_refused_before_anything_is_made(
    checkout: Path, rows: str
) -> None:
    done = run(checkout, "demo.py", f"--rows={rows}")

    assert done.returncode == 2
    assert f"a number of rows from 1 on is needed, not '{rows}'" in done.stderr
    assert not (checkout / ".demo").exists()


@pytest.mark.parametrize("script", ["demo.py", "test.py"])
def test_without_ensurepip_one_sentence_names_the_package(checkout: Path, script: str) -> None:
    shadow = checkout / "shadow"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    (checkout / "pyproject.toml").touch()

    done = run(checkout, script, PYTHONPATH=str(shadow))

    assert done.returncode == 1
    assert done.stderr.strip() == (
        "this Python has no ensurepip module, so it cannot make a virtual environment; "
        f"on Debian and Ubuntu type: apt install {VENV_PACKAGE}"
    )


@pytest.mark.long
def test_without_a_network_one_sentence_says_what_pip_needs(checkout: Path) -> None:
    done = run(
        checkout,
        "demo.py",
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:1/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
    )

    assert done.returncode == 1
    sentence, *rest = done.stderr.strip().splitlines()
    assert sentence == (
        "pip could not install what is needed; is the network there, and does pip reach its "
        "index (PIP_INDEX_URL, HTTPS_PROXY)? It said:"
    )
    assert "No matching distribution found" in "\n".join(rest)
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named(checkout: Path) -> None:
    (checkout / ".demo").write_text("in the way")

    done = run(checkout, "demo.py")

    assert done.returncode == 1
    assert ".demo" in done.stderr
    assert "Traceback" not in done.stderr


def test_stopping_where_nothing_runs_says_so(checkout: Path) -> None:
    done = run(checkout, "demo.py", "--stop")

    assert (done.returncode, done.stdout.strip()) == (0, "Nothing was running.")


def test_a_second_demo_in_the_same_folder_does_not_disturb_the_first(checkout: Path) -> None:
    with processes.alone(checkout / ".demo" / "demo.lock") as free:
        assert free
        done = run(checkout, "demo.py")

    assert done.returncode == 1
    assert done.stderr.strip() == "another demo is under way here; end it with Ctrl-C first"


def test_run_uat_without_django_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "scripts/run_uat.py", "--settings=staging_settings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Django is not installed here; type: python -m pip install -r requirements.txt"
    )
