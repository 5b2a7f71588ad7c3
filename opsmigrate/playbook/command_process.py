"""A command of the project as a child process: its report, its exit code, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsmigrate.json_files import UnreadableError, read_object
from opsmigrate.pgtools.project_process import project_environment
from opsmigrate.pgtools.run import dying_with_us
from opsmigrate.pgtools.temporary_folder import temporary_folder
from opsmigrate.playbook.child_output import ChildOutput

SECONDS_BETWEEN_LOOKS = 0.25
# A command that is told to end writes its report first.
SECONDS_TO_END = 10.0
HOOK_SECONDS = 300.0


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended: its exit code, negative for a signal, and its report, if it has one."""

    exit_code: int
    report: Mapping[str, Any] = field(default_factory=dict)
    last_words: str = ""

    @property
    def ids(self) -> list[str]:
        """Return the ids of its findings."""
        return [each["id"] for each in self.report.get("findings", ())]

    @property
    def summary(self) -> str:
        """Return its one sentence."""
        said = self.report.get("facts", {}).get("summary")
        return str(said or self.last_words or f"it ended with {self.exit_code}")


def run_command(
    arguments: Sequence[str],
    run_id: str,
    *,
    say: Callable[[str], None],
    look: Callable[[], None] = lambda: None,
    variables: Mapping[str, str] | None = None,
) -> CommandEnd:
    """Run a command of manage.py to its end, with its own report; it ends before we do.

    `look` is called again and again meanwhile; where it raises, the command is ended.
    """
    # Where we are killed, the next run deletes it.
    with temporary_folder() as folder:
        file = folder / "report.json"
        argv = [*_manage(), *arguments, "--format", "json", "--output", str(file)]
        environment = project_environment(OPSMIGRATE_RUN_ID=run_id, **(variables or {}))
        code, last = _run(argv, environment, say, look=look)
        report: Mapping[str, Any] = {}
        with suppress(FileNotFoundError, UnreadableError):
            report = read_object(file)
        return CommandEnd(code, report, last)


def run_hook(
    argv: Sequence[str], variables: Mapping[str, str], *, say: Callable[[str], None]
) -> CommandEnd:
    """Run a command of the settings, without a shell, for five minutes at most.

    Raises OSError where it cannot be started.
    """
    code, last = _run(list(argv), {**os.environ, **variables}, say, seconds=HOOK_SECONDS)
    return CommandEnd(code, last_words=last)


def _run(
    argv: list[str],
    environment: Mapping[str, str],
    say: Callable[[str], None],
    *,
    look: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> tuple[int, str]:
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*dying_with_us(), *argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            close_fds=True,
            # Ctrl-C on a terminal is for us; we end it.
            start_new_session=True,
        )
        output = ChildOutput(words, say)
        left = seconds
        try:
            while True:
                try:
                    process.wait(SECONDS_BETWEEN_LOOKS)
                    break
                except subprocess.TimeoutExpired:
                    output.tell()
                    look()
                left = None if left is None else left - SECONDS_BETWEEN_LOOKS
                if left is not None and left < 0:
                    _end(process)
                    break
        except BaseException:
            _end(process)
            raise
        finally:
            output.tell()
        return process.returncode, output.last


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tell it to end, and end it where it does not hear; its own children end with it."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if sys.platform != "win32":
        # A shell ends without what it runs; they are of the session that was begun for it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _manage() -> list[str]:
    """Return how this very process was started: by its manage.py, else by `python -m django`."""
    script = Path(sys.argv[0])
    by_script = script.suffix == ".py" and script.name != "__main__.py" and script.is_file()
    return [sys.executable, str(script)] if by_script else [sys.executable, "-m", "django"]
