"""A folder that is kept for the next run: used by one, and of no worth after its time."""

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opsmigrate.pgtools import kept_folder as module
from opsmigrate.pgtools.kept_folder import RECORD, kept_folder, reap_kept_folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is kept there")
HOLDS = """
import sys, tempfile
from opsmigrate.pgtools.kept_folder import kept_folder
tempfile.tempdir = sys.argv[1]
with kept_folder("a") as folder:
    print(folder is not None, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the folders be in one of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def later(hours: float) -> datetime:
    """Return the time in so many hours."""
    return datetime.now(timezone.utc) + timedelta(hours=hours)


def keep(name: str, *, hours: float) -> Path:
    """Keep a folder with a record of one word, for so many hours."""
    with kept_folder(name) as folder:
        assert folder is not None
        folder.path.mkdir()
        folder.keep({"word": "secret"}, expires=later(hours))
        return folder.path


def record_of(name: str) -> object:
    """Return the word that the record has for the next run; None where it has none."""
    with kept_folder(name) as folder:
        assert folder is not None
        return folder.record and folder.record["word"]


def test_what_was_kept_is_there_for_the_next_run_and_for_nobody_else() -> None:
    path = keep("a", hours=1)
    assert record_of("a") == "secret"
    assert (path / RECORD).stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_one_run_at_a_time_uses_it_and_a_killed_one_lets_go(own_place: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(own_place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with kept_folder("a") as folder, kept_folder("b") as other:
            assert (folder is None, other is None) == (True, False)
        holder.kill()
    with kept_folder("a") as folder:
        assert folder is not None


@pytest.mark.parametrize("how", ["expired", "another boot", "no record"])
def test_what_expired_or_is_of_another_boot_counts_as_nothing_and_is_deleted(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep("a", hours=-1 if how == "expired" else 1)
    stays = keep("b", hours=1)
    if how == "another boot":
        body = json.loads((path / RECORD).read_text())
        (path / RECORD).write_text(json.dumps({**body, "boot": "before"}))
    elif how == "no record":
        (path / RECORD).unlink()
    assert record_of("a") is None
    reap_kept_folders()
    assert (path.exists(), stays.exists()) == (False, True)


def test_without_locks_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "flock", None)
    with kept_folder("a") as folder:
        assert folder is None


def test_nothing_is_left_of_a_folder_that_keeps_nothing(own_place: Path) -> None:
    with kept_folder("a", new=False) as folder:
        assert folder is None
    with kept_folder("a") as folder:
        assert folder is not None
    assert list(own_place.iterdir()) == []
