"""What a reviewer reads of a fleet: its targets by verdict, and what they sign."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from opsmigrate.shown import shown


@dataclass(frozen=True)
class FleetRow:
    """Targets of which the same is said, with names as they are shown."""

    verdict: str
    what: str
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the verdict as the page's style calls it."""
        return self.verdict.split()[0]


@dataclass(frozen=True)
class FleetPage:
    """The table of a fleet, and what is above the signatures; `digest` is of all outcomes."""

    rows: tuple[FleetRow, ...]
    command: str
    release: str
    digest: str


def fleet_rows(facts: Mapping[str, Any]) -> FleetPage | None:
    """Return the page's part of a fleet, of the facts of fleet; None where it is no run of one."""
    if "rows" not in facts or "targets" not in facts:
        return None
    outcomes = dumps([facts["run"], facts["command"], facts["targets"]], sort_keys=True)
    return FleetPage(
        rows=tuple(
            FleetRow(each["verdict"], shown(each["what"]), tuple(map(shown, each["targets"])))
            for each in facts["rows"]
        ),
        command=shown(facts["command"]),
        release=shown(facts["release"] or "not known"),
        digest=sha256(outcomes.encode()).hexdigest(),
    )
