"""What the models from before a plan met when they were used on the migrated copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

READING, WRITING = "SELECT", ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A statement of a model that failed on the migrated copy, with PostgreSQL's words.

    `schema`, `table`, `column` and `constraint` are what it said of the place.
    """

    model: str
    does: str
    words: str
    sqlstate: str
    context: str | None = None
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None

    @property
    def shown(self) -> str:
        """Return what failed, in words."""
        return f"{self.does} failed: {self.words} ({self.sqlstate})"


@dataclass(frozen=True)
class Trial:
    """The models that were used, by their labels, with the statements; and what failed."""

    used: Mapping[str, Sequence[str]]
    failures: tuple[Failure, ...]

    def of(self, model: str, *, reading: bool) -> list[Failure]:
        """Return what failed of a model: its SELECT, or what it writes."""
        return [
            each
            for each in self.failures
            if each.model == model and (each.does == READING) is reading
        ]

    def passed(self, model: str, does: str) -> bool:
        """Return whether a statement of a model was tried, and did not fail."""
        tried = does in self.used.get(model, ())
        return tried and not any(each.does == does for each in self.failures if each.model == model)


def trial_of(answer: Mapping[str, Any] | None) -> Trial | None:
    """Return what the process of the rehearsal said of it, None where it did not try."""
    if answer is None:
        return None
    return Trial(answer["used"], tuple(Failure(**each) for each in answer["failures"]))
