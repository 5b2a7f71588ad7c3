"""The forecast in the report: facts, a section of the text, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.errors import first_line
from opsmigrate.preflight.forecast.advice import alternative, operation_of, order_advice
from opsmigrate.preflight.forecast.measured import Measured
from opsmigrate.preflight.forecast.outlook import (
    held_facts,
    make_forecast,
    statement_facts,
)
from opsmigrate.preflight.forecast.words import lines, long_locks
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.rehearsal import Rehearsal


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
    instead = {
        id(weight): alternative(weight, operation_of(weight, migrations))
        for weight in forecast.weights
        if any(forecast.size(label).rows != 0 for label in weight.effects.locks)
    }
    advice = order_advice(forecast)
    # Not through the ledger's find(): what is expected must leave no question open.
    ledger.findings += long_locks(forecast, instead)
    return Outlook(
        statements=[
            statement_facts(forecast, weight, instead.get(id(weight)))
            for weight in forecast.weights
        ],
        facts={"locks": held_facts(forecast), "advice": advice},
        lines=tuple(lines(forecast, advice)),
    )


def _measured(rehearsal: Rehearsal | None) -> Measured | None:
    return None if rehearsal is None else Measured(statements=rehearsal.statements)
