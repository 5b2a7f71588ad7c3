"""The CPU time of a server, all its processes together, as Linux counts it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Fields of /proc/PID/stat after the name: parent, and user and system time, own and of children.
PARENT, OWN, OF_CHILDREN = 1, slice(11, 13), slice(13, 15)


@dataclass(frozen=True)
class CpuClock:
    """Reads the CPU time of a postmaster and its children."""

    postmaster: int

    @classmethod
    def of(cls, data: Path) -> CpuClock | None:
        """Return the clock of the server in a data directory; None but on Linux."""
        if not PROC.is_dir():
            return None
        return cls(int((data / "postmaster.pid").read_text().splitlines()[0]))

    def seconds(self) -> float:
        """Return the CPU time used so far: of the postmaster, of what it has now, of what ended."""
        ticks = 0
        for entry in PROC.iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(entry.name) == self.postmaster:
                    ticks += sum(map(int, fields[OWN])) + sum(map(int, fields[OF_CHILDREN]))
                elif int(fields[PARENT]) == self.postmaster:
                    ticks += sum(map(int, fields[OWN]))
        return ticks / os.sysconf("SC_CLK_TCK")
