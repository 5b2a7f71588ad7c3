"""Which operation of a plan makes a change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.migrations import (
    AddConstraint,
    AddField,
    AlterField,
    AlterModelTable,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation

from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.old_release.changes import Change, Kind
from opsmigrate.preflight.plan import Plan
from opsmigrate.schema.applied import flat


@dataclass(frozen=True)
class ChangeCause:
    """An operation of the plan, and where it stands."""

    migration: str
    operation: str
    what: Operation
    backwards: bool


def cause_of_change(change: Change, plan: Plan) -> ChangeCause | None:
    """Return the operation that makes a change; None where its names do not tell.

    A model that the plan renames before is not followed.
    """
    options = change.model._meta
    for step in plan.steps:
        if step.migration.app_label != options.app_label:
            continue
        for number, outer in enumerate(step.migration.operations):
            for operation in flat([outer]):
                if _makes(operation, change):
                    where = step.label, label_of(number, outer)
                    return ChangeCause(*where, operation, step.backwards)
    return None


def _makes(operation: Any, change: Change) -> bool:
    """Return whether the names of an operation are those of the change; undone or done alike."""
    model, field = str(change.model._meta.model_name), getattr(change.field, "name", None)
    if isinstance(operation, RenameModel):
        names = (operation.old_name_lower, operation.new_name_lower)
        return change.kind is Kind.TABLE_RENAMED and model in names
    if isinstance(operation, DeleteModel | AlterModelTable):
        of_table = (Kind.TABLE_GONE, Kind.TABLE_RENAMED)
        return change.kind in of_table and operation.name_lower == model
    if getattr(operation, "model_name_lower", None) != model:
        return False
    if isinstance(operation, AddConstraint):
        return operation.constraint.name == change.name
    if isinstance(operation, RenameField):
        return field is not None and field in (operation.old_name, operation.new_name)
    if isinstance(operation, RemoveField | AlterField | AddField):
        return field == operation.name or change.column in set(_columns(operation))
    return False


def _columns(operation: Any) -> Iterator[str]:
    yield from (operation.name, f"{operation.name}_id")
    yield getattr(getattr(operation, "field", None), "db_column", None) or operation.name
