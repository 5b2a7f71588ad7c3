"""What ends a run from outside: signals and a deadline, seen also while C holds the main thread."""

from __future__ import annotations

import _thread
import atexit
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

INTERRUPTED = 130
# SIGHUP: the terminal was closed. SIGQUIT: Ctrl-\, and what some service managers send first.
# SIGBREAK: Windows' Ctrl-Break.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
    if hasattr(signal, name)
)
# What nohup, or a shell that puts a job into the background, ignores stays ignored.
MAY_BE_IGNORED = tuple(number for number in SIGNALS if number != signal.SIGTERM)
SECONDS_BETWEEN_LOOKS = 0.1
# A report that nobody takes, a library that is stuck: the process ends without more ado.
SECONDS_TO_DELIVER = 3.0
# What the regular ways have, from the signal on: a cancel, a ROLLBACK, DROP DATABASE. After that
# lines are closed, whatever is on them: the server undoes what was not committed, and the next run
# drops what was left. A terminal that is closed, a service manager and an impatient hand send more
# than one signal: in this time another one stops nothing of it.
SECONDS_IN_GOOD_ORDER = 2.5
SECONDS_AT_MOST = 60.0

# Called again and again from another thread, with the seconds since the first signal, and whether
# the main thread knows of it; or with the seconds since the deadline.
Insist = Callable[[float, bool], None]


class Watch:
    """One run: whether it was told to end, since when, and until when it has time."""

    def __init__(self, seconds: float | None = None) -> None:
        self.asked: float | None = None
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.heard = False
        # The signal whose KeyboardInterrupt Python has lost, until it is raised again.
        self._lost: int | None = None
        self._last = signal.SIGINT.value
        # Before the run begins, and when its result is there, a signal is noted and no more.
        self._running = False
        self._raises = True

    def begin(self) -> None:
        """Let signals raise KeyboardInterrupt from here on; one that came already does so now."""
        self._running = True
        if self.asked is not None:
            self.heard = True
            raise KeyboardInterrupt

    def end(self) -> None:
        """Let signals raise nothing any more: what is left to do is short."""
        self._running = False

    def hold_back(self) -> None:
        """Let signals raise nothing any more, but end waits: something is done that stays done."""
        self._raises = False

    def note(self) -> None:
        """Remember the first signal."""
        if self.asked is None:
            self.asked = time.monotonic()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.note()
        self._last = number
        since = 0.0 if self.asked is None else time.monotonic() - self.asked
        ending = self.heard and since < SECONDS_IN_GOOD_ORDER
        self.heard = True
        if self._running and self._raises and not ending:
            raise KeyboardInterrupt

    def lost(self, unraisable: sys.UnraisableHookArgs) -> bool:
        """Return whether it is opsmigrate's KeyboardInterrupt, which is then raised again.

        In a destructor or a callback of weakref Python reports an exception and goes on
        (documentation of sys.unraisablehook).
        """
        ours = issubclass(unraisable.exc_type, KeyboardInterrupt) and self.asked is not None
        if ours:
            self._lost = self._last
        return ours

    def _raise_again(self) -> None:
        if (number := self._lost) is not None:
            self._lost, self.heard = None, False
            _thread.interrupt_main(signal.Signals(number))

    def _look(self, woken: socket.socket, insist: Insist, too_late: Insist) -> None:
        """Watch until the other end of `woken` is closed; the signal module writes to it."""
        while True:
            busy = self.asked is not None or self.deadline is not None
            pause = SECONDS_BETWEEN_LOOKS if busy else None
            if select.select([woken], [], [], pause)[0]:
                numbers = woken.recv(64)
                if not numbers:
                    return
                if not set(numbers).isdisjoint(SIGNALS):
                    self.note()
            self._raise_again()
            now = time.monotonic()
            if self.asked is not None:
                self._insist(now - self.asked, insist)
            elif self.deadline is not None and now > self.deadline and self._running:
                too_late(now - self.deadline, True)

    def _insist(self, seconds: float, insist: Insist) -> None:
        if self._running:
            insist(seconds, self.heard)
        if seconds > (SECONDS_AT_MOST if self._running else SECONDS_TO_DELIVER):
            os._exit(INTERRUPTED)


_watch: Watch | None = None


def asked() -> bool:
    """Return whether the run was told to end by a signal."""
    return _watch is not None and _watch.asked is not None


def raise_if_asked() -> None:
    """Raise KeyboardInterrupt where a signal came: for loops that try again.

    psycopg 3 loses the KeyboardInterrupt where the connection is cut while it handles it
    (psycopg.Connection.wait).
    """
    if _watch is not None and _watch.asked is not None and _watch._raises:
        raise KeyboardInterrupt


def hold_back() -> None:
    """Record that from here on an interrupt must not be reported as if nothing had changed."""
    if _watch is not None:
        _watch.hold_back()


def seconds_left(seconds: float) -> float:
    """Return what is left of `seconds` that began with the signal; all of them without one."""
    if _watch is None or _watch.asked is None:
        return seconds
    return max(0.0, seconds - (time.monotonic() - _watch.asked))


@contextmanager
def watched(
    insist: Insist, too_late: Insist, *, seconds: float | None, for_good: bool
) -> Iterator[Watch]:
    """Yield the watch of a run; SIGINT, SIGTERM, SIGHUP and SIGQUIT are its from here on.

    Both functions are called from a thread of its own, which a wait in C does not hold up: `insist`
    after a signal, `too_late` when the run has had its `seconds`. With `for_good` the process ends
    after the run: a signal that comes when the result is there no longer changes how. In another
    thread than the main one nothing is watched; signals are not delivered there.
    """
    global _watch
    watch = Watch(seconds)
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    arguments = (woken, insist, too_late)
    thread = threading.Thread(target=watch._look, args=arguments, name="interrupts", daemon=True)
    former = _watch
    _watch = watch
    wakeup = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    thread.start()
    handlers = _take(watch._handle)
    report = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not watch.lost(unraisable):
            report(unraisable)

    sys.unraisablehook = hook
    try:
        yield watch
    finally:
        watch.end()
        sys.unraisablehook = report
        if not for_good:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            waking.close()
            thread.join()
            woken.close()
            _watch = former
        else:
            waking.detach()  # the system writes to it until the end
            # In its last moments Python gives signals back their default, which is to kill.
            atexit.register(_ignore, handlers)


def _ignore(numbers: Iterable[int]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _take(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    return {
        number: signal.signal(number, handler)
        for number in SIGNALS
        if number not in MAY_BE_IGNORED or signal.getsignal(number) is not signal.SIG_IGN
    }


def end_with_130(argv: Sequence[str]) -> None:
    """Let a signal end the process with 130 at once, where `argv` is a command of opsmigrate's.

    For the time before the command runs: imports, settings, models. Nothing is begun by then.
    """
    if _is_ours(argv) and threading.current_thread() is threading.main_thread():
        _take(_end_at_once)


def _is_ours(argv: Sequence[str]) -> bool:
    commands = Path(__file__).parent / "management" / "commands"
    name = argv[1] if len(argv) > 1 else ""
    return name.isidentifier() and (commands / f"{name}.py").is_file()


def _end_at_once(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"interrupted; nothing was begun\n")
    os._exit(INTERRUPTED)
