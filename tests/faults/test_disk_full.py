"""No room on the disk: a sentence, and nothing half written; what was there stays as it was."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from tests.backups import backup, names
from tests.conftest import ROOT, Ops, environment_for, execute, url_of
from tests.json_reports import parsed

pytestmark = pytest.mark.adversary

# Each command that writes a file, with the bytes after which the system takes no more.
WRITERS = {
    "the dump": (["backup_db", "--directory", "{}"], 2_000),
    "the dump of a folder": (["backup_db", "--directory", "{}", "--jobs", "2"], 500),
    "the manifest": (["backup_db", "--directory", "{}", "--exclude-table-data", "public.*"], None),
    "the baseline": (["run_uat", "--save-baseline", "{}/before.json"], 500),
    "the reports": (["run_uat", "--check", "migrations-on-disk", "--report-dir", "{}"], 500),
    "the output": (["backup_db", "--list", "--output", "{}/out.txt"], 20),
}


@pytest.fixture
def large(staging: str) -> str:
    """Return the alias of a database whose dump does not become small."""
    rows = "SELECT gen_random_uuid()::text AS t FROM generate_series(1, 20000)"
    execute(connections[staging], f"CREATE TABLE noise AS {rows}")
    return staging


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a disk of 200 KB."""
    at = tmp_path / "small"
    at.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(at)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here, and so no full one tried: {done.stderr}")
    yield at
    subprocess.run(["/bin/umount", str(at)], check=True)


def limited(alias: str, argv: list[str], most: int) -> tuple[int, str, str]:
    """Run a command whose files may have so many bytes; return its code, stdout and stderr."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        [sys.executable, "-B", "manage.py", *argv, "--format", "json"],
        cwd=ROOT, env=environment_for(url_of(alias)), capture_output=True, text=True,
        timeout=100, check=False, preexec_fn=limit,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("what", [name for name, (_, most) in WRITERS.items() if most])
def test_a_file_that_may_not_grow_is_not_left_half_written(
    large: str, ops: Ops, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "backups"
    backup(ops, large, folder)
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    argv, most = WRITERS[what]

    code, stdout, stderr = limited(large, [each.format(folder) for each in argv], most or 0)

    assert code == 3, stdout + stderr
    assert "Traceback" not in stderr
    assert "internal error" not in stdout + stderr
    if what not in ("the output", "the reports"):
        assert parsed(stdout)["findings"][0]["id"] in (
            "operating-system-error",
            "dump-failed",
        ), stdout
    else:
        assert "the report cannot be written" in stderr
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


@pytest.mark.system
@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    large: str, ops: Ops, small: Path, what: str
) -> None:
    argv, _ = WRITERS[what]
    # Where only the manifest is to find no room, the dump has just enough.
    room = 60_000 if what == "the manifest" else 0
    with (small / "ballast").open("wb") as stream:
        left = 200 * 1024 - room
        while left > 0:
            try:
                left -= stream.write(b"x" * 4096)
                stream.flush()
            except OSError:
                break
    before = names(small)
    started = [sys.executable, "-B", "manage.py", *(each.format(small) for each in argv)]
    done = subprocess.run(
        [*started, "--format", "json"], cwd=ROOT, env=environment_for(url_of(large)),
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    said = done.stdout + done.stderr
    assert done.returncode in (2, 3, 4), said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert names(small) == before


def test_a_device_that_is_full_is_a_sentence(staging: str, ops: Ops) -> None:
    answer = ops("backup_db", database=staging, list=True, output="/dev/full")

    assert answer.code == 3
    assert "the report cannot be written: [Errno 28] No space left on device" in answer.stderr
