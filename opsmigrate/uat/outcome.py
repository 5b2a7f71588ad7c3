"""How a check ended, and what it saw: the words that every part of the acceptance run shares."""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any

from opsmigrate.steps import Step


class Failed(Exception):
    """What the check saw is wrong: the message says what, the evidence what it was told by.

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
    """The check could not look; the message says why, the hint what to type.

    An `optional` one weighs only where the check was asked for by --check or --tag: what it needs
    is an extra that not everybody has.
    """

    def __init__(self, message: str, *, hint: str | None = None, optional: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.optional = optional


class Status(str, Enum):
    """How a check ended; NOT_RUN is never a pass."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    NOT_RUN = "NOT_RUN"


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
    """What came of a check; `saw` in a sentence, `told_by` what a failure rests on.

    `retried` has the answers that came only on another try. Where not `required`, a NOT_RUN is
    no more than a warning. `waived` says by whom, why and until when the check is let pass.
    """

    id: str
    status: Status
    severity: str
    tags: tuple[str, ...]
    seconds: float
    saw: str
    started: float = 0.0
    told_by: str = ""
    evidence: tuple[Evidence, ...] = ()
    retried: tuple[str, ...] = ()
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    required: bool = True
    waived: str | None = None

    @property
    def weighs(self) -> bool:
        """Say whether the run cannot pass unless this check does."""
        optional = self.status is Status.NOT_RUN and not self.required
        return self.severity in ("blocker", "major") and not optional and not self.waived

    def as_fact(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "id": self.id,
            "status": self.status.value,
            "severity": self.severity,
            "tags": list(self.tags),
            "started": self.started,
            "seconds": self.seconds,
            "saw": self.saw,
            "told_by": self.told_by,
            "evidence": [item.as_fact() for item in self.evidence],
            "retried": list(self.retried),
            "required": self.required,
            "waived": self.waived,
        }
