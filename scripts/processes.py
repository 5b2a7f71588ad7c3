"""One script at a time, and child processes that end when it does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO

# SIGHUP: the terminal was closed. SIGQUIT: Ctrl-\. SIGBREAK: Windows' Ctrl-Break.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
    if hasattr(signal, name)
)
INTERRUPT_SECONDS = 15
TERMINATE_SECONDS = 5
INTERRUPTED = 130


class Ended(KeyboardInterrupt):
    """This process alone was told to end; Ctrl-C in a terminal reaches its children too."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a process into KeyboardInterrupt, so that `finally` runs."""
    before = {number: signal.signal(number, _interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Ended


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore further interrupts, here and in children, while things are put away."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *ENDING)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold a lock file, which the system frees however this process ends; False: another has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        yield _locked(stream)


def _locked(stream: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    capture: bool = False,
    text: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; on an interrupt the child has time to end in its own way."""
    argv = [str(part) for part in command]
    pipe = subprocess.PIPE if capture else None
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            stdout, stderr = child.communicate(text)
        except BaseException as interrupt:
            with undisturbed():
                _end(child, told=not isinstance(interrupt, Ended))
            raise
    return subprocess.CompletedProcess(argv, child.returncode, stdout or "", stderr or "")


def _end(child: subprocess.Popen[str], *, told: bool) -> None:
    """Let a child end that was told to by the terminal, or tell it; then insist; then kill it."""
    if not told:
        child.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
    for seconds, insist in ((INTERRUPT_SECONDS, child.terminate), (TERMINATE_SECONDS, child.kill)):
        try:
            child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            insist()
        else:
            return
    child.wait()
