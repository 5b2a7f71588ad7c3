"""The rehearsal's process: started without what leads outside, watched, and ended in time."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.run import dying_with_us
from opsmigrate.pgtools.temporary_folder import temporary_folder
from opsmigrate.preflight.rehearsal.credentials import taken_out
from opsmigrate.preflight.rehearsal.progress_file import RehearsalProgress, read_progress
from opsmigrate.preflight.rehearsal.rehearsal_result import WITHOUT
from opsmigrate.preflight.rehearsal.self_deadlock import SelfDeadlock, Waiting, runs_alone
from opsmigrate.progress import Progress

# Within what an interrupt may take as a whole.
SECONDS_TO_END = 2
SECONDS_BETWEEN_LOOKS = 0.5
CHILD = "opsmigrate.preflight.rehearsal.child"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a rehearsal ends that does not end by itself."""

    seconds: float
    waits: SelfDeadlock
    # What an earlier run on the same copy has used of the seconds.
    spent: float = 0.0


class _StoppedError(Exception):
    """It was ended by us; `certain`: migrate would never end either."""

    def __init__(self, words: str, *, certain: bool, sql: str | None = None) -> None:
        super().__init__(words)
        self.certain = certain
        self.sql = sql


def run_child(
    job: Mapping[str, Any], environment: Mapping[str, str], limits: Limits, progress: Progress
) -> dict[str, Any]:
    """Return what the process says of its job, or of how far it came within the limits.

    Raises UndecidedError where it ended without a word. Whatever happens, it is gone afterwards.
    """
    # What code writes to its temporary folder goes with this one.
    with temporary_folder() as folder:
        child = _start(environment, str(folder))
        try:
            stdout, words = _finish(child, {**job, "folder": str(folder)}, limits, progress)
        except _StoppedError as stopped:
            return _as_far_as(read_progress(folder), stopped)
    try:
        body: dict[str, Any] = json.loads(stdout)
    except ValueError:
        lines = words.strip().splitlines()
        last = lines[-1] if lines else f"exit status {child.returncode}"
        missing = taken_out(environment, last)
        if missing:
            [name] = missing[:1]
            raise UndecidedError(
                f"the settings need {name}, which the process of the rehearsal has not got: it "
                f"could lead to the live database ({last})",
                id="rehearsal-broken",
                hint=f"let the settings do without it, as in os.environ.get({name!r}); or run "
                "without a rehearsal",
                steps=(WITHOUT,),
            ) from None
        raise UndecidedError(
            f"the process of the rehearsal ended prematurely: {last}",
            id="rehearsal-broken",
            hint=(
                "check that the settings can be imported in a separate process; or run without "
                "a rehearsal"
            ),
            steps=(WITHOUT,),
        ) from None
    return body


def _start(environment: Mapping[str, str], folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*dying_with_us(), sys.executable, "-m", CHILD],
        env={**environment, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whatever we have open: the examined database's sockets, say.
        close_fds=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _finish(
    child: subprocess.Popen[str], job: Mapping[str, Any], limits: Limits, progress: Progress
) -> tuple[str, str]:
    """Hand the job over, wait, and return what the child said; end it on an exception."""
    begun = time.monotonic()
    given: str | None = json.dumps(job, default=str)
    try:
        while True:
            try:
                return child.communicate(given, timeout=SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                given = None
            _look(child, Path(job["folder"]), time.monotonic() - begun, limits, progress)
    except BaseException:
        child.terminate()
        try:
            child.communicate(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
        raise


def _look(
    child: subprocess.Popen[str], folder: Path, seconds: float, limits: Limits, progress: Progress
) -> None:
    waiting = limits.waits.look()
    if waiting is not None:
        raise _waits(waiting, certain=runs_alone(child.pid))
    if limits.spent + seconds > limits.seconds:
        raise _StoppedError(
            f"it did not end within {limits.seconds:g} s (REHEARSE_MAX_SECONDS)", certain=False
        )
    far = read_progress(folder)
    where = " ".join(filter(None, (far.migration, far.operation))) or "starting"
    progress.update(f"{where}: {seconds:.0f} s of at most {limits.seconds:g} s")


def _waits(waiting: Waiting, *, certain: bool) -> _StoppedError:
    return _StoppedError(waiting.words(), certain=certain, sql=waiting.sql)


def _as_far_as(far: RehearsalProgress, stopped: _StoppedError) -> dict[str, Any]:
    failure = None
    refused = far.refused
    if stopped.certain:
        failure = {
            "migration": far.migration,
            "operation": far.operation,
            "after_the_plan": False,
            "sql": stopped.sql,
            "error": "it waits for itself",
            "words": str(stopped),
            "sqlstate": None,
            "asks": False,
            "unlike": False,
        }
    else:
        place = {"migration": far.migration, "operation": far.operation}
        refused = [*refused, {"what": str(stopped), **place}]
    return {
        **asdict(far),
        "failure": failure,
        "refused": refused,
        "statements": [],
        "asking": [],
        "stopped": True,
        "old_release": None,
        "cure_failed": None,
        "network": None,
        "why_network": None,
    }
