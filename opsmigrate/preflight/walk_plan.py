"""Through the plan, operation by operation, as `migrate` goes."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model

from opsmigrate.postgres.driver_errors import READ_ONLY_TRANSACTION, first_line, sqlstate
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import (
    MigrateArguments,
    Plan,
    PlanStep,
    state_before,
    state_without,
    states_of_backwards,
)
from opsmigrate.preflight.walk.custom_migrate import (
    flag_custom_apply,
)
from opsmigrate.preflight.walk.history_writes import require_record
from opsmigrate.preflight.walk.operations import (
    MigrateWouldRaise,
    Move,
    migrate_would_raise,
    walk_operation,
)
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.tracing import TracingEditor, tracing_editor
from opsmigrate.preflight.walk.unseen_changes import LaterRendering, is_unseen
from opsmigrate.progress import Progress
from opsmigrate.schema.applied import models_of


def walk_plan(
    plan: Plan, arguments: MigrateArguments, walk: SchemaWalk, progress: Progress
) -> tuple[tuple[type[Model], ...], ProjectState]:
    """Walk through the plan; return the models before it (none without steps), the state after."""
    if plan.steps and plan.steps[0].backwards:
        return _walk_all_backwards(plan, arguments, walk, progress)
    with migrate_would_raise():
        state = state_before(plan)
        models = models_of(state) if plan.steps and not arguments.fake else ()
    later = LaterRendering()
    for step in plan.steps:
        progress.update(step.label)
        # With --fake, migrate leaves the state as it was (MigrationExecutor.apply_migration).
        if arguments.fake:
            pass
        elif arguments.fake_initial and _soft_applied(plan, state, step.migration, later):
            state = step.migration.mutate_state(state, preserve=True)
        else:
            with walk.ledger.at(step.label):
                _walk_forwards(step, state, walk, later)
        if step is plan.steps[0]:
            require_record(step, walk)
    later.render(state)
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
def stopping_at_what_raises(ledger: Ledger) -> Iterator[None]:
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


def _soft_applied(
    plan: Plan, state: ProjectState, migration: Migration, later: LaterRendering
) -> bool:
    later.render(state)
    assert plan.executor is not None  # noqa: S101 - a plan with steps has one
    with project_search_path(plan.executor.connection):
        return bool(plan.executor.detect_soft_applied(state, migration)[0])


def _walk_forwards(
    step: PlanStep, state: ProjectState, walk: SchemaWalk, later: LaterRendering
) -> None:
    migration, ledger = step.migration, walk.ledger
    editor = tracing_editor(walk.connection, walk, atomic=migration.atomic)
    flag_custom_apply(step, ledger)
    with migrate_would_raise():
        # As migrate does, whether or not an operation asks for the models.
        _ = state.apps
    for number, operation in enumerate(migration.operations):
        with ledger.at(step.label, label_of(number, operation)):
            if is_unseen(operation, migration.app_label, state, editor):
                later.change(state, operation, migration.app_label)
                continue
            with migrate_would_raise():
                later.render_for(operation, state)
            before = state.clone()
            with migrate_would_raise():
                operation.state_forwards(migration.app_label, state)
            _move(editor, step, operation, before, state)
    editor.run_deferred()


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
