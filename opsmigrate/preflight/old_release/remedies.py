"""How a change reaches the database without the old release noticing: what to write instead."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db.migrations import (
    AddField,
    AlterField,
    AlterModelTable,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.models import Field, ForeignKey, Model
from django.db.models.fields import NOT_PROVIDED

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.forecast.alternatives import Paste, rendered
from opsmigrate.preflight.old_release.causes import ChangeCause
from opsmigrate.preflight.old_release.changes import Change, Kind
from opsmigrate.preflight.walk.fields import column_of

WORDS = {
    Kind.TABLE_GONE: "in this release, remove the model from the code and the migration state "
    "only; drop its table in the next release",
    Kind.TABLE_RENAMED: "let the model keep its table (Meta.db_table)",
    Kind.VIEW_GONE: "create the view again in the same migration",
    Kind.COLUMN_GONE: "in this release, remove the field from the code and the migration state "
    "only; drop its column in the next release",
    Kind.COLUMN_RENAMED: "let the field keep its column (db_column)",
    Kind.OTHER_TYPE: "add a second column of the new type, write both columns and copy the "
    "values; read the new one in the next release, and drop the old one after that",
    Kind.NEW_CHOICE: "do not write the new value before this release runs everywhere",
    Kind.NEEDS_VALUE: "give the column a default in the database (db_default), or null=True "
    "until the next release",
    Kind.BECAME_NOT_NULL: "release code that always sets a value first; make the column NOT NULL "
    "in the next release",
    Kind.BECAME_GENERATED: "add the generated column under another name",
    Kind.LOST_DEFAULT: "keep the default in the database (db_default) until the next release",
    Kind.NARROWED: "release code that only writes values that fit first; change the type in the "
    "next release",
}
BY_CODE = "release code that complies with the constraint first; add it in the next release"
# A rollback of the code alone is the same question as a release that runs on.
OTHERWISE = (
    "otherwise stop the old release before migrate, and start its image again only after restore_db"
)
WHEN_GONE = "wait until no process of the release before is running"
# More of them are told by their words only.
MOST_PASTED = 3


def hint_for(changes: Sequence[tuple[Change, ChangeCause | None]]) -> str:
    """Return what to do about the changes of one model, with the migrations to paste."""
    words = dict.fromkeys(WORDS.get(change.kind, BY_CODE) for change, _ in changes)
    lines = ["; ".join([*words, OTHERWISE])]
    pasted = [text for change, cause in changes if (text := _pasted(change, cause))]
    if len(pasted) <= MOST_PASTED:
        lines += pasted
    return "\n".join(lines)


def _pasted(change: Change, cause: ChangeCause | None) -> str | None:
    """Return the migrations to write instead of an operation, None where there are none to give."""
    if cause is None or cause.backwards:
        return None
    pastes = _pastes(change, cause.what)
    if not pastes:
        return None
    try:
        return f"# instead of {cause.operation} in {cause.migration}\n{rendered(pastes)}"
    except ValueError:
        return None  # a migration written by hand may hold what Django cannot write


def _pastes(change: Change, what: Any) -> list[Paste]:
    table = change.model._meta.db_table
    if isinstance(what, DeleteModel):
        keys = _foreign_keys(what.name, change.model._meta.local_fields)
        return _dropped_later(what, f"DROP TABLE {_tables(change.model)}", keys)
    if isinstance(what, RemoveField) and change.field is not None:
        alter, column = f"ALTER TABLE {quoted(table)}", quoted(column_of(change.field))
        drop = f"{alter} DROP COLUMN {column}"
        given = change.field.null or change.field.has_db_default()
        # Code that does not know the column any more leaves it empty.
        empty = [] if given else [RunSQL(f"{alter} ALTER COLUMN {column} DROP NOT NULL")]
        keys = _foreign_keys(what.model_name, [change.field])
        return _dropped_later(what, drop, keys, empty)
    if isinstance(what, RenameModel):
        return [Paste(operations=(AlterModelTable(what.old_name, table), what))]
    if isinstance(what, RenameField) and change.field is not None:
        kept = _with(change.field, db_column=column_of(change.field))
        return [Paste(operations=(AlterField(what.model_name, what.old_name, kept), what))]
    if isinstance(what, AddField) and change.kind is Kind.NEEDS_VALUE:
        return _given(what)
    if isinstance(what, AlterField) and change.kind is Kind.LOST_DEFAULT:
        default = getattr(change.field, "db_default", NOT_PROVIDED)
        if default is not NOT_PROVIDED:
            kept = _with(what.field, db_default=default)
            return [Paste(operations=(AlterField(what.model_name, what.name, kept),))]
    return []


def _dropped_later(
    what: Any, drop: str, first: Sequence[Operation], database: Sequence[Operation] = ()
) -> list[Paste]:
    """The state forgets it in this release, and the database in the next one."""
    now = SeparateDatabaseAndState(database_operations=[*database], state_operations=[what])
    return [Paste(operations=(*first, now)), Paste(before=WHEN_GONE, operations=(RunSQL(drop),))]


def _foreign_keys(model: str, fields: Sequence[Field[Any, Any]]) -> list[Operation]:
    """Code that does not know a foreign key any more deletes what it points to."""
    return [
        AlterField(model, field.name, _with(field, db_constraint=False))
        for field in fields
        if isinstance(field, ForeignKey) and getattr(field, "db_constraint", True)
    ]


def _tables(model: type[Model]) -> str:
    """Return its table, behind those that Django makes for its relations to many."""
    through: list[Any] = [field.remote_field.through for field in model._meta.local_many_to_many]
    models = [each for each in through if each._meta.auto_created]
    return ", ".join(quoted(each._meta.db_table) for each in (*models, model))


def _given(what: AddField) -> list[Paste]:
    """The database gives what the old release does not name."""
    model, name, field = what.model_name, what.name, what.field
    default: Any = field.default
    if default is uuid.uuid4:
        default = RandomUUID()
    if default is NOT_PROVIDED or callable(default):
        nullable = AddField(model, name, _with(field, null=True))
        later = Paste(
            before=f"{WHEN_GONE}; fill the rows without a value in {name}, in batches",
            operations=(AlterField(model, name, field),),
        )
        return [Paste(operations=(nullable,)), later]
    return [Paste(operations=(AddField(model, name, _with(field, db_default=default)),))]


def _with(field: Field[Any, Any], **attributes: object) -> Field[Any, Any]:
    """Return the field with other attributes."""
    other: Any = field.clone()
    for name, value in attributes.items():
        setattr(other, name, value)
    found: Field[Any, Any] = other
    return found
