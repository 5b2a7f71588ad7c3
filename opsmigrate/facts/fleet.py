"""The facts of fleet."""

from collections.abc import Mapping
from typing import TypedDict

from opsmigrate.facts.report import Facts


class FleetTarget(TypedDict):
    """A target of the fleet, and what became of it; null where it was not done.

    `attempts` is 0 where it was known without a process of its own. `report` is the path of its
    report within the run's folder.
    """

    label: str
    alias: str
    schema: str | None
    server: str
    verdict: str | None
    exit_code: int | None
    attempts: int | None
    seconds: float | None
    summary: str | None
    report: str | None


class FleetRow(TypedDict):
    """Targets of which the same is said."""

    verdict: str
    what: str
    targets: list[str]


class FleetDifference(TypedDict):
    """What makes a class another one than the largest: lines of its catalog, and `more` of them."""

    words: tuple[str, ...]
    only_here: tuple[str, ...]
    missing_here: tuple[str, ...]
    more: int


class FleetClass(TypedDict):
    """Targets with equal histories and catalogs; `migrations` are pending."""

    members: list[str]
    migrations: list[str]
    different: FleetDifference | None


class FleetRun(Facts):
    """A run, as far as it has come; `counts` are the targets by verdict."""

    run: str
    folder: str
    command: str
    release: str | None
    counts: Mapping[str, int]
    not_done: list[str]
    stopped: str | None
    rows: list[FleetRow]
    targets: list[FleetTarget]


class FleetRunByClass(FleetRun):
    """A run in which targets were examined by classes, the smallest class first."""

    classes: list[FleetClass]


class ListedTarget(TypedDict):
    """A target, with --list."""

    label: str
    alias: str
    schema: str | None
    server: str


class FleetList(Facts):
    """--list: the targets."""

    targets: list[ListedTarget]


FleetFacts = FleetRunByClass | FleetRun | FleetList | Facts
