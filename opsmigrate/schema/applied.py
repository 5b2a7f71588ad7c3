"""What the applied migrations did to the database that the state at their end does not tell."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FunctionType
from typing import Any

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db.migrations import (
    AddField,
    AlterField,
    CreateModel,
    Migration,
    RenameField,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model

DDL = re.compile(
    r"\b(alter|create|drop|add|rename)\b.*\b"
    r"(table|index|column|constraint|type|domain|collate|default|owner|not null)\b",
    re.IGNORECASE | re.DOTALL,
)
# What a text may execute besides itself: functions, procedures, blocks.
EXECUTES = re.compile(r"\b(select|do|call|execute|perform)\b", re.IGNORECASE)


def applied_state(executor: MigrationExecutor) -> ProjectState:
    """Return the project as the migrations that are recorded as applied describe it."""
    untyped: Any = executor  # the stubs leave out what migrate itself calls
    state: ProjectState = untyped._create_project_state(with_applied_migrations=True)
    return state


def models_of(state: ProjectState) -> tuple[type[Model], ...]:
    """Return the models of a state that have a table, those of relations to many too."""
    models: Iterable[type[Model]] = state.apps.get_models(include_auto_created=True)
    return tuple(model for model in models if not model._meta.proxy)


@dataclass
class AppliedMigrations:
    """The operations of the applied migrations, read once."""

    executor: MigrationExecutor

    @cached_property
    def _migrations(self) -> list[Migration]:
        """Return every migration on disk that is recorded, replaced ones too.

        A squashed migration may stand for those it replaces, so that both may have been run.
        """
        loader = self.executor.loader
        applied = loader.applied_migrations
        return [item for key, item in loader.disk_migrations.items() if key in applied]

    @cached_property
    def _operations(self) -> list[tuple[str, Operation]]:
        return [
            (migration.app_label, operation)
            for migration in self._migrations
            for operation in flat(migration.operations)
        ]

    @cached_property
    def altered(self) -> frozenset[tuple[str, str]]:
        """Return (app, field) of all fields that were altered or renamed.

        Django does not give a column the text pattern index that it would have given it, had it
        been so from the start (PostgreSQL's DatabaseSchemaEditor._alter_field).
        """
        found = set()
        for app_label, operation in self._operations:
            if isinstance(operation, AlterField):
                found.add((app_label, operation.name))
            elif isinstance(operation, RenameField):
                found.add((app_label, operation.new_name))
        return frozenset(found)

    @cached_property
    def remade(self) -> frozenset[tuple[str, str]]:
        """Return those of `altered` that were renamed, or had another type or NULL at some time.

        What PostgreSQL keeps of a condition on them is what it was for the column of that day.
        """
        kinds: dict[tuple[str, str], set[object]] = defaultdict(set)
        for app_label, operation in self._operations:
            for name, field in _defined(operation):
                kinds[app_label, name].add(field and (field.get_internal_type(), field.null))
        return frozenset(key for key in self.altered if None in kinds[key] or len(kinds[key]) > 1)

    @cached_property
    def not_validated(self) -> frozenset[str]:
        """Return the constraints that a migration added as NOT VALID and none has validated."""
        added, validated = set(), set()
        for _, operation in self._operations:
            if isinstance(operation, AddConstraintNotValid):
                added.add(operation.constraint.name)
            elif isinstance(operation, ValidateConstraint):
                validated.add(operation.name)
        return frozenset(added - validated)

    def wrote(self, app_label: str, *names: str | None) -> bool:
        """Return whether hand-written DDL in a migration of the app mentions one of the names."""
        wanted = [re.escape(name) for name in names if name]
        if not wanted:
            return False
        pattern = re.compile(rf"(?<!\w)({'|'.join(wanted)})(?!\w)")
        return any(pattern.search(text) for text in self._by_hand[app_label])

    def may_have_made(self, app_label: str, name: str | None) -> bool:
        """Return whether an applied migration may have made what its state does not know.

        SQL or code of any app that mentions the name; and whatever cannot be read in the app of
        the table: code, operations that are not Django's, SQL that executes other SQL.
        """
        names = self._by_hand.keys()
        return app_label in self._unread or any(self.wrote(each, name) for each in names)

    @cached_property
    def _unread(self) -> frozenset[str]:
        return frozenset(label for label, item in self._operations if not _is_read(item))

    @cached_property
    def _by_hand(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for app_label, operation in self._operations:
            if isinstance(operation, RunSQL):
                found[app_label] += _statements(operation.sql)
            elif isinstance(operation, RunPython):
                found[app_label] += filter(DDL.search, strings_in_reach(operation.code))
        return found


def flat(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations that reach the database, those inside others in their place."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from flat(operation.database_operations)
        else:
            yield operation


def _is_read(operation: Operation) -> bool:
    """Return whether all that the operation makes stands in the state or in a text of its own."""
    if isinstance(operation, RunPython):
        return operation.code is RunPython.noop
    if isinstance(operation, RunSQL):
        return not any(map(EXECUTES.search, _statements(operation.sql)))
    return type(operation).__module__.startswith("django.")


def _defined(operation: Operation) -> Iterator[tuple[str, Any]]:
    """Yield each field that the operation defines, by its name; None for one that it renames."""
    if isinstance(operation, CreateModel):
        yield from operation.fields
    elif isinstance(operation, AddField | AlterField):
        yield operation.name, operation.field
    elif isinstance(operation, RenameField):
        yield operation.new_name, None


def _statements(sql: Any) -> list[str]:
    if isinstance(sql, str):
        return [sql]
    return [item if isinstance(item, str) else str(item[0]) for item in sql]


def strings_in_reach(function: Any) -> Iterator[str]:
    """Yield the strings in a function and in whatever else its module has, which it may use."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    # Their own types: isinstance() asks what stands in for another object, which may work.
    named = vars(module).values() if module else ()
    yield from (item for item in named if issubclass(type(item), str))
    for code in codes_in_reach(function):
        yield from (item for item in code.co_consts if isinstance(item, str))


def codes_in_reach(function: Any) -> Iterator[CodeType]:
    """Yield the code of a function and of the others in its module, with those inside them."""
    name = getattr(function, "__module__", None)
    for item in (function, *(vars(sys.modules[name]).values() if name in sys.modules else ())):
        if issubclass(type(item), FunctionType) and item.__module__ == name:
            yield from _codes(item.__code__)


def strings_of(code: CodeType) -> Iterator[str]:
    """Yield the strings that stand in the code of a function, and of those inside it."""
    for each in _codes(code):
        yield from (item for item in each.co_consts if isinstance(item, str))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
