"""What a drift means for the plan: silent harm, the explanation of an error, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.report import Finding, Severity
from opsmigrate.schema.drift import drift_of
from opsmigrate.schema.drift_words import Drift

# The drifts that lead to a finding, and know what to type.
CAUSES = {
    "computed-column": {"drift-generated"},
    "default-in-the-way": {"drift-type"},
    "expression-invalid": {"drift-type"},
    "foreign-key-type": {"drift-type"},
    "missing-column": {"drift-column-missing"},
    "missing-constraint": {
        "drift-check",
        "drift-exclusion",
        "drift-foreign-key",
        "drift-primary-key",
        "drift-unique",
    },
    "missing-table": {"drift-table-missing"},
    "no-operator-class": {"drift-type"},
    "type-not-castable": {"drift-type"},
}


def find_drift(
    connection: BaseDatabaseWrapper, executor: MigrationExecutor, catalog: Catalog, ledger: Ledger
) -> tuple[Drift, ...]:
    """Return the drift; mark it as undecided if it cannot be read: no verdict depends on it."""
    try:
        return drift_of(connection, executor, catalog)
    except Exception as error:  # a field or a database router of the project may raise anything
        words = f"{type(error).__name__}: {first_line(error)}"
        ledger.add(
            Finding(
                id="drift-unknown",
                severity=Severity.INFO,
                message=f"the database was not compared with the applied migrations: {words}",
                hint="correct the field or the router that raises this exception",
            )
        )
        return ()


def judge_drift(
    connection: BaseDatabaseWrapper, catalog: Catalog, drifts: tuple[Drift, ...], ledger: Ledger
) -> list[dict[str, Any]]:
    """Add each drift to the findings that are not explained by it, and return all with words.

    An error at the same table and column is what the drift leads to: it needs no second finding.
    A warning is a drift that the plan will destroy without a word.
    """
    tables = {item.label: item for item in catalog.relations}
    facts = []
    for drift in drifts:
        severity, place = _explained(drift, ledger), None
        if severity is None:
            place = next(_dropping(connection, drift, tables.get(drift.table), ledger), None)
            severity = Severity.WARNING if place else Severity.INFO
            ledger.add(_finding(drift, severity, place))
        facts.append(
            {
                "id": drift.id,
                "severity": severity.value,
                "table": drift.table,
                "column": drift.column,
                "name": drift.name,
                "claimed": drift.claimed,
                "live": drift.live,
            }
        )
    return facts


def with_causes(findings: Iterable[Finding], drifts: tuple[Drift, ...]) -> tuple[Finding, ...]:
    """Return the findings with the steps of the drifts that they come from."""
    ledger = Ledger()
    ledger.add(*findings)
    for drift in drifts:
        _explained(drift, ledger)
    return ledger.findings


def _explained(drift: Drift, ledger: Ledger) -> Severity | None:
    found = None
    for finding in ledger.findings:
        same = finding.table == drift.table and finding.column in (None, drift.column)
        if finding.severity is not Severity.ERROR or not same:
            continue
        # Whoever reads only the second of two findings is to read the same.
        certain = finding.column is not None or drift.id == "drift-table-missing"
        if (found is None or certain) and drift.id in CAUSES.get(finding.id, ()):
            ledger.replace(finding, _with_steps(finding, drift))
        found = Severity.ERROR
    return found


def _with_steps(finding: Finding, drift: Drift) -> Finding:
    """Return the finding with the steps of its cause; what has steps of its own keeps them.

    But a column that may be there under another name is renamed rather than seeded.
    """
    if finding.evidence.get("name") not in (None, drift.name):
        return finding
    if not finding.steps:
        return replace(finding, hint=drift.hint or finding.hint, steps=drift.steps)
    renames = tuple(step for step in drift.steps if " RENAME COLUMN " in step.text)
    if not renames or finding.id != "missing-column":
        return finding
    last = renames[-1].alternative + 1
    seeds = tuple(replace(step, alternative=last) for step in finding.steps)
    return replace(finding, hint=drift.hint, steps=(*renames, *seeds))


def _dropping(
    connection: BaseDatabaseWrapper, drift: Drift, table: Relation | None, ledger: Ledger
) -> Iterator[PlannedStatement]:
    """Yield each statement of the plan that drops a column which nobody knows, with its values."""
    if drift.id != "drift-column-unknown" or table is None:
        return
    # Loaded only where there is a drift.
    from opsmigrate.schema.remedies.rows import has_values

    name = connection.ops.quote_name(table.name)
    for statement in ledger.statements:
        drops = statement.sql.startswith("DROP TABLE ") and name in statement.sql
        # Also where it cannot be known.
        if drops and has_values(connection, table, drift.column or "") is not False:
            yield statement


def _finding(drift: Drift, severity: Severity, place: PlannedStatement | None) -> Finding:
    harm = f"; the plan drops {drift.table} and its values" if place else ""
    return Finding(
        id=drift.id,
        severity=severity,
        message=drift.words + harm,
        hint=drift.hint,
        steps=drift.steps,
        migration=place.migration if place else None,
        operation=place.operation if place else None,
        table=drift.table,
        column=drift.column,
        evidence={"claimed": drift.claimed, "live": drift.live, "name": drift.name},
    )
