"""From findings and undecided questions to the verdict, in words."""

from dataclasses import asdict
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.preflight.forecast.report import Outlook
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.order import AFTER_PLAN, Order
from opsmigrate.preflight.plan import Plan, Target
from opsmigrate.preflight.rehearsal.outcome import NotRehearsed, Rehearsal
from opsmigrate.preflight.rehearsal.recording import LONGEST_SQL
from opsmigrate.preflight.rehearsal.selection import KeptCopy
from opsmigrate.report import Finding, Result, Severity, Unexamined, Verdict

SHOWN = 20
OF_MANY = 8
NOTHING = "nothing to migrate"


def decide(  # noqa: PLR0913 - all that was found out
    plan: Plan,
    ledger: Ledger,
    target: Target,
    rehearsal: Rehearsal | NotRehearsed | None,
    open_before: tuple[Unexamined, ...],
    outlook: Outlook,
    *,
    accept_unexamined: bool,
) -> Result:
    """Return the result: failed by an error, else undecided if anything is, else passed.

    `open_before` are the questions that were open before the rehearsal.
    """
    if isinstance(rehearsal, NotRehearsed) and (open_before or not rehearsal.switched_off):
        ledger.find(
            "not-rehearsed",
            rehearsal.why,
            hint=rehearsal.hint,
            steps=rehearsal.steps,
            severity=Severity.WARNING if rehearsal.asked else Severity.INFO,
        )
    error = Order(plan).first_error(ledger.findings)
    if error is not None:
        verdict, summary = Verdict.FAILED, _failing(error, plan)
    elif ledger.unexamined and not accept_unexamined:
        verdict, summary = Verdict.UNDECIDED, _open(plan, len(ledger.unexamined))
    else:
        verdict, summary = Verdict.PASSED, _passing(plan, target)
        if isinstance(rehearsal, Rehearsal):
            summary += ", rehearsed on a copy"
            if rehearsal.selection.kept:
                summary += f" of the backup {rehearsal.selection.kept.backup}"
        if ledger.unexamined:
            summary += f"; {len(ledger.unexamined)} undecided, accepted by --accept-unexamined"
    return Result(
        verdict=verdict,
        summary=summary,
        findings=tuple(ledger.findings),
        unexamined=tuple(ledger.unexamined),
        facts=_facts(plan, ledger, outlook, rehearsal, open_before),
        detail=(*_plan_lines(plan), *outlook.lines),
    )


def _failing(first: Finding, plan: Plan) -> str:
    if not plan.steps and first.operation in AFTER_PLAN:
        return f"{NOTHING}, and yet migrate would fail: {first.message}"
    if first.operation in AFTER_PLAN:
        return f"migrate would fail after its last migration: {first.message}"
    if first.migration is None:
        return f"migrate would stop before its first migration: {first.message}"
    return f"migrate would fail at {first.migration}: {first.message}"


def _open(plan: Plan, count: int) -> str:
    parts = f"{counted(count, 'part')} of what migrate"
    are = "is" if count == 1 else "are"
    if plan.steps or plan.executor is None:
        return f"{parts} would do {are} undecided"
    return f"{NOTHING}; {parts} still does {are} undecided"


def _passing(plan: Plan, target: Target) -> str:
    count = len(plan.steps)
    if not count:
        return f"{NOTHING}; the target is applied"
    verb = "be recorded" if target.fake else "unapply" if plan.steps[0].backwards else "apply"
    return f"{counted(count, 'migration')} will {verb}"


def _facts(
    plan: Plan,
    ledger: Ledger,
    outlook: Outlook,
    rehearsal: Rehearsal | NotRehearsed | None,
    open_before: tuple[Unexamined, ...],
) -> dict[str, Any]:
    return {
        "plan": [
            {
                "migration": step.label,
                "backwards": step.backwards,
                "operations": [operation.describe() for operation in step.migration.operations],
            }
            for step in plan.steps
        ],
        "drift": ledger.drift,
        "statements": outlook.statements,
        "forecast": dict(outlook.facts),
        "rehearsal": _rehearsal_facts(rehearsal, open_before)
        if isinstance(rehearsal, Rehearsal)
        else None,
    }


def _rehearsal_facts(rehearsal: Rehearsal, open_before: tuple[Unexamined, ...]) -> dict[str, Any]:
    return {
        "mode": rehearsal.selection.mode,
        "absent": [".".join(name) for name in rehearsal.selection.absent],
        "without_rows": [".".join(name) for name in rehearsal.selection.without_rows],
        "unlike": sorted(rehearsal.unlike),
        "kept": _kept_facts(rehearsal.selection.kept),
        "applied": rehearsal.failure is None and not rehearsal.stopped,
        "isolation": dict(rehearsal.isolation),
        "copy_seconds": rehearsal.copy_seconds,
        "migrate_seconds": rehearsal.migrate_seconds,
        "answered": [{"what": item.what, "why": item.why} for item in open_before],
        "statements": [{**item, "sql": item["sql"][:LONGEST_SQL]} for item in rehearsal.statements],
    }


def _kept_facts(kept: KeptCopy | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    return {**asdict(kept), "stale": [".".join(name) for name in kept.stale]}


def _plan_lines(plan: Plan) -> list[str]:
    if not plan.steps:
        return []
    lines, shown = ["Plan:"], SHOWN if len(plan.steps) <= SHOWN else OF_MANY
    for step in plan.steps[:shown]:
        count = len(step.migration.operations)
        direction = "unapply" if step.backwards else "apply"
        lines.append(f"  {direction} {step.label} ({counted(count, 'operation')})")
    if len(plan.steps) > shown:
        lines.append(f"  … and {len(plan.steps) - shown} more")
    return lines
