"""Waivers of checks: those that may fail for a while."""

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import date

from opsmigrate.uat.outcome import Outcome, Status
from opsmigrate.waivers import CheckWaiver, UsedWaiver, used_waiver

# A check that crashed saw nothing that anybody could have agreed to.
WAIVABLE = (Status.FAIL, Status.NOT_RUN)


def apply_waivers(
    outcomes: Sequence[Outcome], waivers: Sequence[CheckWaiver], *, known: Set[str], today: date
) -> tuple[tuple[Outcome, ...], tuple[UsedWaiver, ...]]:
    """Return the outcomes, those that are let pass marked so, and what came of each waiver.

    A waiver counts to the end of its last day, in UTC.
    """
    valid = {item.check: item for item in waivers if item.expires >= today}
    marked = tuple(
        replace(item, waived=valid[item.id].words)
        if item.id in valid and item.status in WAIVABLE
        else item
        for item in outcomes
    )
    used = {item.id for item in marked if item.waived}
    return marked, tuple(
        used_waiver(item, known=item.check in known, used=item.check in used, today=today)
        for item in waivers
    )
