"""A migration whose objects are there already: recorded, as a whole or after the rest of it."""

from __future__ import annotations

from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan, state_before
from opsmigrate.preflight.recovery.half_applied import StoppedMigration, find_stop
from opsmigrate.preflight.recovery.remedies import Halfway, rest_of
from opsmigrate.report import Finding, Severity
from opsmigrate.schema.drift import drift_of
from opsmigrate.steps import Step as Command
from opsmigrate.steps import command, statement

# What is found where an object is there, or is called by its new name, before its migration ran.
SAYS_SO = frozenset(
    {
        "column-exists",
        "constraint-exists",
        "index-exists",
        "missing-column",
        "missing-constraint",
        "missing-index",
        "missing-table",
        "table-exists",
    }
)
WITH_THE_FIRST = "is part of the finding before it"


def note_already_there(
    connection: BaseDatabaseWrapper, catalog: Catalog, plan: Plan, ledger: Ledger
) -> None:
    """Give the findings of a migration that is there the steps that record it, before all others.

    It is there where the catalog has its traces, and the live schema differs from the state after
    it in nothing in which it does not differ from the one before.
    """
    errors = [each for each in ledger.findings if each.severity is Severity.ERROR]
    if plan.executor is None:
        return
    for each in [each for each in errors if each.id == "half-applied" and each.steps]:
        _drop_others(ledger, each)
        return
    # What comes after the first that fails is another day's question.
    for number, step in enumerate(plan.steps):
        found = [each for each in errors if each.migration == step.label]
        if not found:
            continue
        if found[0].id in SAYS_SO and not step.backwards:
            state = state_before(plan)
            for earlier in plan.steps[:number]:
                state = earlier.migration.mutate_state(state, preserve=True)
            stop = find_stop(connection, catalog, step, state)
            steps = _recording(connection, catalog, plan.executor, stop, state) if stop else ()
            if stop and steps:
                first = _with(found[0], steps, whole=stop.done == len(stop.labels))
                ledger.replace(found[0], first)
                _drop_others(ledger, first)
        return


def _recording(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    executor: MigrationExecutor,
    stop: StoppedMigration,
    state: ProjectState,
) -> tuple[Command, ...]:
    migration = stop.step.migration
    if stop.partly or stop.unknown or stop.invalid or not stop.done:
        return ()
    before = drift_of(connection, executor, catalog, state)
    after = drift_of(connection, executor, catalog, stop.states[stop.done])
    if not all(drift in before for drift in after):
        return ()
    rest = rest_of(Halfway(connection, catalog, migration, stop.states, stop.done))
    if rest is None:
        return ()
    parents = executor.loader.graph.node_map[migration.app_label, migration.name].parents
    first = sorted(
        parent.key for parent in parents if parent.key not in executor.loader.applied_migrations
    )
    return (
        *(command(f"python manage.py migrate {app} {name}") for app, name in first),
        *map(statement, rest),
        command(f"python manage.py migrate --fake {migration.app_label} {migration.name}"),
    )


def _drop_others(ledger: Ledger, first: Finding) -> None:
    """Take away the steps of what is gone with the first finding of a migration."""
    for finding in ledger.findings:
        others = finding.migration == first.migration and finding is not first
        if others and finding.severity is Severity.ERROR and finding.id in SAYS_SO:
            ledger.replace(finding, replace(finding, hint=WITH_THE_FIRST, steps=()))


def _with(finding: Finding, steps: tuple[Command, ...], *, whole: bool) -> Finding:
    is_there = "everything that the migration creates already exists as it creates it: record it"
    if not whole:
        is_there = (
            "what the migration creates first already exists as it creates it: do the rest, "
            "then record it"
        )
    others = tuple(replace(each, alternative=each.alternative + 1) for each in finding.steps)
    hint = f"{is_there}; or {finding.hint}" if others and finding.hint else is_there
    return replace(finding, hint=hint, steps=(*steps, *others))
