"""Streams that cannot end a run: whoever reads them may have gone, and their disk may be full."""

import os
import shutil
import sys
from contextlib import suppress
from typing import Any

from django.core.management.base import OutputWrapper

from opsmigrate.workflow_commands import is_run_by_ci, without_commands

STANDARD = (0, 1, 2)


def confirmed(messages: "Messages") -> bool:
    """Ask for a yes, after what it is about was written; return whether it was given."""
    messages.write("Type 'yes' to go on: ", ending="")
    messages.flush()
    # Where it is lost, nobody has read what they would say yes to.
    return not messages.lost and sys.stdin.readline().strip() == "yes"


class Messages(OutputWrapper):
    """Django's stderr; where a write fails, nothing more is written, and all else goes on.

    What is written is progress or a question, and looks so: only `error` has Django's style of
    errors. `lost` says that what was written last was not read by anybody.
    """

    def __init__(self, stream: OutputWrapper) -> None:
        super().__init__(stream._out, stream.ending)  # type: ignore[arg-type]
        self._error_style = stream._style_func
        self.lost = self._out is None

    def error(self, msg: str) -> None:
        """Write it as an error, at once, if that can be done."""
        self.write(msg, self._error_style)

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Any = None, ending: str | None = None
    ) -> None:
        """Write it at once, if that can be done."""
        if is_run_by_ci():
            msg = without_commands(msg)
        if not self.lost:
            try:
                super().write(msg, style_func, ending)
                super().flush()
            except (OSError, ValueError):
                self._lose()

    def flush(self) -> None:
        """Flush it, if that can be done."""
        if not self.lost:
            try:
                super().flush()
            except (OSError, ValueError):
                self._lose()

    def _lose(self) -> None:
        self.lost = True
        if self._out is sys.stderr:
            forget_unwritten(sys.stderr)


def columns_of_terminal(default: int) -> int:
    """Return how wide the terminal of stdout is, or what COLUMNS says; `default` without either."""
    return shutil.get_terminal_size((default, 0)).columns


def forget_unwritten(stream: Any) -> None:
    """Have nothing that a standard stream still holds tried again when Python ends.

    It would fail again, and then Python ends with 120 (documentation of sys.exit).
    """
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def occupy_standard_descriptors() -> None:
    """Open nothing in the place of what is closed, before a file or a session gets its number.

    Whatever a library writes to its stderr would go there. Nor is it taken for a file that was
    written, as /dev/null would be by who is told to write to /dev/stdout: a folder cannot be.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # Windows opens no folders, and has no /dev/stdout.
            is_read = descriptor == 0 or sys.platform == "win32"
            os.open(os.devnull if is_read else os.sep, os.O_RDONLY)
