"""How far a fleet is, in words for a person who watches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opsmigrate.counted import counted

SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class FleetProgress:
    """How many targets are done, of how many, and what each worker works on, after `seconds`."""

    done: int
    every: int
    failed: int
    running: Mapping[str, Sequence[str]]
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest takes at the pace so far; None where nothing is done yet."""
        return self.seconds / self.done * (self.every - self.done) if self.done else None

    @property
    def share(self) -> float:
        """Return how much is done, from 0 to 1."""
        return self.done / self.every if self.every else 1.0

    def __str__(self) -> str:
        said = f"{self.done:,} of {counted(self.every, 'target')} done"
        if self.failed:
            said += f", {self.failed:,} not passed"
        left = self.seconds_left
        if left is not None and self.done < self.every:
            said += f", about {_duration(left)} left"
        for worker, labels in sorted(self.running.items()):
            if labels:
                more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
                said += f"; {worker}: {', '.join(labels[:SHOWN])}{more}"
        return said


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
