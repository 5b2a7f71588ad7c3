"""The verdict on a plan: what it needs, against what the live database has."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import DatabaseError, Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, read_catalog
from opsmigrate.postgres.driver_errors import READ_ONLY_TRANSACTION, first_line, sqlstate
from opsmigrate.postgres.garbage_collection import gc_frozen
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import project_search_path, seen_by_project
from opsmigrate.postgres.session import Session
from opsmigrate.postgres.settings import READ_ONLY, resets_of
from opsmigrate.preflight.drift_findings import find_drift, judge_drift, with_causes
from opsmigrate.preflight.forecast.forecast_report import build_forecast
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.another_migrate import find_another_migrate
from opsmigrate.preflight.live.check_server import check_server
from opsmigrate.preflight.live.empty_database import note_empty_database
from opsmigrate.preflight.old_release.changes import Walked
from opsmigrate.preflight.plan import (
    MigrateArguments,
    Plan,
    PlanStep,
    make_plan,
    state_before,
    state_without,
    states_of_backwards,
)
from opsmigrate.preflight.plan_order import POST_MIGRATE, PlanOrder
from opsmigrate.preflight.recovery.already_there import note_already_there
from opsmigrate.preflight.recovery.half_applied import note_half_applied
from opsmigrate.preflight.recovery.history_remedies import with_steps
from opsmigrate.preflight.recovery.renamed_indexes import note_renamed_indexes
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.preflight.verdict import decide
from opsmigrate.preflight.walk.bookkeeping import require_post_migrate
from opsmigrate.preflight.walk.custom_migrate import (
    flag_custom_apply,
    mark_custom_migrate_undecided,
    nothing_written,
)
from opsmigrate.preflight.walk.default_site import require_default_site
from opsmigrate.preflight.walk.event_triggers import mark_event_triggers_undecided
from opsmigrate.preflight.walk.history_writes import require_history, require_record
from opsmigrate.preflight.walk.operations import (
    MigrateWouldRaise,
    Move,
    migrate_would_raise,
    walk_operation,
)
from opsmigrate.preflight.walk.privileges import BY_OTHERS
from opsmigrate.preflight.walk.receivers import require_receivers
from opsmigrate.preflight.walk.renamed_permissions import require_renamed_permissions
from opsmigrate.preflight.walk.replica_identity import require_replica_identities
from opsmigrate.preflight.walk.row_counts import row_counter
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.syncdb import walk_syncdb
from opsmigrate.preflight.walk.tracing import TracingEditor, tracing_editor
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result
from opsmigrate.schema.applied import models_of
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.steps import Step as Command
from opsmigrate.steps import statement

# Foreign tables have rows, too.
TABLES_AND_FOREIGN = TABLE_KINDS | {"f", "m"}


def examine(  # noqa: PLR0913 - what a command is asked
    connection: BaseDatabaseWrapper,
    session: Session,
    arguments: MigrateArguments,
    *,
    accept_undecided: bool,
    seed_step: Callable[[str, str], Command | None],
    rehearse: Callable[[Cures], Rehearsal | NotRehearsed],
    why_odd_if_empty: Callable[[], str | None],
    old_release: str,
    progress: Progress,
) -> Result:
    """Return whether `migrate` with the arguments of `arguments` will apply to this database.

    Reads the catalog and the migration files; changes nothing, and executes no operation here.
    `rehearse` is called where something is left to prove, `why_odd_if_empty` where no migration is
    applied. `old_release` is how the release that runs now is weighed: error, warn or off. Raises
    UsageError for an unknown target.
    """
    progress.phase("Reading the migration graph and the catalog")
    plan = make_plan(connection, arguments)
    catalog = read_catalog(connection)

    def explained(*, interprets: bool) -> Explained:
        with_sql = Explaining(connection, session, plan, catalog, arguments, interprets)
        return _explain(with_sql, seed_step, progress)

    found = explained(interprets=False)
    rehearsal = _rehearsal(found, plan, arguments, rehearse, behind=not found.has_sql_by_hand)
    if not isinstance(rehearsal, Rehearsal) and found.has_sql_by_hand:
        # Where no copy is at hand, what PostgreSQL's grammar says of it decides.
        without = rehearsal
        found = explained(interprets=True)
        rehearsal = _rehearsal(found, plan, arguments, lambda cures: without or rehearse(cures))
    ledger, walk, walked, drifts = found.ledger, found.walk, found.walked, found.drifts
    undecided_before = tuple(ledger.undecided)
    _, something = _left_to_prove(plan, arguments, ledger)
    if isinstance(rehearsal, Rehearsal):
        _answer_by_rehearsal(connection, catalog, plan, rehearsal, ledger)
    if walk is not None:
        _require_privileges(connection, catalog, walk, rehearsal)
    ledger.drift = judge_drift(connection, catalog, drifts, ledger) if plan.executor else None
    rehearsed = rehearsal if isinstance(rehearsal, Rehearsal) else None
    if walk is not None:
        ran = rehearsed.statements if rehearsed else ()
        walk.bodies.note(ledger, [str(each["sql"]) for each in ran])
        if something:
            require_replica_identities(walk)
    forecast_report = build_forecast(connection, catalog, plan, ledger, rehearsed)
    server, lines = (
        check_server(connection, catalog, ledger, forecast_report.statements, rehearsed)
        if plan.steps
        else (None, ())
    )
    judged = _judge_old_release(old_release, walked, walk, plan, rehearsed)
    if plan.steps:
        find_another_migrate(connection, catalog, ledger)
        note_empty_database(plan, ledger, why_odd_if_empty)
    result = decide(
        plan,
        ledger,
        arguments,
        rehearsal,
        undecided_before,
        forecast_report,
        accept_undecided=accept_undecided,
    )
    return replace(result, detail=(*result.detail, *lines)).with_facts(
        server=server, old_release=judged
    )


def _judge_old_release(
    how: str, walked: Walked | None, walk: SchemaWalk | None, plan: Plan, ran: Rehearsal | None
) -> dict[str, Any] | None:
    """Add what the old release can no longer do to the ledger; return the facts, None of none."""
    if walk is None or walked is None or how == "off":
        return None
    # Loaded only where there is a plan.
    from opsmigrate.preflight.old_release.judge import OldRelease

    old = OldRelease(walked=walked, walk=walk, plan=plan, trial=ran.trial if ran else None)
    return old.judge(walk.ledger, as_error=how == "error")


@dataclass(frozen=True)
class Explaining:
    """What is explained; `interprets` says whether SQL written by hand is interpreted."""

    connection: BaseDatabaseWrapper
    session: Session
    plan: Plan
    catalog: Catalog
    arguments: MigrateArguments
    interprets: bool


@dataclass(frozen=True)
class Explained:
    """What the catalog, the migrations and the live rows say of the plan, without a rehearsal."""

    ledger: Ledger
    drifts: tuple[Drift, ...]
    walk: SchemaWalk | None
    walked: Walked | None

    @property
    def has_sql_by_hand(self) -> bool:
        """Return whether SQL was met that people wrote."""
        return self.walk is not None and self.walk.interpretation.passed_over


def _explain(
    what: Explaining, seed_step: Callable[[str, str], Command | None], progress: Progress
) -> Explained:
    connection, plan, catalog, arguments = (
        what.connection,
        what.plan,
        what.catalog,
        what.arguments,
    )
    ledger = Ledger()
    ledger.add(*with_steps(connection, catalog, plan))
    drifts = find_drift(connection, plan.executor, catalog, ledger) if plan.executor else ()
    if plan.executor is None:
        return Explained(ledger, drifts, None, None)
    walk = SchemaWalk(
        connection,
        catalog,
        ledger,
        rows=row_counter(connection, ledger, fresh=_is_fresh(catalog)),
        seed_step=seed_step,
    )
    walk.interpretation.interprets = what.interprets
    mark_custom_migrate_undecided(connection, ledger)
    if plan.steps:
        _require_writable(connection, what.session, ledger)
    require_history(walk, plan)
    with nothing_written(connection):
        walked = _examine_steps(plan, arguments, walk, progress)
        mark_event_triggers_undecided(catalog, plan, ledger)
        if not arguments.fake:
            with _stopping_at_what_raises(ledger):
                note_half_applied(connection, catalog, plan, ledger)
                note_already_there(connection, catalog, plan, ledger)
                note_renamed_indexes(connection, catalog, plan, ledger)
    return Explained(ledger, drifts, walk, walked)


def _rehearsal(
    found: Explained,
    plan: Plan,
    arguments: MigrateArguments,
    rehearse: Callable[[Cures], Rehearsal | NotRehearsed],
    *,
    behind: bool = True,
) -> Rehearsal | NotRehearsed | None:
    """Rehearse where something is left to prove, or to be seen after what can be put right.

    None where nothing is, or an error is known and there is no place for a rehearsal. `behind` is
    whether to look at what comes after an error that is known.
    """
    error, something = _left_to_prove(plan, arguments, found.ledger)
    cures = _cures(found, plan)
    wanted = something or (found.ledger.undecided and error is None)
    behind = behind and cures.any_known and bool(plan.steps) and not arguments.fake
    rehearsal = rehearse(cures) if wanted or behind else None
    return None if error is not None and isinstance(rehearsal, NotRehearsed) else rehearsal


def _cures(found: Explained, plan: Plan) -> Cures:
    """Return what may be typed on a copy, so that the rehearsal goes on behind an error."""

    def cause(failure: Mapping[str, Any]) -> Cause:
        # Loaded only where there is a rehearsal, as it takes a while.
        from opsmigrate.preflight.rehearsal.causes import cause_of
        from opsmigrate.preflight.rehearsal.proof import cause_in_rows

        in_rows = cause_in_rows(failure, found.ledger)
        assert found.walk is not None  # noqa: S101 - a plan that was run has one
        return in_rows or cause_of(found.walk.connection, found.walk.catalog, failure)

    return Cures(plan, with_causes(found.ledger.findings, found.drifts), cause)


def _left_to_prove(
    plan: Plan, arguments: MigrateArguments, ledger: Ledger
) -> tuple[Finding | None, bool]:
    """Return the first error of the plan, and whether only running decides what comes before it."""
    order = PlanOrder(plan)
    error = order.first_error(ledger.findings)
    if error is None:
        return None, bool(plan.steps) and not arguments.fake
    stop = order.of(error.migration, error.operation)
    return error, any(order.of_what(item.what) < stop for item in ledger.undecided)


def _answer_by_rehearsal(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    plan: Plan,
    rehearsal: Rehearsal,
    ledger: Ledger,
) -> None:
    """Take from the rehearsal what it proves, and ask the live database what a copy hides."""
    # Loaded only where there is a rehearsal, as it takes a while.
    from opsmigrate.preflight.rehearsal.broken_report import report_broken
    from opsmigrate.preflight.rehearsal.causes import cause_of
    from opsmigrate.preflight.rehearsal.cured_report import report_cured
    from opsmigrate.preflight.rehearsal.proof import apply_rehearsal
    from opsmigrate.preflight.rehearsal.rehearsed_event_triggers import (
        check_rehearsed_event_triggers,
    )
    from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_rehearsed_privileges

    apply_rehearsal(rehearsal, plan, ledger, partial(cause_of, connection, catalog))
    check_rehearsed_event_triggers(catalog, rehearsal, ledger)
    report_broken(connection, catalog, rehearsal, ledger)
    check_rehearsed_privileges(connection, catalog, rehearsal.statements, ledger)
    report_cured(connection, catalog, rehearsal, ledger, partial(cause_of, connection, catalog))


def _require_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    walk: SchemaWalk,
    rehearsal: Rehearsal | NotRehearsed | None,
) -> None:
    """Report privileges that SQL written by hand lacks, which was understood and not rehearsed."""
    ran: set[tuple[str | None, str | None]] = set()
    if isinstance(rehearsal, Rehearsal):
        ran = {(each["migration"], each["operation"]) for each in rehearsal.statements}
    understood = [each._asdict() for each in walk.interpretation.understood]
    understood = [each for each in understood if (each["migration"], each["operation"]) not in ran]
    if not understood:
        return
    from opsmigrate.preflight.rehearsal.rehearsed_privileges import (
        BY_HAND,
        check_rehearsed_privileges,
    )

    check_rehearsed_privileges(connection, catalog, understood, walk.ledger, known=BY_HAND)


def _is_fresh(catalog: Catalog) -> bool:
    """Return whether the database has no table but the history."""
    tables = [each for each in catalog.relations if each.kind in TABLES_AND_FOREIGN]
    return all(each.name == HISTORY for each in tables)


def _examine_steps(
    plan: Plan, arguments: MigrateArguments, walk: SchemaWalk, progress: Progress
) -> Walked | None:
    """Walk the plan, then ask about what migrate does after it, whether or not it has steps.

    Returns what the walk leaves; None where it changes no table, or did not come to its end.
    """
    state: ProjectState | None = None
    models: tuple[type[Model], ...] = ()
    with gc_frozen(), _stopping_at_what_raises(walk.ledger):
        if arguments.run_syncdb:
            walk_syncdb(plan, arguments, walk)
        models, state = _walk(plan, arguments, walk, progress)
    _require_types(walk.connection, walk)
    if walk.interpretation.has_begun:
        from opsmigrate.preflight.walk.hand_written import doubt_refused

        doubt_refused(walk)
    with walk.ledger.at(None, POST_MIGRATE):
        if state is not None:
            require_receivers(walk, state)
            require_default_site(walk, state)
        unchanged = not plan.steps or arguments.fake
        require_post_migrate(() if unchanged else plan.steps, lambda: state, walk)
        if state is not None:
            require_renamed_permissions(plan, state, walk, faked=arguments.fake)
    unknown_since = walk.ledger.schema_unknown_since
    # What is found from here on does not come from the simulated schema.
    walk.ledger.schema_unknown_since = None
    return Walked(models, state, unknown_since) if state is not None and models else None


def _require_writable(connection: BaseDatabaseWrapper, session: Session, ledger: Ledger) -> None:
    """Report what prevents every migration: a standby, a read-only session."""
    if session.in_recovery or session.read_only:
        what = "a standby in recovery" if session.in_recovery else "set to read-only transactions"
        resets = () if session.in_recovery else resets_of(connection, READ_ONLY)
        ledger.find(
            "read-only",
            f"this session cannot write: it is {what}",
            hint="a superuser types this"
            if resets
            else "let DATABASES point to the primary, or unset default_transaction_read_only there",
            steps=tuple(map(statement, resets)),
        )


def _walk(
    plan: Plan, arguments: MigrateArguments, walk: SchemaWalk, progress: Progress
) -> tuple[tuple[type[Model], ...], ProjectState]:
    """Walk through the plan; return the models before it (none without steps), the state after."""
    if plan.steps and plan.steps[0].backwards:
        return _walk_all_backwards(plan, arguments, walk, progress)
    with migrate_would_raise():
        state = state_before(plan)
        models = models_of(state) if plan.steps and not arguments.fake else ()
    for step in plan.steps:
        progress.update(step.label)
        # With --fake, migrate leaves the state as it was (MigrationExecutor.apply_migration).
        if arguments.fake:
            pass
        elif arguments.fake_initial and _soft_applied(plan, state, step.migration):
            state = step.migration.mutate_state(state, preserve=True)
        else:
            with walk.ledger.at(step.label):
                state = _walk_forwards(step, state, walk)
        if step is plan.steps[0]:
            require_record(step, walk)
    return models, state


def _walk_all_backwards(
    plan: Plan, arguments: MigrateArguments, walk: SchemaWalk, progress: Progress
) -> tuple[tuple[type[Model], ...], ProjectState]:
    with migrate_would_raise():
        states = states_of_backwards(plan)
        models = () if arguments.fake else models_of(state_before(plan))
    for step in plan.steps:
        progress.update(step.label)
        if not arguments.fake:
            with walk.ledger.at(step.label):
                _walk_backwards(step, states[step.migration], walk)
        if step is plan.steps[0]:
            require_record(step, walk)
    return models, state_without(plan)


@contextmanager
def _stopping_at_what_raises(ledger: Ledger) -> Iterator[None]:
    """Mark an operation that raises as undecided: from there on nothing is known of the plan.

    Where `migrate` must raise the same, that is a finding.
    """
    try:
        yield
    except DatabaseError as error:
        if sqlstate(error) != READ_ONLY_TRANSACTION:
            raise
        with ledger.where_raised(error):
            ledger.mark_undecided(f"the database engine would write here: {first_line(error)}")
    except MigrateWouldRaise as error:
        with ledger.where_raised(error):
            ledger.find(
                "operation-raises",
                f"the operation cannot be done: {error}",
                hint="correct the migration: the models do not have what it names at this point",
            )
    except Exception as error:
        words = f"{type(error).__name__}: {first_line(error)}"
        with ledger.where_raised(error):
            ledger.mark_undecided(f"it raised {words}; so everything after it is undecided")


def _soft_applied(plan: Plan, state: ProjectState, migration: Migration) -> bool:
    assert plan.executor is not None  # noqa: S101 - a plan with steps has one
    with project_search_path(plan.executor.connection):
        return bool(plan.executor.detect_soft_applied(state, migration)[0])


def _walk_forwards(step: PlanStep, state: ProjectState, walk: SchemaWalk) -> ProjectState:
    migration, ledger = step.migration, walk.ledger
    editor = tracing_editor(walk.connection, walk, atomic=migration.atomic)
    flag_custom_apply(step, ledger)
    with migrate_would_raise():
        # As migrate does, whether or not an operation asks for the models.
        _ = state.apps
    for number, operation in enumerate(migration.operations):
        with ledger.at(step.label, label_of(number, operation)):
            before = state.clone()
            with migrate_would_raise():
                operation.state_forwards(migration.app_label, state)
            _move(editor, step, operation, before, state)
    editor.run_deferred()
    return state


def _walk_backwards(step: PlanStep, state: ProjectState, walk: SchemaWalk) -> None:
    migration, ledger = step.migration, walk.ledger
    editor = tracing_editor(walk.connection, walk, atomic=migration.atomic)
    flag_custom_apply(step, ledger)
    moves = []
    for number, operation in enumerate(migration.operations):
        label = label_of(number, operation)
        with ledger.at(step.label, label):
            if not operation.reversible:
                ledger.find(
                    "irreversible",
                    f"{type(operation).__name__} cannot be undone",
                    hint="restore the backup that was taken before it was applied",
                )
                return
            before, state = state, state.clone()
            with migrate_would_raise():
                operation.state_forwards(migration.app_label, state)
        moves.append((label, operation, before, state))
    for label, operation, before, after in reversed(moves):
        with ledger.at(step.label, label):
            _move(editor, step, operation, after, before)
    editor.run_deferred()


def _move(
    editor: TracingEditor,
    step: PlanStep,
    operation: Operation,
    from_state: ProjectState,
    to_state: ProjectState,
) -> None:
    walk_operation(
        Move(
            operation=operation,
            migration=step.migration,
            editor=editor,
            from_state=from_state,
            to_state=to_state,
            backwards=step.backwards,
        )
    )
    editor.note_origins()


def _require_types(connection: BaseDatabaseWrapper, walk: SchemaWalk) -> None:
    """Report column types that the server does not know or the role may not use, in one query."""
    needed = walk.types_needed
    if not needed:
        return
    query = (
        "SELECT t, to_regtype(t) IS NULL FROM unnest(%s::text[]) AS t"
        " WHERE coalesce(NOT has_type_privilege(to_regtype(t), 'USAGE'), true)"
    )
    try:
        missing = seen_by_project(connection, query, [list(needed)])
    except Error as error:
        walk.ledger.mark_undecided(f"whether the column types exist: {first_line(error)}")
        return
    for name, unknown in missing:
        with walk.ledger.at(*needed[name]):
            _require_type(name, walk, unknown=unknown)


def _require_type(name: str, walk: SchemaWalk, *, unknown: bool) -> None:
    ledger = walk.ledger
    if not unknown:
        ledger.find(
            "missing-privilege",
            f"the role may not use the type {name}",
            hint=BY_OTHERS,
            steps=(statement(f"GRANT USAGE ON TYPE {name} TO {quoted(walk.role)}"),),
        )
    elif walk.schema.extensions - walk.catalog.extensions:
        ledger.mark_undecided(f"whether an extension provides the type {name}")
    elif ledger.wrote(name):
        ledger.mark_undecided(f"whether hand-written SQL creates the type {name}")
    else:
        ledger.find(
            "missing-type",
            f"the server does not know the type {name}",
            hint="install and create the extension that provides it",
        )
