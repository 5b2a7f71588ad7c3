"""Progress on stderr: a line that redraws itself on a terminal, a line now and then elsewhere."""

import shutil
import time
from typing import Protocol

from opsmigrate.shown import shown

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_REDRAWS = 0.1
BAR = 20


class Stream(Protocol):
    """Where progress is written: Django's OutputWrapper around stderr."""

    def write(self, msg: str, style_func: None = None, ending: str | None = None) -> None:
        """Write `msg` and `ending`."""

    def isatty(self) -> bool:
        """Return whether a person is watching."""


class Progress:
    """Tells what is being done; silent at verbosity 0."""

    def __init__(self, stream: Stream, *, verbosity: int) -> None:
        self._stream = stream
        self._silent = verbosity < 1
        self._terminal = stream.isatty()
        self._last = 0.0
        self._drawn = False

    def phase(self, text: str) -> None:
        """Print that a phase begins."""
        if not self._silent:
            self._clear()
            self._stream.write(shown(text))
            self._last = time.monotonic()

    def update(self, text: str, *, share: float | None = None) -> None:
        """Say how far the phase is, with a bar on a terminal where `share` (0 to 1) is given.

        Drops what comes too fast to be read.
        """
        pause = SECONDS_BETWEEN_REDRAWS if self._terminal else SECONDS_BETWEEN_LINES
        if self._silent or time.monotonic() - self._last < pause:
            return
        self._last = time.monotonic()
        if self._terminal:
            self._clear()
            bar = "" if share is None else _bar(share)
            # A line that wraps could not be drawn over.
            room = shutil.get_terminal_size().columns - 1
            self._stream.write(f"  {bar}{shown(text)}"[:room], ending="")
            self._drawn = True
        else:
            self._stream.write(f"  {shown(text)}")

    def done(self) -> None:
        """Leave the terminal with a clean line."""
        self._clear()

    def _clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K", ending="")
            self._drawn = False


def _bar(share: float) -> str:
    full = round(share * BAR)
    return f"[{'#' * full}{'-' * (BAR - full)}] "
