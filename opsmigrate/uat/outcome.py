"""How a check ended, and what it saw: the words that every part of the acceptance run shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from hashlib import sha256
from typing import Any

from opsmigrate.steps import Step


class Failed(Exception):
    """What the check found is wrong: the message says what, the evidence shows it.

    The hint says in words what to do, the steps what to type.
    """

    def __init__(
        self,
        message: str,
        *,
        evidence: str = "",
        hint: str | None = None,
        steps: tuple[Step, ...] = (),
    ) -> None:
        super().__init__(message)
        self.evidence = evidence
        self.hint = hint
        self.steps = steps


class NotRun(Exception):
    """The check could not look; the message says why, the hint what to do, the steps what to type.

    An `optional` one weighs only where the check was asked for by --check or --tag: what it needs
    is an extra that not everybody has.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        steps: tuple[Step, ...] = (),
        optional: bool = False,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.steps = steps
        self.optional = optional


class Status(str, Enum):
    """How a check ended; NOT_RUN is never a pass."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    NOT_RUN = "NOT_RUN"


# From what stands most in the way to what does least.
SEVERITIES = ("blocker", "major", "minor")
WORST_FIRST = ("ERROR", "FAIL", "NOT_RUN", "PASS")


def decides(status: str, severity: str, *, required: bool, waived: bool) -> bool:
    """Return whether the run cannot pass because of a check that ended so."""
    optional = status == "NOT_RUN" and not required
    return status != "PASS" and severity != SEVERITIES[-1] and not optional and not waived


def rank(status: str, severity: str, *, required: bool, waived: bool) -> tuple[int, ...]:
    """Return by what checks are sorted, so that what decided comes first.

    Of what decided, that which was seen to be wrong comes before what was not looked at.
    """
    decided = decides(status, severity, required=required, waived=waived)
    unseen, weight = status == "NOT_RUN", SEVERITIES.index(severity)
    within = (unseen, weight) if decided else (weight, unseen)
    return (not decided, waived, *within, WORST_FIRST.index(status))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Something that a check saw; `seconds` is what it took.

    `kind` is sql, http, text, table (`rows`, the first is the head) or image.
    """

    kind: str
    title: str
    text: str = ""
    seconds: float | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    image: bytes = b""

    def as_fact(self) -> dict[str, Any]:
        """Return it for the report; an image by its SHA-256 only."""
        fact: dict[str, Any] = {"kind": self.kind, "title": self.title, "text": self.text}
        if self.seconds is not None:
            fact["seconds"] = round(self.seconds, 4)
        if self.rows:
            fact["rows"] = [list(row) for row in self.rows]
        if self.image:
            fact["sha256"] = sha256(self.image).hexdigest()
        return fact


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a check; `message` in a sentence, `detail` what a failure rests on.

    `retried` has the answers that came only on another try. Where not `required`, a NOT_RUN is
    no more than a warning. `waived` says by whom, why and until when the check is let pass.
    """

    id: str
    status: Status
    severity: str
    tags: tuple[str, ...]
    seconds: float
    message: str
    started: float = 0.0
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()
    retried: tuple[str, ...] = ()
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    required: bool = True
    waived: str | None = None

    def masked(self, mask: Callable[[str], str]) -> Outcome:
        """Return the outcome with every text of it as `mask` returns it."""
        return replace(
            self,
            message=mask(self.message),
            detail=mask(self.detail),
            retried=tuple(map(mask, self.retried)),
            hint=mask(self.hint) if self.hint else None,
            steps=tuple(replace(step, text=mask(step.text)) for step in self.steps),
            evidence=tuple(
                replace(
                    item,
                    title=mask(item.title),
                    text=mask(item.text),
                    rows=tuple(tuple(map(mask, row)) for row in item.rows),
                )
                for item in self.evidence
            ),
        )

    @property
    def weighs(self) -> bool:
        """Return whether the run cannot pass because of how this check ended."""
        return decides(
            self.status.value, self.severity, required=self.required, waived=bool(self.waived)
        )

    @property
    def rank(self) -> tuple[int, ...]:
        """Return by what outcomes are sorted, so that what decided comes first."""
        return rank(
            self.status.value, self.severity, required=self.required, waived=bool(self.waived)
        )

    def as_fact(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "id": self.id,
            "status": self.status.value,
            "severity": self.severity,
            "tags": list(self.tags),
            "started": self.started,
            "seconds": self.seconds,
            "message": self.message,
            "detail": self.detail,
            "evidence": [item.as_fact() for item in self.evidence],
            "retried": list(self.retried),
            "hint": self.hint,
            "steps": [asdict(step) for step in self.steps],
            "required": self.required,
            "waived": self.waived,
        }
