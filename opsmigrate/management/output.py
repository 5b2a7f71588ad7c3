"""stderr that cannot end a run: whoever reads it may have gone, and its disk may be full."""

import os
import sys
from contextlib import suppress
from typing import Any

from django.core.management.base import OutputWrapper

STANDARD = (0, 1, 2)


class Messages(OutputWrapper):
    """Django's stderr; where a write fails, nothing more is written, and all else goes on.

    `lost` says that what was written last was not read by anybody.
    """

    def __init__(self, stream: OutputWrapper) -> None:
        super().__init__(stream._out, stream.ending)  # type: ignore[arg-type]
        self._style_func = stream._style_func
        self.lost = self._out is None

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Any = None, ending: str | None = None
    ) -> None:
        """Write it, if that can be done."""
        if not self.lost:
            try:
                super().write(msg, style_func, ending)
            except (OSError, ValueError):
                self.lost = True

    def flush(self) -> None:
        """Flush it, if that can be done."""
        if not self.lost:
            try:
                super().flush()
            except (OSError, ValueError):
                self.lost = True


def occupy_standard_descriptors() -> None:
    """Open nothing in the place of what is closed, before a file or a session gets its number.

    Whatever a library writes to its stderr would go there.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def let_go_of_stderr() -> None:
    """Write what stderr still holds, or throw it away: Python would end with 120 where it cannot.

    For the end of a process (Py_FinalizeEx in the documentation of Python's C API).
    """
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stderr.fileno())
                os.close(nowhere)
