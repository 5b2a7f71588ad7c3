"""A client program as a child process that never outlives us and whose words are kept."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from shutil import which
from typing import IO

from opsmigrate.interrupts import seconds_left
from opsmigrate.pgtools.libpq import ChildEnvironment

# pg_dump, told to end, asks the server to cancel, and waits for a silent one without end.
SECONDS_TO_END = 2.0
SECONDS_TO_END_AT_LEAST = 0.2


class ClientError(Exception):
    """A client program failed; the message is its own last words."""


@contextmanager
def started(
    argv: Sequence[str],
    environment: ChildEnvironment,
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the running program; at the end of the block wait for it, or end it on an exception.

    Raises ClientError where it exits with another status than 0.
    """
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*dying_with_us(), *argv],
            env=dict(environment.variables),
            pass_fds=environment.descriptors,
            stdin=stdin,
            stdout=stdout,
            stderr=words,
            # A group of its own: Ctrl-C on a terminal is for us, and pg_dump's workers end with it.
            start_new_session=True,
        )
        try:
            yield process
            process.wait()
        except BaseException:
            end(process)
            raise
        finally:
            if process.stdout:
                process.stdout.close()
        if process.returncode != 0:
            raise ClientError(_last_words(words, process.returncode))


def run(
    argv: Sequence[str], environment: ChildEnvironment, *, meanwhile: Callable[[], None]
) -> None:
    """Run a program to its end, calling `meanwhile` twice a second; raises ClientError."""
    with started(argv, environment) as process:
        while process.poll() is None:
            meanwhile()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue


def dying_with_us() -> list[str]:
    """Return what to put before an argv so that the program ends when we are killed."""
    # After a SIGKILL of ours nobody else would stop the child. Not through preexec_fn, which is
    # unsafe with threads.
    setpriv = which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that leads a session of its own, and what it started; it has little time."""
    process.terminate()
    try:
        process.wait(max(seconds_left(SECONDS_TO_END), SECONDS_TO_END_AT_LEAST))
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_words(words: IO[bytes], status: int) -> str:
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    telling = [line for line in lines if "error:" in line or "FATAL" in line]
    return "; ".join((telling or lines)[-3:]) or f"{_ending(status)} without a word"


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-status).name}"
    return f"ended by signal {-status}"
