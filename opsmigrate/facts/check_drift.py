"""The facts of check_drift."""

from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts


class JudgedDrift(TypedDict):
    """Where the live schema differs from what the applied migrations claim; `waived` says by whom.

    The words of the waiver are those of OPSMIGRATE["DRIFT_WAIVERS"].
    """

    id: str
    table: str
    column: str | None
    name: str | None
    claimed: str | None
    live: str | None
    waived: str | None


class DriftWaiverEntry(TypedDict):
    """A waiver, and what came of it."""

    drift: str
    table: str
    column: str | None
    owner: str
    reason: str
    expires: str
    state: Literal["used", "not needed", "expired", "of no check"]


class Repair(TypedDict):
    """--write-repair: how many differences the script repairs, and how many it leaves."""

    file: str
    repairs: int
    left: int


class NotCompared(Facts):
    """The history is such that nothing could be compared."""

    repair: Repair | None


class Compared(Facts):
    """The database was compared with its applied migrations."""

    applied_migrations: int
    drift: list[JudgedDrift]
    waivers: list[DriftWaiverEntry]
    repair: Repair | None


DriftFacts = Compared | NotCompared | Facts
