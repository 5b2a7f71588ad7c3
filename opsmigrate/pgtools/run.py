"""A client program as a child process that never outlives us and whose words are kept."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import dropwhile
from pathlib import Path
from shutil import which
from typing import IO

from opsmigrate.interrupts import seconds_left
from opsmigrate.pgtools.libpq import ChildEnvironment

# pg_dump, told to end, asks the server to cancel, and waits for a silent one without end.
SECONDS_TO_END = 2.0
SECONDS_TO_END_AT_LEAST = 0.2
SECONDS_TO_FOLLOW = 1
# What the server calls a part of its words, in any language, and two blanks.
SAID = re.compile(r"\w[^:]*:  ")
NOT_EXECUTED = 126
# psql's words with VERBOSITY verbose: the severity in any language, the code, the message.
WITH_CODE = re.compile(r"^(.*?: \S+:  )([0-9A-Z]{5}): ")


class ClientError(Exception):
    """A client program failed; the message is its own last words.

    `status` is what it ended with, negative for a signal; None where it ended well, and what it
    wrote was not whole. `sqlstate` is the server's code, where the program tells it (psql does).
    `besides` is what followed its words: the server's DETAIL and CONTEXT, and the statement.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        sqlstate: str | None = None,
        besides: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.sqlstate = sqlstate
        self.besides = besides

    @property
    def detail(self) -> str | None:
        """The first line that the server said besides, as in "DETAIL:  Key (a)=(1) is …"."""
        first, _, _ = self.besides.partition("\n")
        return first.strip() if SAID.match(first) else None

    @property
    def of_its_own(self) -> bool:
        """Return whether the program ended by itself: nobody ended it, and it could be started."""
        # 126 and 127 are what says that a program cannot be executed (POSIX, exec).
        return self.status is None or 0 < self.status < NOT_EXECUTED


@contextmanager
def started(
    argv: Sequence[str],
    environment: ChildEnvironment,
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the running program; at the end of the block wait for it, or end it on an exception.

    Raises ClientError where it exits with another status than 0; where the block raises one, and
    this program had failed by itself, that of this program.
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
        except ClientError as error:
            # Who read from this program failed, perhaps for want of what it did not say.
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_FOLLOW)
            failed = process.returncode not in (None, 0)
            end(process)
            if failed:
                raise _failed(words, process.returncode, Path(argv[0]).stem) from error
            raise
        except BaseException:
            end(process)
            raise
        finally:
            if process.stdout:
                process.stdout.close()
        if process.returncode != 0:
            raise _failed(words, process.returncode, Path(argv[0]).stem)


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


def _failed(words: IO[bytes], status: int, program: str) -> ClientError:
    """Return what the program said, in whatever language: the lines that it began itself.

    It puts its name before each message; what follows in other lines is the server's hints, or
    the statement. Where none begins so, the last lines are as good as any.
    """
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    # Its own words are not translated (libpq.py): warnings are told by theirs.
    own = f"{program}:"
    telling = [
        line
        for line in lines
        if line.startswith(own) and not line.startswith(f"{program}: warning:")
    ]
    # pg_restore says first, in lines of their own, where it was (version 14 in each worker).
    after = lines[lines.index(telling[0]) + 1 :] if telling else []
    besides = list(dropwhile(lambda line: line.startswith(own), after))
    codes = [found.group(2) for line in telling if (found := WITH_CODE.match(line))]
    said = [WITH_CODE.sub(r"\1", line) for line in (telling or lines)[-3:]]
    return ClientError(
        "; ".join(said) or f"{_ending(status)} without any message",
        status=status,
        sqlstate=codes[-1] if codes else None,
        besides="\n".join(besides),
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-status).name}"
    return f"ended by signal {-status}"
