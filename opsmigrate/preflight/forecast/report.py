"""The forecast in the report: facts, a section of the text, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import RemoveField, RemoveIndex

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.errors import first_line
from opsmigrate.preflight.forecast.advice import order_advice
from opsmigrate.preflight.forecast.alternatives import alternative
from opsmigrate.preflight.forecast.measured import Measured
from opsmigrate.preflight.forecast.outlook import (
    Forecast,
    Weight,
    held_facts,
    make_forecast,
    statement_facts,
)
from opsmigrate.preflight.forecast.words import lines, long_locks
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.rehearsal.outcome import Rehearsal


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What the forecast adds to the report."""

    statements: list[dict[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


def look_ahead(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    plan: Plan,
    ledger: Ledger,
    rehearsal: Rehearsal | None,
) -> Outlook:
    """Return the forecast of the plan, and add its findings; it never changes the verdict."""
    migrations = {step.label: step.migration for step in plan.steps}
    non_atomic = frozenset(label for label, each in migrations.items() if not each.atomic)
    measured = _measured(rehearsal)
    try:
        forecast = make_forecast(connection, catalog, ledger.statements, measured, non_atomic)
    except Error as error:
        why = f"the server did not answer: {first_line(error)}"
        return Outlook(statements=ledger.statements, facts={"locks": None, "why": why})
    except Exception as error:  # a statement may be anything: what is only expected decides nothing
        why = f"a statement was not understood: {type(error).__name__}: {first_line(error)}"
        return Outlook(statements=ledger.statements, facts={"locks": None, "why": why})
    instead = _alternatives(forecast, plan)
    advice = order_advice(forecast)
    # Not by find(): what is expected must leave no question open.
    ledger.add(*long_locks(forecast, instead))
    return Outlook(
        statements=[
            statement_facts(forecast, weight, instead.get(id(weight)))
            for weight in forecast.weights
        ],
        facts={"locks": held_facts(forecast), "advice": advice},
        lines=tuple(lines(forecast, advice, unknown=measured is None and bool(ledger.code_runs))),
    )


def _alternatives(forecast: Forecast, plan: Plan) -> dict[int, str | None]:
    """Return what is safer than the operation, for each statement that is the reason for it."""
    found: dict[int, str | None] = {}
    by_operation: dict[tuple[str | None, str | None], list[Weight]] = {}
    for weight in forecast.weights:
        if weight.effects.locks:
            by_operation.setdefault((weight.migration, weight.operation), []).append(weight)
    operations = {
        (step.label, label_of(number, operation)): operation
        for step in plan.steps
        if not step.backwards
        for number, operation in enumerate(step.migration.operations)
    }
    for (migration, label), weights in by_operation.items():
        operation = operations.get((migration or "", label or ""))
        if operation is None:
            continue
        rewrites = any(weight.effects.rewrites for weight in weights)
        text = alternative(operation, [weight.sql for weight in weights], rewrites=rewrites)
        for weight in weights:
            effects = weight.effects
            heavy = effects.rewrites or effects.scans or effects.builds
            light = isinstance(operation, (RemoveField, RemoveIndex))
            if heavy or light:
                found[id(weight)] = text
    return found


def _measured(rehearsal: Rehearsal | None) -> Measured | None:
    if rehearsal is None:
        return None
    without_rows = {".".join(table): 0 for table in rehearsal.selection.without_rows}
    return Measured(statements=rehearsal.statements, rows=without_rows)
