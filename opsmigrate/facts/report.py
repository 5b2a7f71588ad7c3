"""What every JSON report has, whatever the command."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from opsmigrate.report import Database, Finding, Verdict


class Facts(TypedDict):
    """The facts of a run that came to nothing more: what stopped it stands in `findings`."""

    summary: str


class UndecidedPart(TypedDict):
    """Something that could not be decided, and why."""

    what: str
    why: str


class ReportBody(TypedDict):
    """A report; `database` is null, or parts of it, where the server could not be asked."""

    schema: Literal[2]
    command: str
    run_id: str
    verdict: Verdict
    exit_code: Literal[0, 1, 2, 3, 4, 5, 130]
    started: str
    finished: str
    database: Database | None
    findings: list[Finding]
    undecided: list[UndecidedPart]
    facts: Mapping[str, Any]


class KeyedSeal(TypedDict):
    """The seal by OPSMIGRATE["SEAL_KEY"]."""

    alg: str
    value: str
