"""What to type where the history itself is wrong: it contradicts itself, or may not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.names import literal, quoted
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.recovery.traces import Trace, live_traces, traces_of
from opsmigrate.preflight.walk.privileges import BY_OTHERS, missing_privilege, missing_to_insert
from opsmigrate.report import Finding
from opsmigrate.schema.drift import drift_of
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.steps import Step, statement

Node = tuple[str, str]


def with_steps(connection: BaseDatabaseWrapper, catalog: Catalog, plan: Plan) -> Iterator[Finding]:
    """Yield the findings of the plan, with what to type for those that the history causes."""
    named = (each for each in catalog.relations if each.name == HISTORY and each.visible)
    relation = next(named, None)
    for finding in plan.findings:
        if relation is not None and finding.id == "missing-privilege":
            yield replace(finding, hint=BY_OTHERS, steps=_rights(connection, catalog, relation))
        elif relation is not None and plan.refused is not None:
            yield _consistent(connection, catalog, plan.refused, relation, finding)
        else:
            yield finding


def _rights(
    connection: BaseDatabaseWrapper, catalog: Catalog, relation: Relation
) -> tuple[Step, ...]:
    """Return all rights that migrate needs on its history, to apply and to unapply."""
    columns = ("app", "name", "applied")
    privileges = (
        missing_privilege(connection, relation, "SELECT"),
        *missing_to_insert(connection, relation, columns),
        missing_privilege(connection, relation, "DELETE"),
    )
    return tuple(
        step
        for missing in privileges
        if missing is not None
        for step in missing.steps(catalog.role)
    )


def _consistent(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    executor: MigrationExecutor,
    relation: Relation,
    finding: Finding,
) -> Finding:
    """Return the finding with the records to add, or those to take out.

    A migration without a record, of which all that it makes is there, has run. One of which nothing
    is there has not, nor have those that need it, if nothing of those is there either. Where they
    make nothing, that history is right from which the database differs less.
    """
    loader = executor.loader
    missing, later = _contradicting(loader)
    named = ", ".join(".".join(node) for node in missing)
    every = [*missing, *later]
    made, found = _traces(connection, catalog, loader, missing, every)
    there = made <= found if made else None
    if there is None:
        there = _fits_better(connection, catalog, executor, missing, later)
    if there:
        steps = tuple(_records(relation, missing))
        return replace(finding, hint="record what ran", steps=steps)
    if there is None:
        hint = (
            f"decide, as the catalog does not tell: did {named} run? Then record it; else delete "
            "the record of what needs it, and migrate applies both"
        )
        taken = (replace(step, alternative=2) for step in _without(relation, later))
        return replace(finding, hint=hint, steps=(*_records(relation, missing), *taken))
    if not found | _traces(connection, catalog, loader, later, every)[1]:
        hint = "delete the record of what did not run; migrate then applies both"
        return replace(finding, hint=hint, steps=tuple(_without(relation, later)))
    hint = f"what {named} creates does not exist completely: create it by hand, then record it"
    return replace(finding, hint=hint)


def _contradicting(loader: MigrationLoader) -> tuple[list[Node], list[Node]]:
    """Return the migrations without a record that recorded ones need, and these, in order."""
    applied = set(loader.applied_migrations)
    missing: dict[Node, None] = {}
    later: dict[Node, None] = {}
    for leaf in loader.graph.leaf_nodes():
        for node in loader.graph.forwards_plan(leaf):
            if node in applied:
                before = [each for each in loader.graph.forwards_plan(node) if each not in applied]
                missing.update(dict.fromkeys(before))
                if before:
                    later[node] = None
    return list(missing), list(later)


def _traces(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    loader: MigrationLoader,
    nodes: Sequence[Node],
    every: Sequence[Node],
) -> tuple[set[Trace], set[Trace]]:
    """Return the tables and columns that these migrations make, and which of them are there.

    `every` are all that contradict each other.
    """
    known = [node for node in loader.applied_migrations if node in loader.graph.nodes]
    last = loader.project_state([*known, *every])
    made: set[Trace] = set()
    for node in nodes:
        before = traces_of(loader.project_state(node, at_end=False), node[0], connection)
        after = traces_of(loader.project_state(node), node[0], connection)
        at_last = traces_of(last, node[0], connection)
        made |= {
            trace
            for trace in set(after) - set(before)
            if trace in at_last and trace[0] in ("table", "column")
        }
    return made, made & set(live_traces(catalog, made))


def _fits_better(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    executor: MigrationExecutor,
    missing: Sequence[Node],
    later: Sequence[Node],
) -> bool | None:
    """Return whether the database looks more as if `missing` had run than as if `later` had not."""
    loader = executor.loader
    known = [node for node in loader.applied_migrations if node in loader.graph.nodes]
    histories = ([*known, *missing], [node for node in known if node not in later])
    try:
        ran, not_run = (
            {
                (each.id, each.table, each.column, each.name)
                for each in drift_of(connection, executor, catalog, loader.project_state(nodes))
            }
            for nodes in histories
        )
    except Exception:  # a field or a database router of the project may raise anything
        return None
    if ran < not_run:
        return True
    return False if not_run < ran else None


def _records(relation: Relation, nodes: Sequence[Node]) -> Iterator[Step]:
    table = quoted(relation.schema, relation.name)
    for app, name in nodes:
        yield statement(
            f"INSERT INTO {table} (app, name, applied) "  # noqa: S608
            f"VALUES ({literal(app)}, {literal(name)}, now())"
        )


def _without(relation: Relation, nodes: Sequence[Node]) -> Iterator[Step]:
    table = quoted(relation.schema, relation.name)
    for app, name in nodes:
        yield statement(
            f"DELETE FROM {table} WHERE app = {literal(app)} AND name = {literal(name)}",  # noqa: S608
            risk="deletes the record of a migration that did not run",
        )
