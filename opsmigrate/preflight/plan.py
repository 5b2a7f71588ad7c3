"""The plan: exactly what `migrate` with the same arguments would run."""

import importlib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import django
from django.apps import apps
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.exceptions import (
    AmbiguityError,
    InconsistentMigrationHistory,
)
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    UNDEFINED_COLUMN,
    first_line,
    sqlstate,
)
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.report import Finding, Severity
from opsmigrate.schema.applied import applied_state
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.steps import command

UNREADABLE = (INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN)
Node = tuple[str, str | None]
# What lies between us and the files of migrations: Django, Python's own import, this module.
NOT_PROJECT = (f"{Path(django.__file__).parent}/", "<frozen ", importlib.__file__, __file__)


@dataclass(frozen=True, kw_only=True)
class MigrateArguments:
    """The arguments of `migrate`."""

    app_label: str | None = None
    migration_name: str | None = None
    fake: bool = False
    fake_initial: bool = False
    run_syncdb: bool = False


@dataclass(frozen=True)
class PlanStep:
    """One migration of the plan, forwards or backwards."""

    migration: Migration
    backwards: bool

    @property
    def label(self) -> str:
        """Return `app.name`."""
        return f"{self.migration.app_label}.{self.migration.name}"


@dataclass(frozen=True)
class Plan:
    """The steps in order; `findings` are what the migration history itself has wrong.

    `refused` is the executor of a history that contradicts itself, with which nothing is planned.
    """

    steps: tuple[PlanStep, ...]
    findings: tuple[Finding, ...] = ()
    executor: MigrationExecutor | None = None
    refused: MigrationExecutor | None = None


def make_plan(connection: BaseDatabaseWrapper, arguments: MigrateArguments) -> Plan:
    """Return what `migrate` would run; raise UsageError for what it does not know.

    Where the history or the graph is such that `migrate` would stop before its first step, the
    plan is empty and has a finding of severity error.
    """
    try:
        with project_search_path(connection):
            executor = MigrationExecutor(connection)
            executor.loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        return Plan((), (_inconsistent(error),), refused=executor)
    except DatabaseError as error:
        if sqlstate(error) not in UNREADABLE:
            raise
        return Plan((), (_unreadable(error),))
    except (Exception, SystemExit) as error:  # a migration file may raise anything
        return Plan((), (_broken(error),))
    conflicts = executor.loader.detect_conflicts()
    if conflicts:
        return Plan((), (_conflicting(conflicts),))
    nodes = _nodes(executor, arguments)
    steps = tuple(PlanStep(*step) for step in _as_run(executor, executor.migration_plan(nodes)))
    findings = (*_missing_on_disk(executor), *_partly_applied(executor))
    return Plan(steps, findings, executor)


def state_before(plan: Plan) -> ProjectState:
    """Return the state that the applied migrations claim."""
    assert plan.executor is not None  # noqa: S101 - only a plan without findings gets here
    return applied_state(plan.executor)


def states_of_backwards(plan: Plan) -> dict[Migration, ProjectState]:
    """Return the state before each migration that a backwards plan unapplies."""
    assert plan.executor is not None  # noqa: S101 - as above
    executor = plan.executor
    graph, loader = executor.loader.graph, executor.loader
    applied = {graph.nodes[key] for key in loader.applied_migrations if key in graph.nodes}
    wanted = {step.migration for step in plan.steps}
    state, states = ProjectState(real_apps=loader.unmigrated_apps), {}
    for migration, _ in executor.migration_plan(graph.leaf_nodes(), clean_start=True):
        if migration in wanted:
            states[migration] = state.clone()
        if migration in wanted or migration in applied:
            state = migration.mutate_state(state, preserve=True)
    return states


def state_without(plan: Plan) -> ProjectState:
    """Return the state that is claimed once a backwards plan has unapplied its own."""
    assert plan.executor is not None  # noqa: S101 - as above
    gone = {(step.migration.app_label, step.migration.name) for step in plan.steps}
    loader = plan.executor.loader
    left = [
        key for key in loader.applied_migrations if key in loader.graph.nodes if key not in gone
    ]
    state: ProjectState = loader.project_state(left)
    return state


def _as_run(
    executor: MigrationExecutor, plan: list[tuple[Migration, bool]]
) -> list[tuple[Migration, bool]]:
    """Return the plan in the order in which `migrate` runs it, not that of `migrate --plan`.

    Forwards, the executor follows the history of the whole project (its _migrate_all_forwards).
    """
    if any(backwards for _, backwards in plan):
        return plan
    wanted = {migration for migration, _ in plan}
    leaves = executor.loader.graph.leaf_nodes()
    history = executor.migration_plan(leaves, clean_start=True)
    return [step for step in history if step[0] in wanted]


def _nodes(executor: MigrationExecutor, arguments: MigrateArguments) -> list[Node]:
    loader = executor.loader
    if arguments.app_label is None:
        return list(loader.graph.leaf_nodes())
    _require_app(executor, arguments.app_label, arguments)
    if arguments.migration_name is None:
        return [node for node in loader.graph.leaf_nodes() if node[0] == arguments.app_label]
    if arguments.migration_name == "zero":
        return [(arguments.app_label, None)]
    node = _find(executor, arguments.app_label, arguments.migration_name)
    # A squashed migration that is applied in part is not in the graph; migrate takes the last
    # of those it replaces.
    if node not in loader.graph.nodes and node in loader.replacements:
        last: Node = loader.replacements[node].replaces[-1]
        return [last]
    return [node]


def _require_app(executor: MigrationExecutor, app_label: str, arguments: MigrateArguments) -> None:
    try:
        apps.get_app_config(app_label)
    except LookupError as error:
        raise UsageError(
            f"there is no installed app with the label {app_label!r}",
            id="unknown-app",
            steps=(command("python manage.py showmigrations"),),
        ) from error
    migrated = app_label in executor.loader.migrated_apps
    if arguments.run_syncdb and migrated:
        raise UsageError(
            f"app {app_label!r} has migrations, so --run-syncdb does not apply to it",
            id="syncdb-of-migrated-app",
            steps=(command(f"python manage.py preflight_migrate {app_label}"),),
        )
    if not arguments.run_syncdb and not migrated:
        raise UsageError(
            f"app {app_label!r} does not have migrations",
            id="app-without-migrations",
            steps=(command("python manage.py showmigrations"),),
        )


def _find(executor: MigrationExecutor, app_label: str, prefix: str) -> tuple[str, str]:
    try:
        migration = executor.loader.get_migration_by_prefix(app_label, prefix)
    except AmbiguityError as error:
        raise UsageError(
            f"more than one migration of app {app_label!r} begins with {prefix!r}",
            id="ambiguous-migration",
            steps=(command(f"python manage.py showmigrations {app_label}"),),
        ) from error
    except KeyError as error:
        raise UsageError(
            f"app {app_label!r} has no migration that begins with {prefix!r}",
            id="unknown-migration",
            steps=(command(f"python manage.py showmigrations {app_label}"),),
        ) from error
    return (app_label, migration.name)


def _inconsistent(error: InconsistentMigrationHistory) -> Finding:
    return Finding(
        id="inconsistent-history",
        severity=Severity.ERROR,
        message=f"migrate refuses this history: {error}",
        hint="compare with python manage.py showmigrations --plan: insert the record of what was "
        "applied, or delete the record of what was not",
    )


def _unreadable(error: DatabaseError) -> Finding:
    if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
        return Finding(
            id="missing-privilege",
            severity=Severity.ERROR,
            message=f"migrate may not read its history: {first_line(error)}",
            table=HISTORY,
        )
    return Finding(
        id="history-unreadable",
        severity=Severity.ERROR,
        message=f"migrate cannot read {HISTORY}: {first_line(error)}",
        hint=f"restore {HISTORY} from a backup",
        table=HISTORY,
    )


def _broken(error: BaseException) -> Finding:
    words = f"{type(error).__name__}: {first_line(error)}"
    place = _line_of_project(error)
    return Finding(
        id="broken-graph",
        severity=Severity.ERROR,
        message=f"{place} cannot be loaded: {words}"
        if place
        else f"the migration files do not form a graph: {words}",
        hint="correct the file" if place else "restore the migration file, or its dependency",
    )


def _line_of_project(error: BaseException) -> str | None:
    """Return where the file that was being loaded raises the error; None where none does."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno},"
    raising = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_PROJECT)
    ]
    return f"{raising[0].filename}, line {raising[0].lineno}," if raising else None


def _conflicting(conflicts: dict[str, list[str]]) -> Finding:
    words = "; ".join(f"{', '.join(sorted(names))} in {app}" for app, names in conflicts.items())
    return Finding(
        id="conflicting-migrations",
        severity=Severity.ERROR,
        message=f"migrate refuses more than one leaf migration in an app: {words}",
        hint=(
            "if the operations of both are compatible, merge them; otherwise correct the "
            "dependencies"
        ),
        steps=(command("python manage.py makemigrations --merge"),),
    )


def _missing_on_disk(executor: MigrationExecutor) -> list[Finding]:
    loader = executor.loader
    replaced = {key for item in loader.replacements.values() for key in item.replaces}
    missing = set(loader.applied_migrations) - set(loader.disk_migrations) - replaced
    return [
        Finding(
            id="missing-on-disk",
            severity=Severity.WARNING,
            message=f"{app}.{name} is recorded as applied, but its file does not exist; migrate "
            "continues without it",
            hint="deploy the release that has the file, or restore the file",
            migration=f"{app}.{name}",
        )
        for app, name in sorted(missing)
        if app in loader.migrated_apps
    ]


def _partly_applied(executor: MigrationExecutor) -> list[Finding]:
    """Return the squashed migrations that `migrate` passes over, and whose rest cannot be applied.

    It takes what they replace instead, as far as there are files
    (django.db.migrations.loader.MigrationLoader.build_graph).
    """
    loader, found = executor.loader, []
    for (app, name), migration in sorted(loader.replacements.items()):
        every = migration.replaces
        applied = [node for node in every if node in loader.applied_migrations]
        left = [node for node in every if node not in loader.applied_migrations]
        gone = [node for node in left if node not in loader.disk_migrations]
        if not (applied and gone):
            continue
        of_all = f"{len(applied)} of {len(every)}"
        found.append(
            Finding(
                id="squash-partly-applied",
                severity=Severity.WARNING,
                message=f"{app}.{name} replaces {counted(len(every), 'migration')}, and these "
                f"{of_all} are applied: {_labels(applied)}; so migrate skips it, and the "
                f"others have no files here: {_labels(gone)}",
                hint="deploy the release that still has these files, run its migrate, and then "
                "deploy this one",
                migration=f"{app}.{name}",
            )
        )
    return found


def _labels(nodes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(".".join(node) for node in nodes)
