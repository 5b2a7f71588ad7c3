"""What is typed on the copy, so that one rehearsal shows all that stands in the way."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.plan_order import PlanOrder
from opsmigrate.preflight.recovery.already_there import WITH_THE_FIRST
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.report import Finding
from opsmigrate.schema.kept import KEEPS_THEM
from opsmigrate.steps import Step

# On a copy everything belongs to the role.
HAS_IT_THERE = "missing-privilege"
LOSES = re.compile(r"\b(?:loses|deletes)\b")
LOOKS = re.compile(r"SELECT (?!.*\bsetval\()")
SEED = "python manage.py seed_payment_id"
FAKE = "python manage.py migrate --fake "


class NoCureError(Exception):
    """Nothing is known that would let `migrate` go on there; the message says why, in words."""


class Cures:
    """Which steps let `migrate` go on where it has failed on the copy; each is given once."""

    def __init__(
        self, plan: Plan, found: Iterable[Finding], cause: Callable[[Mapping[str, Any]], Cause]
    ) -> None:
        """Take what was found without a rehearsal, and what explains another failure."""
        self._order = PlanOrder(plan)
        self._in_parts = {step.label for step in plan.steps if not step.migration.atomic}
        self._errors = self._order.errors(found)
        self._cause = cause
        self._given: list[tuple[Step, ...]] = []

    @property
    def any_known(self) -> bool:
        """Return whether there is one for the first of the known errors."""
        try:
            return bool(self._errors) and steps_for(self._errors[0]) is not None
        except NoCureError:
            return False

    def after(self, failure: Mapping[str, Any]) -> tuple[Step, ...]:
        """Return what to type after a failure; raise NoCureError where nothing is known.

        Where a known error was reached, that is what puts right all of them, up to the first that
        has no cure. Else it is what fits the failure.
        """
        if failure["migration"] in self._in_parts:
            raise NoCureError(f"{failure['migration']} is not atomic, and stopped half-way there")
        place = self._order.of(failure["migration"], failure["operation"])
        errors = self._errors
        if errors and place >= self._order.of(errors[0].migration, errors[0].operation):
            return self._for_known()
        steps = _chosen(self._cause(failure).steps)
        if steps in self._given:
            raise NoCureError(f"it did not help to type {steps[-1].text}")
        self._given.append(steps)
        return steps

    def _for_known(self) -> tuple[Step, ...]:
        found: list[Step] = []
        cured = 0
        while self._errors:
            try:
                steps = steps_for(self._errors[0])
            except NoCureError:
                if not cured:
                    raise
                break
            if steps not in self._given:
                self._given.append(steps)
                found += steps
            del self._errors[0]
            cured += 1
        return tuple(found)


def steps_for(finding: Finding) -> tuple[Step, ...]:
    """Return what puts the finding right on a copy; raises NoCureError where nothing is known."""
    if finding.id == HAS_IT_THERE or finding.hint == WITH_THE_FIRST:
        return ()
    try:
        return _chosen(finding.steps)
    except NoCureError as error:
        raise NoCureError(f"{finding.id}: {error}") from error


def _chosen(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the first way that keeps the rows, or keeps beside what it changes."""
    ways = [tuple(way) for _, way in groupby(steps, key=lambda step: step.alternative)]
    ways = [way for way in ways if not all(LOOKS.match(step.text) for step in way)]
    if not ways:
        raise NoCureError("a person has to decide what puts it right")
    for way in ways:
        if not any(_loses(step) for step in way):
            break
    else:
        raise NoCureError("what would put it right loses values")
    for step in way:
        if step.kind == "command" and not step.text.startswith((SEED, FAKE)):
            raise NoCureError(f"{step.text} is not typed on a copy")
    return way


def _loses(step: Step) -> bool:
    risk = step.risk or ""
    return LOSES.search(risk) is not None and KEEPS_THEM not in risk
