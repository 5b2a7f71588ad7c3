"""stderr and stdout that cannot be written: no verdict changes, and no run ends of it."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import cycle, product
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment_for, query, url_of
from tests.json_reports import parsed
from tests.tiers import one_in_core

# Each with what the shell puts after the command.
STDERRS = {
    "closed": "2>&-",
    "full": "2>/dev/full",
    "a pipe that nobody reads": "2>&1 >/dev/null | true",
}
COMMANDS = {
    "preflight_migrate": 1,
    "backup_db --verify=restore --directory=$FOLDER": 0,
    "seed_payment_id": 0,
    "run_uat --tag=database --report-dir=$FOLDER": 1,
    "verify_backup none": 2,
}


def shell(
    line: str, *, url: str | None, folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the line; its code is that of the command in it, also before a pipe."""
    env = environment_for(url, FOLDER=str(folder), PYTHON=sys.executable, PYTHONDEVMODE="1", **more)
    argv = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def matrix() -> list[object]:
    """Return each command with each stderr; in the core tier each of them once."""
    pairs = list(product(COMMANDS, STDERRS))
    core = list(zip(COMMANDS, cycle(STDERRS)))
    return [pytest.param(*each, marks=() if each in core else pytest.mark.faults) for each in pairs]


@pytest.mark.parametrize(("command", "how"), matrix())
def test_a_stderr_that_cannot_be_written_changes_no_verdict(
    command: str, how: str, staging: str, tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    line = f"$PYTHON manage.py {command} --format=json --output={told} {STDERRS[how]}"
    done = shell(line, url=url_of(staging), folder=tmp_path)

    assert done.returncode == COMMANDS[command], (done, told.read_text())
    assert parsed(told.read_text())["exit_code"] == COMMANDS[command]


def test_a_seed_whose_stderr_breaks_half_way_fills_every_row(staging: str, tmp_path: Path) -> None:
    line = "$PYTHON manage.py seed_payment_id --batch-rows=20 2>&1 >/dev/null | head -n 1"
    done = shell(line, url=url_of(staging), folder=tmp_path)

    assert done.returncode == 0, done
    [(left,)] = query(staging, "SELECT count(*) - count(payment_id) FROM treasury_payment")
    assert left == 0


STDOUTS = {
    ">&-": "stdout is closed",
    ">/dev/full": "[Errno 28] No space left on device",
    "| true": "[Errno 32] Broken pipe",
}


UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
# As text and as JSON, with and without a buffer; in the core tier each of them once.
WAYS = [("", {}), ("--format=json", UNBUFFERED), ("--format=json", {}), ("", UNBUFFERED)]


@pytest.mark.parametrize(("options", "environment"), one_in_core(WAYS, core=2))
@pytest.mark.parametrize("stdout", STDOUTS)
def test_a_stdout_that_cannot_be_written_is_told_in_a_sentence_with_the_report(
    stdout: str, options: str, environment: dict[str, str], staging: str, tmp_path: Path
) -> None:
    line = f"$PYTHON manage.py seed_payment_id --dry-run {options} {stdout}"
    done = shell(line, url=url_of(staging), folder=tmp_path, **environment)

    assert (done.returncode, done.stdout) == (3, "")
    told = f"the report cannot be written: {STDOUTS[stdout]}; its text is:\nPASSED"
    assert done.stderr.startswith(told), done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("closed", [">&- --output=/dev/stdout", "2>&- --output=/dev/stderr"])
def test_a_report_into_a_stream_that_is_closed_is_not_written_and_no_success(
    closed: str, staging: str, tmp_path: Path
) -> None:
    done = shell(
        f"$PYTHON manage.py seed_payment_id --dry-run {closed}",
        url=url_of(staging),
        folder=tmp_path,
    )

    assert done.returncode == 2, done
    told = done.stdout + done.stderr
    assert f"cannot write {closed.partition('=')[2]}" in told


def test_nothing_is_opened_in_the_place_of_a_closed_stream(staging: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "looking.py").write_text(
        "import atexit, os\n"
        "from staging_settings import *\n"
        f"atexit.register(lambda: open({str(seen)!r}, 'w').write("
        "','.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3))))\n"
    )
    line = "$PYTHON manage.py seed_payment_id --dry-run --settings=looking <&- >&- 2>&-"
    environment = {"PYTHONPATH": str(tmp_path)}
    done = shell(line, url=url_of(staging), folder=tmp_path, **environment)

    assert done.returncode == 3
    assert seen.read_text() == ",".join([os.devnull, os.sep, os.sep])
