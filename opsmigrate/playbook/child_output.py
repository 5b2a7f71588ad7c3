"""What a child process prints, told line by line; a terminal of ours that is gone hurts nobody."""

import os
from collections.abc import Callable
from typing import IO

# The child writes to the same file: where there is no pread, nothing can be read beside it.
CAN_READ_BESIDE = hasattr(os, "pread")
MOST_BYTES = 1 << 20


class ChildOutput:
    """The lines of a file that a child process writes to; `last` is the last one."""

    def __init__(self, file: IO[bytes], say: Callable[[str], None]) -> None:
        self._file = file
        self._say = say
        self._read = 0
        self._rest = b""
        # What was told of a line that is not finished: `Applying shop.0003_long...`.
        self._begun = b""
        self.last = ""

    def tell(self) -> None:
        """Say each line that has been written since, and one that stays unfinished."""
        if not CAN_READ_BESIDE:
            return
        new = os.pread(self._file.fileno(), MOST_BYTES, self._read)
        self._read += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        for line in whole:
            if text := line.decode(errors="replace").strip():
                self.last = text
                self._say(f"  {text}")
        if not new and self._rest != self._begun:
            self._begun = self._rest
            if text := self._rest.decode(errors="replace").strip():
                self._say(f"  {text}")
