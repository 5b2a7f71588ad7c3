"""The facts of uat_scan."""

from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts

ScanStatus = Literal["PASS", "FAIL", "NOT_RUN"]


class ScanPart(TypedDict):
    """A part of the scan, and what it saw."""

    name: str
    status: ScanStatus
    saw: str


class Scanned(Facts):
    """Everything was looked at that could be; `file` is what run_uat --include reads."""

    status: ScanStatus
    message: str
    base_url: str | None
    release: str | None
    seconds: float
    parts: list[ScanPart]
    file: str


ScanFacts = Scanned | Facts
