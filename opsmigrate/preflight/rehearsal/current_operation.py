"""Which migration and operation is running, whichever command of the project applies them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.rehearsal.recording import OperationRef


class CurrentOperation:
    """Follows `migrate`; `applied` are the migrations that it began, with their direction."""

    def __init__(self, moved: Callable[[], None] = lambda: None) -> None:
        """Call `moved` whenever another migration or operation begins."""
        self.place = OperationRef()
        self.applied: list[tuple[str, bool]] = []
        self._moved = moved
        self.planned_all = False
        self._deferred: list[tuple[Any, OperationRef]] = []

    def of(self, sql: str) -> OperationRef:
        """Return the place that a statement belongs to: the operation that had it deferred."""
        if self.place.operation is None:
            for statement, place in self._deferred:
                # The statements of an engine's own editor need not have a text.
                with suppress(Exception):
                    if place.migration == self.place.migration and str(statement) == sql:
                        return place
        return self.place

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow every migration and operation until the end of the block."""
        real = {
            (Migration, "__init__"): self._following_new(Migration.__init__),
            (MigrationExecutor, "migrate"): self._following_plan(MigrationExecutor.migrate),
        }
        before = {key: getattr(*key) for key in real}
        for (kind, name), method in real.items():
            setattr(kind, name, method)
        try:
            yield
        finally:
            for (kind, name), method in before.items():
                setattr(kind, name, method)

    def _following_plan(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            # What comes now is nobody's: the receivers of post_migrate.
            self.place, self.planned_all = OperationRef(), True
            self._moved()
            return result

        return run

    def _following_new(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(migration: Migration, *args: Any, **kwargs: Any) -> None:
            method(migration, *args, **kwargs)
            # Of the migration itself: its class may have an apply() of its own.
            for name, backwards in (("apply", False), ("unapply", True)):
                move = getattr(migration, name)
                setattr(migration, name, self._following_migration(migration, move, backwards))

        return run

    def _following_migration(
        self, migration: Migration, method: Callable[..., Any], backwards: bool
    ) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            label = f"{migration.app_label}.{migration.name}"
            self.place = OperationRef(label)
            self.applied.append((label, backwards))
            self._moved()
            for number, operation in enumerate(migration.operations):
                place = OperationRef(label, label_of(number, operation))
                for name in ("database_forwards", "database_backwards"):
                    move = self._following_operation(place, getattr(operation, name))
                    # Operations may have __slots__; then the label of the one before stays.
                    with suppress(AttributeError):
                        setattr(operation, name, move)
            try:
                return method(*args, **kwargs)
            finally:
                if sys.exc_info()[0] is None:
                    self.place = OperationRef(label)

        return run

    def _following_operation(
        self, place: OperationRef, move: Callable[..., Any]
    ) -> Callable[..., Any]:
        def run(app_label: str, editor: Any, *args: Any, **kwargs: Any) -> Any:
            self.place = place
            self._moved()
            before = len(editor.deferred_sql)
            result = move(app_label, editor, *args, **kwargs)
            self._deferred += [(statement, place) for statement in editor.deferred_sql[before:]]
            return result

        return run
