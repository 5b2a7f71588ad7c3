"""After a failure: a migration that is not atomic stopped half-way; what is done, what to type."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan, PlanStep, state_before
from opsmigrate.preflight.recovery.remedies import Halfway, remedy
from opsmigrate.preflight.recovery.traces import (
    Trace,
    Traces,
    invalid_indexes,
    live_traces,
    same,
    traces_of,
)
from opsmigrate.report import Finding, Severity
from opsmigrate.schema.applied import flat
from opsmigrate.sql.placeholders import statements_if_readable


@dataclass(frozen=True, kw_only=True)
class StoppedMigration:
    """Where a migration stopped.

    The first `done` operations are there; `partly` says that the next one is there in part. Of the
    operations in `unknown` the catalog does not tell whether they ran.
    """

    step: PlanStep
    states: Sequence[ProjectState]
    done: int
    partly: bool
    unknown: tuple[str, ...] = ()
    invalid: tuple[tuple[str, str], ...] = field(default=())

    @property
    def labels(self) -> list[str]:
        """Return the operations as findings name them."""
        return [label_of(*each) for each in enumerate(self.step.migration.operations)]


def note_half_applied(
    connection: BaseDatabaseWrapper, catalog: Catalog, plan: Plan, ledger: Ledger
) -> None:
    """Add a finding for each migration of the plan that is not atomic and stopped half-way.

    Looked for where its walk found errors, or where it makes an index that is there as INVALID.
    """
    failing = {item.migration for item in ledger.findings if item.severity is Severity.ERROR}
    invalid = bool(invalid_indexes(catalog, (name for step in plan.steps for name in _made(step))))
    for number, step in enumerate(plan.steps):
        suspicious = not (step.backwards or step.migration.atomic) and (
            step.label in failing or invalid
        )
        if suspicious and _is_next(plan, step):
            state = state_before(plan)
            for earlier in plan.steps[:number]:
                state = earlier.migration.mutate_state(state, preserve=True)
            stop = find_stop(connection, catalog, step, state)
            if stop is not None:
                # SQL by hand may find its way past what is there.
                severity = Severity.ERROR if step.label in failing else Severity.WARNING
                _add(connection, catalog, stop, ledger, severity)


def _is_next(plan: Plan, step: PlanStep) -> bool:
    """Return whether all that the migration depends on is applied, so that it can have begun."""
    assert plan.executor is not None  # noqa: S101 - a plan with steps has one
    loader = plan.executor.loader
    node = (step.migration.app_label, step.migration.name)
    before = set(loader.graph.forwards_plan(node)) - {node}
    return before <= set(loader.applied_migrations)


def _made(step: PlanStep) -> Iterator[str]:
    """Yield the names of the indexes that a migration makes."""
    for operation in flat(step.migration.operations):
        index = getattr(operation, "index", None)
        if index is not None:
            yield as_stored(index.name)
        elif isinstance(operation, RunSQL):
            yield from (name for _, name in _indexes_made(operation))


def _indexes_made(operation: RunSQL) -> list[tuple[str, str]]:
    """Return table and name of each index that SQL written by hand makes."""
    given = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    texts = [str(each if isinstance(each, str) else each[0]) for each in given]
    return [
        (as_stored(each.node.relation.relname), as_stored(each.node.idxname))
        for text in texts
        for each in statements_if_readable(text) or ()
        if each.kind == "index_stmt" and each.node.idxname
    ]


def find_stop(
    connection: BaseDatabaseWrapper, catalog: Catalog, step: PlanStep, state: ProjectState
) -> StoppedMigration | None:
    """Return where the migration stopped, None where nothing of it is there."""
    operations = step.migration.operations
    states, expected = [state], [traces_of(state, step.migration.app_label, connection)]
    by_hand: Traces = {}
    hidden: set[Trace] = set()
    for operation in operations:
        state = state.clone()
        operation.state_forwards(step.migration.app_label, state)
        states.append(state)
        if isinstance(operation, RunSQL):
            by_hand |= {("index", *made): None for made in _indexes_made(operation)}
        now = {**traces_of(state, step.migration.app_label, connection), **by_hand}
        if isinstance(operation, SeparateDatabaseAndState):
            hidden |= _changed(expected[-1], now)
        expected.append(now)
    names = {name: number for number, each in enumerate(operations) for name in _names(each)}
    invalid = invalid_indexes(catalog, names)
    last = min((names[index.name] for _, index in invalid), default=len(operations))
    universe = {trace for each in expected for trace in _changed(expected[0], each)} - hidden
    live = live_traces(catalog, universe)
    done, partly = _longest(expected, live, universe, last)
    if done is None or (done == 0 and not partly and not invalid):
        return None
    return StoppedMigration(
        step=step,
        states=states,
        done=done,
        partly=partly,
        unknown=tuple(_unknown(operations, expected, done)),
        invalid=tuple((relation.schema, index.name) for relation, index in invalid),
    )


def _names(operation: Operation) -> list[str]:
    found = []
    for each in flat([operation]):
        index = getattr(each, "index", None)
        if index is not None:
            found.append(as_stored(index.name))
        elif isinstance(each, RunSQL):
            found += [name for _, name in _indexes_made(each)]
    return found


def _changed(one: Traces, other: Traces) -> set[Trace]:
    return {
        trace
        for trace in {*one, *other}
        if (trace in one) != (trace in other) or one.get(trace) != other.get(trace)
    }


def _fits(expected: Traces, live: Traces, universe: set[Trace]) -> bool:
    return all(
        (trace in expected) == (trace in live)
        and (trace not in live or same(expected[trace], live[trace]))
        for trace in universe
    )


def _longest(
    expected: Sequence[Traces], live: Traces, universe: set[Trace], last: int
) -> tuple[int | None, bool]:
    """Return how many operations are there, and whether the next one is there in part."""
    for done in range(last, -1, -1):
        if _fits(expected[done], live, universe):
            return done, False
    for done in range(min(last, len(expected) - 2), -1, -1):
        before, after = expected[done], expected[done + 1]
        changed = universe & _changed(before, after)
        either = all(_fits(before, live, {each}) or _fits(after, live, {each}) for each in changed)
        if either and _fits(before, live, universe - changed):
            return done, True
    return None, False


def _unknown(
    operations: Sequence[Operation], expected: Sequence[Traces], done: int
) -> Iterator[str]:
    """Yield the code at the end of what is done, which leaves no trace in the catalog."""
    for number in range(done - 1, -1, -1):
        if _changed(expected[number], expected[number + 1]):
            return
        if isinstance(operations[number], (RunPython, RunSQL, SeparateDatabaseAndState)):
            yield label_of(number, operations[number])


def _add(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    stop: StoppedMigration,
    ledger: Ledger,
    severity: Severity,
) -> None:
    labels = stop.labels
    done = ", ".join(labels[: stop.done]) or "no operation"
    words = [
        (
            f"{stop.step.label} is not atomic and stopped half-way: its completed operations are "
            f"{done}"
        )
    ]
    if stop.partly:
        words.append(f"{labels[stop.done]} is done in part")
    if stop.invalid:
        words.append(f"these indexes are INVALID: {', '.join(name for _, name in stop.invalid)}")
    if stop.unknown:
        words.append(f"whether {', '.join(stop.unknown)} ran cannot be determined")
    evidence: dict[str, Any] = {
        "done": labels[: stop.done],
        "partly": labels[stop.done] if stop.partly else None,
        "remaining": labels[stop.done :],
        "unknown": list(stop.unknown),
        "invalid": [f"{schema}.{name}" for schema, name in stop.invalid],
    }
    cure = remedy(
        Halfway(connection, catalog, stop.step.migration, stop.states, stop.done),
        partly=stop.partly,
        unknown=stop.unknown,
        invalid=stop.invalid,
    )
    finding = Finding(
        id="half-applied",
        severity=severity,
        message="; ".join(words),
        hint=cure.hint,
        steps=cure.steps,
        migration=stop.step.label,
        operation=labels[min(stop.done, len(labels) - 1)],
        evidence=evidence,
    )
    ledger.add_before(finding)
