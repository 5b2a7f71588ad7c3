"""The forecast in the report: facts, a section of the text, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

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
from opsmigrate.preflight.forecast.presentation import lines, long_locks
from opsmigrate.preflight.forecast.timeline import Measurements
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.sql.grammar import INSTALL
from opsmigrate.sql.statement import NoGrammarError

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement


@dataclass(frozen=True, kw_only=True)
class ForecastReport:
    """What the forecast adds to the report; `forecast` is None where there could be none.

    `instead` is what is safer than a statement's operation, by the id of its cost.
    """

    planned: tuple[PlannedStatement, ...]
    forecast: Forecast | None = None
    instead: Mapping[int, str | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    @property
    def costs(self) -> tuple[StatementCost, ...]:
        """Return what is expected of each statement."""
        return self.forecast.costs if self.forecast else ()

    @property
    def seconds(self) -> tuple[float | None, ...]:
        """Return what each statement may take, None where that is not known."""
        if self.forecast is None:
            return (None,) * len(self.planned)
        return tuple(cost.seconds for cost in self.costs)

    def statements_as_json(self) -> list[dict[str, Any]]:
        """Return the statements as the JSON report has them."""
        if self.forecast is None:
            return [
                {
                    "migration": each.migration,
                    "operation": each.operation,
                    "sql": each.sql,
                    "tables": list(each.tables),
                }
                for each in self.planned
            ]
        return [
            statement_facts(self.forecast, cost, self.instead.get(id(cost))) for cost in self.costs
        ]

    def with_derived_locks(self, item: RehearsedStatement) -> RehearsedStatement:
        """Return a rehearsed statement with locks, which nobody could see where it stood alone."""
        if item.locks is not None:
            return item
        derived = (cost.effects.locks for cost in self.costs if cost.rehearsed is item)
        return replace(item, locks=next(derived, {}))


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
    measured, planned = _measured(rehearsal), tuple(ledger.statements)
    try:
        forecast = make_forecast(connection, catalog, planned, measured, non_atomic)
    except NoGrammarError as error:
        return _none(planned, str(error), INSTALL)
    except Error as error:
        return _none(planned, f"the server did not answer: {first_line(error)}")
    except Exception as error:  # a statement may be anything: what is only expected decides nothing
        words = f"{type(error).__name__}: {first_line(error)}"
        return _none(planned, f"a statement was not understood: {words}")
    instead = _alternatives(forecast, plan)
    advice = order_advice(forecast)
    # Not by find(): what is expected must leave no question open.
    ledger.add(*long_locks(forecast, instead))
    return ForecastReport(
        planned=planned,
        forecast=forecast,
        instead=instead,
        facts={"locks": lock_facts(forecast), "advice": advice},
        lines=tuple(lines(forecast, advice, unknown=measured is None and bool(ledger.code_runs))),
    )


def _none(planned: tuple[PlannedStatement, ...], why: str, *more: str) -> ForecastReport:
    line = f"Forecast: none, as {': '.join([why, *more])}"
    return ForecastReport(planned=planned, facts={"locks": None, "why": why}, lines=(line,))


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
        text = alternative(
            operation, [part for cost in costs for part in cost.parts], rewrites=rewrites
        )
        for cost in costs:
            light = isinstance(operation, (RemoveField, RemoveIndex))
            if cost.effects.worked or light:
                found[id(cost)] = text
    return found


def _measured(rehearsal: Rehearsal | None) -> Measurements | None:
    if rehearsal is None:
        return None
    without_rows = {".".join(table): 0 for table in rehearsal.selection.without_rows}
    return Measurements(statements=rehearsal.statements, rows=without_rows)
