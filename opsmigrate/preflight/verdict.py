"""From findings and undecided questions to the verdict, in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from opsmigrate.counted import counted
from opsmigrate.preflight.forecast.forecast_report import ForecastReport
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import MigrateArguments, Plan
from opsmigrate.preflight.plan_order import AFTER_PLAN, OF_OLD_RELEASE, PlanOrder
from opsmigrate.preflight.rehearsal.cured_words import cured_facts, cured_lines
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.report import Finding, Result, Severity, Undecided, Verdict

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.selection import KeptCopy

SHOWN = 20
OF_MANY = 8
NOTHING = "nothing to migrate"


def decide(  # noqa: PLR0913 - all that was found out
    plan: Plan,
    ledger: Ledger,
    arguments: MigrateArguments,
    rehearsal: Rehearsal | NotRehearsed | None,
    undecided_before: tuple[Undecided, ...],
    forecast_report: ForecastReport,
    *,
    accept_undecided: bool,
) -> Result:
    """Return the result: failed by an error, else undecided if anything is, else passed.

    `undecided_before` are the questions that were open before the rehearsal.
    """
    if isinstance(rehearsal, NotRehearsed) and (undecided_before or not rehearsal.switched_off):
        ledger.find(
            "not-rehearsed",
            rehearsal.why,
            hint=rehearsal.hint,
            steps=rehearsal.steps,
            severity=Severity.WARNING if rehearsal.asked else Severity.INFO,
        )
    error = PlanOrder(plan).first_error(ledger.findings)
    if error is not None:
        verdict, summary = Verdict.FAILED, _failing(error, plan)
    elif (stuck := _old_release_errors(ledger)) is not None:
        verdict, summary = Verdict.FAILED, f"migrate would break the old release: {stuck.message}"
    elif ledger.undecided and not accept_undecided:
        verdict, summary = Verdict.UNDECIDED, _open(plan, len(ledger.undecided))
    else:
        verdict, summary = Verdict.PASSED, _passing(plan, arguments)
        if isinstance(rehearsal, Rehearsal) and not rehearsal.gaps:
            summary += _where(rehearsal.selection.kept)
        if ledger.undecided:
            summary += f"; {len(ledger.undecided)} undecided, accepted by --accept-undecided"
    return Result(
        verdict=verdict,
        summary=summary,
        findings=tuple(ledger.findings),
        undecided=tuple(ledger.undecided),
        facts=_facts(plan, ledger, forecast_report, rehearsal, undecided_before),
        detail=(*_plan_lines(plan), *forecast_report.lines, *_cured_lines(rehearsal)),
    )


def _cured_lines(rehearsal: Rehearsal | NotRehearsed | None) -> tuple[str, ...]:
    return cured_lines(rehearsal.cured) if isinstance(rehearsal, Rehearsal) else ()


def _old_release_errors(ledger: Ledger) -> Finding | None:
    """Return the first error about the release that runs now, None where there is none."""
    return next(
        (
            each
            for each in ledger.findings
            if each.severity is Severity.ERROR and each.id in OF_OLD_RELEASE
        ),
        None,
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


def _passing(plan: Plan, arguments: MigrateArguments) -> str:
    count = len(plan.steps)
    if not count:
        return f"{NOTHING}; the target is applied"
    verb = "be recorded" if arguments.fake else "unapply" if plan.steps[0].backwards else "apply"
    return f"{counted(count, 'migration')} will {verb}"


def _facts(
    plan: Plan,
    ledger: Ledger,
    forecast_report: ForecastReport,
    rehearsal: Rehearsal | NotRehearsed | None,
    undecided_before: tuple[Undecided, ...],
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
        "statements": forecast_report.statements_as_json(),
        "forecast": dict(forecast_report.facts),
        "rehearsal": _rehearsal_facts(rehearsal, undecided_before, forecast_report)
        if isinstance(rehearsal, Rehearsal)
        else None,
    }


def _rehearsal_facts(
    rehearsal: Rehearsal,
    undecided_before: tuple[Undecided, ...],
    forecast_report: ForecastReport,
) -> dict[str, Any]:
    # Loaded by now, where there is a rehearsal.
    from opsmigrate.preflight.rehearsal.rehearsed_statement import LONGEST_SQL

    return {
        "mode": rehearsal.selection.mode,
        "absent_tables": [".".join(name) for name in rehearsal.selection.absent],
        "other_tenants_left_out": len(rehearsal.selection.neighbours.schemas),
        "tables_without_rows": [".".join(name) for name in rehearsal.selection.without_rows],
        "differences": sorted(rehearsal.differing),
        "gaps": list(rehearsal.gaps),
        "kept_copy": _kept_facts(rehearsal.selection.kept),
        "applied": rehearsal.succeeded,
        "cured": cured_facts(rehearsal.cured),
        "isolation": dict(rehearsal.isolation),
        "copy_seconds": rehearsal.copy_seconds,
        "migrate_seconds": rehearsal.migrate_seconds,
        "undecided_before": [{"what": item.what, "why": item.why} for item in undecided_before],
        "statements": [
            replace(forecast_report.with_derived_locks(item), sql=item.sql[:LONGEST_SQL]).as_json()
            for item in rehearsal.statements
        ],
    }


def _where(kept: KeptCopy | None) -> str:
    if kept is None:
        return ", rehearsed on a copy"
    return f", rehearsed {'in' if kept.clone else 'on a copy of'} {kept.words}"


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
