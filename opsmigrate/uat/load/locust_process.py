"""Locust as a child process: its command line, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.project_process import project_environment
from opsmigrate.pgtools.run import dying_with_us, end
from opsmigrate.pgtools.temporary_folder import reap_temporary_folders, temporary_folder
from opsmigrate.uat.load.figures import Kind, kinds_of

LOCUSTFILE = Path(__file__).resolve().parent / "locustfile.py"
# What was asked before the end is still waited for so long: left out, the slowest answers would
# not count, and of a site that is slower than the run not one.
ANSWER_SECONDS = 30
# It starts, and stops, its workers too.
GRACE_SECONDS = 60 + ANSWER_SECONDS


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much load is put on which site, and from where."""

    base_url: str
    users: int
    seconds: int
    processes: int | None
    expect_workers: int | None


def run_locust(load: Load) -> tuple[list[dict[str, Any]], tuple[Kind, ...]]:
    """Run locust to its end, and return its entries and the kinds of its errors.

    Raises UndecidedError where it leaves none.
    """
    reap_temporary_folders()
    with temporary_folder() as folder:
        output, errors = folder / "locust", folder / "errors.json"
        status, last = _run(_command(load, output), errors, load.seconds + GRACE_SECONDS)
        try:
            written = next(folder.glob("locust*"))
            entries: list[dict[str, Any]] = json.loads(written.read_text(encoding="utf-8"))
        except (StopIteration, ValueError) as error:
            raise _not_run(f"locust ended with {status}: {last}") from error
        found = json.loads(errors.read_text(encoding="utf-8")) if errors.exists() else []
        return entries, kinds_of(found)


def _command(load: Load, output: Path) -> list[str]:
    """Return the command line of locust; no secret is part of it: it reads the settings itself."""
    line = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"]
    line += ["--host", load.base_url, "--users", str(load.users)]
    line += ["--spawn-rate", str(max(1, load.users // 2)), "--run-time", f"{load.seconds}s"]
    line += ["--stop-timeout", f"{ANSWER_SECONDS}s"]
    line += ["--only-summary", "--json-file", str(output), "--exit-code-on-error", "0"]
    if load.expect_workers:
        line += ["--master", "--expect-workers", str(load.expect_workers)]
    elif load.processes:
        line += ["--processes", str(load.processes)]
    return line


def _run(argv: Sequence[str], errors: Path, seconds: float) -> tuple[int, str]:
    """Return what it ended with, and its last words; it ends before we do."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*dying_with_us(), *argv],
            env=project_environment(OPSMIGRATE_LOAD_ERRORS=str(errors)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            # Ctrl-C on a terminal is for us; we end it, with its workers.
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            end(process)
            raise _not_run(f"locust did not end within {seconds:g} s") from error
        except BaseException:
            end(process)
            raise
        words.seek(0)
        lines = words.read().decode(errors="replace").strip().splitlines()
        return process.returncode, (lines or ["it said nothing"])[-1]


def _not_run(why: str) -> UndecidedError:
    return UndecidedError(
        why,
        id="load-not-run",
        hint="see whether locust works here, by itself and with these settings",
    )
