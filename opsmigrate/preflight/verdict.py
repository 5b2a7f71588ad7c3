"""From findings and open questions to the verdict, in words."""

from typing import Any

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan, Target
from opsmigrate.report import Finding, Result, Severity, Verdict

SHOWN = 20


def decide(plan: Plan, ledger: Ledger, target: Target, *, accept_unexamined: bool) -> Result:
    """Return the result: failed by an error, undecided by an open question, passed else."""
    errors = [finding for finding in ledger.findings if finding.severity is Severity.ERROR]
    if errors:
        verdict, summary = Verdict.FAILED, _failing(errors[0])
    elif ledger.unexamined and not accept_unexamined:
        verdict = Verdict.UNDECIDED
        summary = f"{len(ledger.unexamined)} of what migrate would do could not be examined"
    else:
        verdict, summary = Verdict.PASSED, _passing(plan, target)
        if ledger.unexamined:
            summary += f"; {len(ledger.unexamined)} not examined, accepted as typed"
    return Result(
        verdict=verdict,
        summary=summary,
        findings=tuple(ledger.findings),
        unexamined=tuple(ledger.unexamined),
        facts=_facts(plan, ledger),
        detail=tuple(_plan_lines(plan)),
    )


def _failing(first: Finding) -> str:
    if first.migration is None:
        return f"migrate would stop before its first migration: {first.message}"
    return f"migrate would fail at {first.migration}: {first.message}"


def _passing(plan: Plan, target: Target) -> str:
    count = len(plan.steps)
    if not count:
        return "nothing to migrate; the target is applied"
    verb = "be recorded" if target.fake else "unapply" if plan.steps[0].backwards else "apply"
    return f"{count} migration{'s' if count > 1 else ''} will {verb}"


def _facts(plan: Plan, ledger: Ledger) -> dict[str, Any]:
    return {
        "plan": [
            {
                "migration": step.label,
                "backwards": step.backwards,
                "operations": [operation.describe() for operation in step.migration.operations],
            }
            for step in plan.steps
        ],
        "drift": None,
        "statements": ledger.statements,
        "rehearsal": None,
    }


def _plan_lines(plan: Plan) -> list[str]:
    if not plan.steps:
        return []
    lines = ["Plan:"]
    for step in plan.steps[:SHOWN]:
        count = len(step.migration.operations)
        direction = "unapply" if step.backwards else "apply"
        lines.append(f"  {direction} {step.label} ({count} operation{'s' if count != 1 else ''})")
    if len(plan.steps) > SHOWN:
        lines.append(f"  … and {len(plan.steps) - SHOWN} more")
    return lines
