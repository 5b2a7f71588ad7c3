"""What is said of the constraints that rows contradict: the live rows, and the query for them."""

from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.broken import BrokenConstraint
from opsmigrate.preflight.walk.probes import ABOUT_ROWS, BadRows, Probe, ask, orphans_of, violations
from opsmigrate.preflight.walk.simulation import ForeignKey, SimulatedTable, Simulation
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import statement

EXPRESSION = """
SELECT pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
WHERE k.conrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND k.conname = %s
"""


def report_broken(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    broken: Iterable[BrokenConstraint],
    ledger: Ledger,
) -> None:
    """Warn of each: no statement of the plan fails by it, unless something else says so."""
    live = Simulation(catalog)
    keys = {(key.table.schema, key.table.name, key.name): key for key in live.foreign_keys}
    for item in broken:
        if item.is_check:
            table = live.table(quoted(item.schema, item.table))
            found = _of_check(connection, item, _violations(connection, table, item.name))
        else:
            found = _of_key(connection, item, keys.get((item.schema, item.table, item.name)))
        # Not through find(): SQL by hand in the plan does not make it less true today.
        ledger.findings += found


def _of_check(
    connection: BaseDatabaseWrapper, item: BrokenConstraint, probe: Probe | None
) -> list[Finding]:
    bad = ask(connection, probe) if probe else None
    if bad is not None and not bad.count:
        # Something else kept it from the copy, as a function that is not found there.
        return []
    return [
        Finding(
            id="broken-check",
            severity=Severity.WARNING,
            message=f"the check {_believed(item)}, but {_words(probe, bad)}",
            hint=ABOUT_ROWS[probe.id] if probe else "correct the rows",
            steps=(statement(bad.query),) if bad else (),
            table=f"{item.schema}.{item.table}",
        )
    ]


def _of_key(
    connection: BaseDatabaseWrapper, item: BrokenConstraint, key: ForeignKey | None
) -> list[Finding]:
    probe = orphans_of(connection, key) if key else None
    bad = ask(connection, probe) if probe else None
    return [
        Finding(
            id="broken-foreign-key",
            severity=Severity.WARNING,
            message=f"the foreign key {_believed(item)}, but {_words(probe, bad)}",
            hint=ABOUT_ROWS["orphan-rows"],
            steps=(statement(bad.query),) if bad and bad.count else (),
            table=f"{item.schema}.{item.table}",
            column=key.columns[0] if key else None,
        )
    ]


def _believed(item: BrokenConstraint) -> str:
    return f"{item.name} of {item.schema}.{item.table} stands as valid"


def _words(probe: Probe | None, bad: BadRows | None) -> str:
    if probe is None or bad is None or not bad.count:
        return "a copy of its rows does not satisfy it"
    return probe.said_of(bad)


def _violations(
    connection: BaseDatabaseWrapper, table: SimulatedTable | None, name: str
) -> Probe | None:
    if table is None or name not in table.constraints:
        return None
    rows = seen_by_project(connection, EXPRESSION, [table.schema, table.name, name])
    return violations(table, rows[0][0], table.constraints[name][1]) if rows else None
