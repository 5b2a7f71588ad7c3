"""The lines of the journal, each an object of JSON, and what the webhook is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

from opsmigrate.json_files import shaped


@dataclass(frozen=True, kw_only=True)
class About:
    """What a run is about; where any of it is another, the run is not continued.

    `plan` are the migrations that were pending at its beginning, each with its digest; `applied`
    those that the database had. `timeline` is the server's.
    """

    database: str
    system_identifier: str
    oid: int
    release: str
    plan: tuple[tuple[str, str], ...]
    applied: tuple[str, ...]
    timeline: int | None = None


@dataclass(frozen=True, kw_only=True)
class StepEnd:
    """How a step ended; `facts` are those that later steps and the rollback need."""

    step: str
    exit_code: int
    seconds: float
    summary: str
    skipped: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunBegun:
    """A run begins with the step `first`."""

    event: Literal["begun"] = "begun"
    run_id: str
    at: str
    first: str
    about: About


@dataclass(frozen=True, kw_only=True)
class StepBegun:
    """A step begins: from here on it may have done something."""

    event: Literal["step-begun"] = "step-begun"
    run_id: str
    at: str
    step: str


@dataclass(frozen=True, kw_only=True)
class StepEnded:
    """A step ended."""

    event: Literal["step-ended"] = "step-ended"
    run_id: str
    at: str
    end: StepEnd


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A process of the run ended; a run that has `passed` is not continued."""

    event: Literal["ended"] = "ended"
    run_id: str
    at: str
    verdict: str
    passed: bool
    rollback: str | None


# What the webhook is told of.
Event = Literal["begun", "step-ended", "ended"]
JournalLine = RunBegun | StepBegun | StepEnded | RunEnded


class Told(TypedDict):
    """What the webhook is told of each event."""

    event: Event
    run_id: str
    database: str
    at: str


class WebhookBody(Told, total=False):
    """What the webhook is told: of a step with its end, of the end of a run with its verdict."""

    step: str
    exit_code: int
    summary: str
    verdict: str


def line_of(body: Mapping[str, Any]) -> JournalLine:
    """Return a line as what it is; a later version may have written more keys.

    Raises UnreadableError where a value is of another type, KeyError where the event is unknown.
    """
    kinds: dict[str, type[JournalLine]] = {
        "begun": RunBegun,
        "step-begun": StepBegun,
        "step-ended": StepEnded,
        "ended": RunEnded,
    }
    kind = kinds[body["event"]]
    known = {each.name for each in fields(kind)}
    return shaped(kind, {name: value for name, value in body.items() if name in known})
