"""The facts of uat_load."""

from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts


class Figures(TypedDict):
    """What locust counted; times in milliseconds."""

    requests: int
    failures: int
    p50: float
    p95: float
    per_second: float


class LoadTable(TypedDict):
    """A table for people; its first row has the headings."""

    title: str
    rows: list[list[str]]


class Loaded(Facts):
    """The load was put on the site; `file` is what run_uat --include reads."""

    status: Literal["PASS", "FAIL"]
    message: str
    base_url: str
    release: str | None
    seconds: int
    figures: Figures
    tables: list[LoadTable]
    file: str


LoadFacts = Loaded | Facts
