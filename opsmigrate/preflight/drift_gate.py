"""Whether the live tables are what the applied migrations claim, as a gate of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from opsmigrate.counted import counted
from opsmigrate.errors import UndecidedError
from opsmigrate.postgres.catalog import Catalog, read_catalog
from opsmigrate.postgres.connected_schemas import read_neighbours
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.another_migrate import find_another_migrate
from opsmigrate.preflight.plan import MigrateArguments, make_plan
from opsmigrate.report import Finding, Result, Severity, Undecided, Verdict
from opsmigrate.schema.drift import drift_of
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.remedies import REMEDIES
from opsmigrate.steps import command
from opsmigrate.waivers import DriftWaiver, UsedWaiver, used_waiver

SETTING = 'OPSMIGRATE["DRIFT_WAIVERS"]'


@dataclass(frozen=True)
class Judged:
    """A drift, and the waiver by which it is let pass, if there is one."""

    drift: Drift
    waiver: DriftWaiver | None

    def as_finding(self) -> Finding:
        """Return what is reported of it."""
        drift, waived = self.drift, f" (waived: {self.waiver.words})" if self.waiver else ""
        return Finding(
            id=drift.id,
            severity=Severity.INFO if self.waiver else Severity.ERROR,
            message=drift.words + waived,
            hint=drift.hint,
            steps=drift.steps,
            table=drift.table,
            column=drift.column,
            evidence={"claimed": drift.claimed, "live": drift.live, "name": drift.name},
        )

    def as_fact(self) -> dict[str, Any]:
        """Return it for the report."""
        drift = self.drift
        return {
            "id": drift.id,
            "table": drift.table,
            "column": drift.column,
            "name": drift.name,
            "claimed": drift.claimed,
            "live": drift.live,
            "waived": self.waiver.words if self.waiver else None,
        }


def check(
    connection: BaseDatabaseWrapper, waivers: Sequence[DriftWaiver], *, today: date
) -> tuple[Result, tuple[Drift, ...]]:
    """Return the result, failed where a drift is not waived, and these drifts.

    What another migrate has not committed yet looks like drift: while one runs, nothing is decided
    (undecided); nor where the history is inconsistent. Raises UndecidedError where nothing can be
    compared: a field of the project raises an exception, or no migration is applied.
    """
    plan = make_plan(connection, MigrateArguments())
    if plan.executor is None:
        why = plan.findings[0].message
        return (
            Result(
                verdict=Verdict.UNDECIDED,
                summary=f"the database cannot be compared with the applied migrations: {why}",
                findings=plan.findings,
            ),
            (),
        )
    catalog, drifts = _compared(connection, plan.executor)
    judged = _judged(drifts, waivers, today)
    used = _used(judged, waivers, today)
    ledger = Ledger()
    find_another_migrate(connection, catalog, ledger)
    open_questions = tuple(
        Undecided("whether a difference stays", "another migrate is running: see migrate-under-way")
        for _ in ledger.findings[:1]
    )
    applied = len(plan.executor.loader.applied_migrations)
    left = tuple(each.drift for each in judged if each.waiver is None)
    return (
        Result(
            verdict=_verdict(judged, open_questions),
            summary=_summary(judged, applied),
            findings=(
                *(each.as_finding() for each in judged),
                *(each.as_finding(SETTING) for each in used if each.is_void),
                *ledger.findings,
            ),
            undecided=open_questions,
            facts={
                "applied_migrations": applied,
                "drift": [each.as_fact() for each in judged],
                "waivers": [each.as_fact() for each in used],
            },
            again="python manage.py check_drift",
        ),
        left,
    )


def _compared(
    connection: BaseDatabaseWrapper, executor: MigrationExecutor
) -> tuple[Catalog, tuple[Drift, ...]]:
    """Return the drift, and the catalog in which it was found."""
    catalog = read_catalog(connection, read_neighbours(connection))
    drifts = _drifts(connection, executor, catalog)
    if catalog.neighbours.schemas:
        # Loaded only where something is left out.
        from opsmigrate.preflight.reached_neighbours import reaches_neighbours

        if reaches_neighbours(catalog.neighbours, Ledger(), drifts):
            catalog = read_catalog(connection)
            drifts = _drifts(connection, executor, catalog)
    return catalog, drifts


def _drifts(
    connection: BaseDatabaseWrapper, executor: MigrationExecutor, catalog: Catalog
) -> tuple[Drift, ...]:
    if not executor.loader.applied_migrations:
        raise UndecidedError(
            "no migration is applied to this database, so there is nothing to compare it with",
            id="no-migration-applied",
            hint="name the database that you mean with --database, or apply the migrations",
            steps=(command("python manage.py showmigrations"),),
        )
    try:
        return drift_of(connection, executor, catalog)
    except Exception as error:  # a field or a database router of the project may raise anything
        words = f"{type(error).__name__}: {first_line(error)}"
        raise UndecidedError(
            f"the database was not compared with the applied migrations: {words}",
            id="drift-unknown",
            hint="correct the field or the router that raises this exception",
        ) from error


def _judged(
    drifts: Sequence[Drift], waivers: Sequence[DriftWaiver], today: date
) -> tuple[Judged, ...]:
    valid = [each for each in waivers if each.expires >= today]
    return tuple(
        Judged(drift, next((each for each in valid if _covers(each, drift)), None))
        for drift in drifts
    )


def _covers(waiver: DriftWaiver, drift: Drift) -> bool:
    at = (waiver.drift, waiver.table) == (drift.id, drift.table)
    return at and waiver.column in (None, drift.column)


def _used(
    judged: Sequence[Judged], waivers: Sequence[DriftWaiver], today: date
) -> tuple[UsedWaiver, ...]:
    used = [each.waiver for each in judged if each.waiver]
    return tuple(
        used_waiver(each, known=each.drift in REMEDIES, used=each in used, today=today)
        for each in waivers
    )


def _verdict(judged: Sequence[Judged], undecided: Sequence[Undecided]) -> Verdict:
    if undecided:
        return Verdict.UNDECIDED
    wrong = any(each.waiver is None for each in judged)
    return Verdict.FAILED if wrong else Verdict.PASSED


def _summary(judged: Sequence[Judged], applied: int) -> str:
    waived = sum(each.waiver is not None for each in judged)
    of = f"what {counted(applied, 'applied migration')} describe"
    if applied == 1:
        of += "s"
    if not judged:
        return f"the tables are {of}"
    found = counted(len(judged), "difference")
    return f"{found} from {of}" + (f", {waived} of them waived" if waived else "")
