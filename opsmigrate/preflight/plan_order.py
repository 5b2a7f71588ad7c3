"""Which of two things in a plan comes first."""

from collections.abc import Iterable

from opsmigrate.preflight.plan import Plan
from opsmigrate.report import Finding, Severity

# What comes after the steps, as the ledger names it in place of an operation.
POST_MIGRATE = "post_migrate"
REPLACEMENTS = "check_replacements"
AFTER_PLAN = (POST_MIGRATE, REPLACEMENTS)
# They are about another release than the one that migrates.
OF_OLD_RELEASE = ("old-release-reads", "old-release-writes")
# A step is recorded after its operations.
RECORD = 1 << 16
Rank = tuple[int, int]
BEFORE_ALL: Rank = (-1, 0)


class PlanOrder:
    """The order in which `migrate` comes to the operations of a plan."""

    def __init__(self, plan: Plan) -> None:
        """Take the order of the plan's steps."""
        self._steps = {step.label: number for number, step in enumerate(plan.steps)}
        self._backwards = any(step.backwards for step in plan.steps)

    def of(self, migration: str | None, operation: str | None) -> Rank:
        """Return the rank of an operation; what is outside of any comes first, or last."""
        if operation in AFTER_PLAN:
            return len(self._steps), 0
        if migration is None:
            return BEFORE_ALL
        step = self._steps.get(migration, len(self._steps))
        number, _, _ = (operation or "").partition(":")
        if not number.isdecimal():
            return step, RECORD
        return step, -int(number) if self._backwards else int(number)

    def of_what(self, what: str) -> Rank:
        """Return the rank of an undecided question, by its place (ledger.place_of)."""
        migration, _, operation = what.partition(" ")
        if migration not in self._steps:
            return len(self._steps), 0
        return self.of(migration, operation)

    def first_error(self, findings: Iterable[Finding]) -> Finding | None:
        """Return the error at which `migrate` would stop, None where there is none."""
        return next(iter(self.errors(findings)), None)

    def errors(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the errors of the plan, in the order in which `migrate` comes to them."""
        errors = [
            item
            for item in findings
            if item.severity is Severity.ERROR and item.id not in OF_OLD_RELEASE
        ]
        return sorted(errors, key=lambda item: self.of(item.migration, item.operation))
