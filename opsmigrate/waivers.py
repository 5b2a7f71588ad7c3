"""Waivers: what may be wrong for a while, by whose decision, why, and until when."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timezone
from typing import Any

from opsmigrate.report import Finding, Severity


@dataclass(frozen=True, kw_only=True)
class Waiver(ABC):
    """Whose decision, why, and the last day on which it counts, in UTC."""

    owner: str
    reason: str
    expires: date

    @property
    @abstractmethod
    def about(self) -> str:
        """Return what it waives, in words."""

    @property
    def words(self) -> str:
        """Return whose decision it is, until when, and why."""
        return f"{self.owner}, until {self.expires}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class CheckWaiver(Waiver):
    """A check of run_uat that is let pass."""

    check: str

    @property
    def about(self) -> str:
        """Return the id of the check."""
        return self.check


@dataclass(frozen=True, kw_only=True)
class DriftWaiver(Waiver):
    """A drift that is let pass: its id, and the table where it is; at one column, or at any."""

    drift: str
    table: str
    column: str | None = None

    @property
    def about(self) -> str:
        """Return the id of the drift, and where it is."""
        return f"{self.drift} at {'.'.join(filter(None, (self.table, self.column)))}"


@dataclass(frozen=True, kw_only=True)
class UsedWaiver:
    """A waiver and what came of it: used, not needed, expired, or of no check at all."""

    waiver: Waiver
    state: str

    @property
    def is_void(self) -> bool:
        """Return whether it cannot count for anything."""
        return self.state in ("expired", "of no check")

    @property
    def words(self) -> str:
        """Return why it is void, or that it is not."""
        return {
            "used": f"is valid until {self.waiver.expires}",
            "not needed": "was not needed",
            "expired": f"expired on {self.waiver.expires}, and is ignored",
            "of no check": "names a check that does not exist",
        }[self.state]

    def as_fact(self) -> dict[str, Any]:
        """Return it for the report."""
        expires = self.waiver.expires.isoformat()
        return {**asdict(self.waiver), "expires": expires, "state": self.state}

    def as_finding(self, setting: str) -> Finding:
        """Return what is said of one that is void; `setting` is where it stands."""
        return Finding(
            id="waiver-void",
            severity=Severity.WARNING,
            message=f"the waiver of {self.waiver.about} by {self.waiver.owner} {self.words}",
            hint=f"correct or remove it in {setting}",
            evidence=self.as_fact(),
        )


def used_waiver(waiver: Waiver, *, known: bool, used: bool, today: date) -> UsedWaiver:
    """Return what came of a waiver; `known` says whether what it names exists at all."""
    if not known:
        state = "of no check"
    elif waiver.expires < today:
        state = "expired"
    else:
        state = "used" if used else "not needed"
    return UsedWaiver(waiver=waiver, state=state)


def utc_today() -> date:
    """Return the day on which waivers are judged."""
    return datetime.now(timezone.utc).date()


def check_waiver(entry: object) -> CheckWaiver:
    """Return the waiver of a check that the settings have; raise ValueError with what is wrong."""
    return CheckWaiver(**_given(entry, {"check", "owner", "reason", "expires"}))


def drift_waiver(entry: object) -> DriftWaiver:
    """Return the waiver of a drift that the settings have; raise ValueError with what is wrong."""
    needed = {"drift", "table", "owner", "reason", "expires"}
    more = {"column"} if isinstance(entry, Mapping) and "column" in entry else set()
    return DriftWaiver(**_given(entry, needed | more))


def _given(entry: object, keys: set[str]) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or set(entry) != keys:
        raise ValueError(f"has the waiver {entry!r}")
    words: dict[str, Any] = {key: str(entry[key] or "").strip() for key in keys}
    try:
        words["expires"] = date.fromisoformat(words["expires"])
    except ValueError:
        raise ValueError(f"has a waiver that expires on {words['expires']!r}") from None
    if not all(words.values()):
        raise ValueError(f"has the waiver {entry!r}")
    return words
