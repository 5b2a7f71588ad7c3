"""Waivers: checks that may fail for a while, by whose decision, why, and until when."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import date

from opsmigrate.conf import Waiver
from opsmigrate.uat.outcome import Outcome, Status

# A check that crashed saw nothing that anybody could have agreed to.
WAIVABLE = (Status.FAIL, Status.NOT_RUN)


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

    def as_fact(self) -> dict[str, str]:
        """Return it for the report."""
        waiver = self.waiver
        return {
            "check": waiver.check,
            "owner": waiver.owner,
            "reason": waiver.reason,
            "expires": waiver.expires.isoformat(),
            "state": self.state,
        }


def apply_waivers(
    outcomes: Sequence[Outcome], waivers: Sequence[Waiver], *, known: Set[str], today: date
) -> tuple[tuple[Outcome, ...], tuple[UsedWaiver, ...]]:
    """Return the outcomes, those that are let pass marked so, and what came of each waiver.

    A waiver counts to the end of its last day, in UTC.
    """
    valid = {item.check: item for item in waivers if item.expires >= today}
    marked = tuple(
        replace(item, waived=_words(valid[item.id]))
        if item.id in valid and item.status in WAIVABLE
        else item
        for item in outcomes
    )
    used = {item.id for item in marked if item.waived}
    return marked, tuple(
        UsedWaiver(waiver=item, state=_state(item, used, known, today)) for item in waivers
    )


def _words(waiver: Waiver) -> str:
    return f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"


def _state(waiver: Waiver, used: Set[str], known: Set[str], today: date) -> str:
    if waiver.check not in known:
        return "of no check"
    if waiver.expires < today:
        return "expired"
    return "used" if waiver.check in used else "not needed"
