"""The forecast in the report: facts, a section of the text, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import RemoveField, RemoveIndex

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.preflight.forecast.advice import order_advice
from opsmigrate.preflight.forecast.alternatives import alternative
from opsmigrate.preflight.forecast.forecast import (
    Forecast,
    StatementCost,
    lock_facts,
    make_forecast,
    statement_facts,
)
from opsmigrate.preflight.forecast.measured import Measurements
from opsmigrate.preflight.forecast.presentation import lines, long_locks
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal


@dataclass(frozen=True, kw_only=True)
class ForecastReport:
    """What the forecast adds to the report."""

    statements: list[dict[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


def build_forecast(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    plan: Plan,
    ledger: Ledger,
    rehearsal: Rehearsal | None,
) -> ForecastReport:
    """Return the forecast of the plan, and add its findings; it never changes the verdict."""
    migrations = {step.label: step.migration for step in plan.steps}
    non_atomic = frozenset(label for label, each in migrations.items() if not each.atomic)
    measured = _measured(rehearsal)
    try:
        forecast = make_forecast(connection, catalog, ledger.statements, measured, non_atomic)
    except Error as error:
        why = f"the server did not answer: {first_line(error)}"
        return ForecastReport(statements=ledger.statements, facts={"locks": None, "why": why})
    except Exception as error:  # a statement may be anything: what is only expected decides nothing
        why = f"a statement was not understood: {type(error).__name__}: {first_line(error)}"
        return ForecastReport(statements=ledger.statements, facts={"locks": None, "why": why})
    instead = _alternatives(forecast, plan)
    advice = order_advice(forecast)
    # Not by find(): what is expected must leave no question open.
    ledger.add(*long_locks(forecast, instead))
    return ForecastReport(
        statements=[
            statement_facts(forecast, cost, instead.get(id(cost))) for cost in forecast.costs
        ],
        facts={"locks": lock_facts(forecast), "advice": advice},
        lines=tuple(lines(forecast, advice, unknown=measured is None and bool(ledger.code_runs))),
    )


def _alternatives(forecast: Forecast, plan: Plan) -> dict[int, str | None]:
    """Return what is safer than the operation, for each statement that is the reason for it."""
    found: dict[int, str | None] = {}
    by_operation: dict[tuple[str | None, str | None], list[StatementCost]] = {}
    for cost in forecast.costs:
        if cost.effects.locks:
            by_operation.setdefault((cost.migration, cost.operation), []).append(cost)
    operations = {
        (step.label, label_of(number, operation)): operation
        for step in plan.steps
        if not step.backwards
        for number, operation in enumerate(step.migration.operations)
    }
    for (migration, label), costs in by_operation.items():
        operation = operations.get((migration or "", label or ""))
        if operation is None:
            continue
        rewrites = any(cost.effects.rewrites for cost in costs)
        text = alternative(operation, [cost.sql for cost in costs], rewrites=rewrites)
        for cost in costs:
            effects = cost.effects
            heavy = effects.rewrites or effects.scans or effects.builds
            light = isinstance(operation, (RemoveField, RemoveIndex))
            if heavy or light:
                found[id(cost)] = text
    return found


def _measured(rehearsal: Rehearsal | None) -> Measurements | None:
    if rehearsal is None:
        return None
    without_rows = {".".join(table): 0 for table in rehearsal.selection.without_rows}
    return Measurements(statements=rehearsal.statements, rows=without_rows)
