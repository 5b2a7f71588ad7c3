"""What is said of the constraints that rows contradict: the live rows, and the query for them."""

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement
from opsmigrate.preflight.walk.probes import (
    BY_INDEX,
    BadRows,
    Probe,
    ask,
    orphans_of,
    rows_where,
    violations,
)
from opsmigrate.preflight.walk.rejected_row_remedies import ABOUT_ROWS, Deciding
from opsmigrate.preflight.walk.simulated_table import SimulatedForeignKey, SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import Step, statement

EXPRESSION = """
SELECT pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
WHERE k.conrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND k.conname = %s
"""


def report_broken(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    rehearsal: Rehearsal,
    ledger: Ledger,
) -> None:
    """Report each as a warning: only a statement that rewrites the table fails because of it."""
    live = Simulation(catalog)
    deciding = Deciding(connection=connection, catalog=catalog, schema=live)
    keys = {(key.table.schema, key.table.name, key.name): key for key in live.foreign_keys}
    for item in rehearsal.broken:
        table = live.table(quoted(item.schema, item.table))
        if item.lacks_rows:
            found = _of_rows(deciding, item, table, rehearsal.statements)
        elif item.kind == "check":
            found = _of_check(deciding, item, _violations(connection, table, item.name))
        else:
            found = _of_key(deciding, item, keys.get((item.schema, item.table, item.name)))
        ledger.add(*found)


def _of_check(deciding: Deciding, item: BrokenConstraint, probe: Probe | None) -> list[Finding]:
    bad = ask(deciding.connection, probe) if probe else None
    if bad is not None and not bad.count:
        # Something else kept it from the copy, as a function that is not found there.
        return []
    said = _said(deciding, item, "check", probe, bad)
    steps = said.pop("steps")
    return [Finding(id="broken-check", severity=Severity.WARNING, steps=steps, **said)]


def _of_key(
    deciding: Deciding, item: BrokenConstraint, key: SimulatedForeignKey | None
) -> list[Finding]:
    probe = orphans_of(deciding.connection, key) if key else None
    bad = ask(deciding.connection, probe) if probe else None
    said = _said(deciding, item, "foreign key", probe, bad)
    said["column"] = key.columns[0] if key else None
    steps = said.pop("steps")
    return [Finding(id="broken-foreign-key", severity=Severity.WARNING, steps=steps, **said)]


def _of_rows(
    deciding: Deciding,
    item: BrokenConstraint,
    table: SimulatedTable | None,
    statements: Iterable[RehearsedStatement],
) -> list[Finding]:
    """Return what is said of a unique index or NOT NULL.

    A table that is written anew has its rows looked at again, and its indexes built.
    """
    unique = item.kind == "unique"
    probe = (_twice(item) if unique else _nulls(item, table)) if table else None
    bad = ask(deciding.connection, probe) if probe else None
    label = f"{item.schema}.{item.table}"
    files = {label, f"{item.schema}.{item.name}"} if unique else {label}
    anew = next((each for each in statements if files & {*each.rewrites}), None)
    what = (
        f"the unique index {item.name} of {label}" if unique else f"NOT NULL of {label}.{item.name}"
    )
    values = f": {'; '.join(bad.sample)}" if bad and bad.sample else ""
    off = tuple(statement(f"SET {name} TO off") for name in BY_INDEX) if unique else ()
    steps = (*off, statement(bad.query)) if bad else ()
    said: dict[str, Any] = {
        "severity": Severity.WARNING if anew is None else Severity.ERROR,
        "message": f"{what} is marked as valid, but {_words(probe, bad)}{values}",
        "hint": ABOUT_ROWS[probe.id] if probe else "correct the rows",
        "migration": anew.migration if anew else None,
        "operation": anew.operation if anew else None,
        "table": label,
        "column": item.columns[0] if len(item.columns) == 1 else None,
    }
    if unique:
        return [Finding(id="broken-unique", steps=steps, **said)]
    return [Finding(id="broken-not-null", steps=steps, **said)]


def _said(
    deciding: Deciding,
    item: BrokenConstraint,
    kind: str,
    probe: Probe | None,
    bad: BadRows | None,
) -> dict[str, Any]:
    """Return what is said of a check or a foreign key; `kind` is one of these words."""
    hint, ways = _ways(deciding, probe, bad)
    table = f"{item.schema}.{item.table}"
    marked = f"the {kind} {item.name} of {table} is marked as valid"
    return {
        "message": f"{marked}, but {_words(probe, bad)}",
        "hint": hint,
        "steps": ways,
        "table": table,
    }


def _ways(
    deciding: Deciding, probe: Probe | None, bad: BadRows | None
) -> tuple[str, tuple[Step, ...]]:
    """Return what to decide, and the steps: the query, and each way."""
    if probe is None:
        return "correct the rows", ()
    if bad is None or not bad.count:
        return ABOUT_ROWS[probe.id], ()
    hint, ways = deciding.about(probe.id, probe.bad)
    return hint, (statement(bad.query), *ways)


def _twice(item: BrokenConstraint) -> Probe:
    keys = ", ".join(item.columns)
    given = [f"({key}) IS NOT NULL" for key in item.columns if item.nulls_distinct]
    if item.condition:
        given.append(f"({item.condition})")
    rest = sql.SQL(
        "FROM ONLY {} AS found WHERE {} GROUP BY {}"
        " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
    ).format(
        sql.Identifier(item.schema, item.table),
        sql.SQL(" AND ".join(given) or "true"),
        sql.SQL(keys),
    )
    return Probe(
        id="duplicate-values",
        words=(f"of {item.schema}.{item.table} ({keys})", "are", "in more than one row"),
        keys=sql.SQL(keys),
        rest=rest,
        past_indexes=True,
    )


def _nulls(item: BrokenConstraint, table: SimulatedTable) -> Probe:
    # Not IS NULL: the server knows the answer, as it believes in NOT NULL.
    null = sql.SQL("pg_catalog.num_nulls(found.{}) OPERATOR(pg_catalog.=) 1")
    return rows_where(
        table,
        (item.name,),
        null.format(sql.Identifier(item.name)),
        id="null-values",
        words=("", "have", f"NULL in {item.schema}.{item.table}.{item.name}"),
        column=item.name,
    )


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
