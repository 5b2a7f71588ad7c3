"""Operations that change only what no database has: their models are rendered later, together.

For each operation, Django renders the models anew, with all that are related to them, and most of
the time of a long plan goes there. A verbose name, or the choices of a field, no statement has.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelOptions,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from opsmigrate.preflight.walk.tracing import TracingEditor

# They ask of the models only what a database has.
OF_TABLES = (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
)
# Options of which a database has nothing, and with which each model can be rendered.
WORDS = frozenset({"ordering", "verbose_name", "verbose_name_plural"})
# What Django leaves out when it compares two fields, and what a database has of it all the same.
STORED = frozenset({"db_column", "on_delete"})


@dataclass
class LaterRendering:
    """The models of a state whose last changes are not rendered yet, as (app, model)."""

    waiting: set[tuple[str, str]] = field(default_factory=set)

    def change(self, state: ProjectState, operation: Operation, app_label: str) -> None:
        """Change the state by an operation that is_unseen(), and leave its models as they are."""
        # Without any, state_forwards() renders none.
        apps = state.__dict__.pop("apps", None)
        try:
            operation.state_forwards(app_label, state)
        finally:
            if apps is not None:
                state.apps = apps
        self.waiting.add(_changed(operation, app_label))

    def render_for(self, operation: Operation, state: ProjectState) -> None:
        """Render what waits, where the operation may ask for more than what a database has."""
        if type(operation) not in OF_TABLES:
            self.render(state)

    def render(self, state: ProjectState) -> None:
        """Render what waits, so that the models are those of the state."""
        there = self.waiting & state.models.keys()
        if there:
            state.reload_models(sorted(there), delay=False)
        self.waiting.clear()


def is_unseen(operation: Operation, app_label: str, state: ProjectState, editor: object) -> bool:
    """Return whether the operation changes nothing that a database or a rendering could refuse.

    Only of Django's own operations and editor this is known.
    """
    if type(operation) is AlterModelOptions:
        # An option that is left out is reset.
        model = state.models.get(_changed(operation, app_label))
        had = () if model is None else {*model.options} & {*operation.ALTER_OPTION_KEYS}
        return model is not None and WORDS.issuperset({*operation.options, *had})
    if type(operation) is AlterField and _decides_as_django(editor):
        model = state.models.get(_changed(operation, app_label))
        before = None if model is None else model.fields.get(operation.name)
        return before is not None and _stored_of(before) == _stored_of(operation.field)
    return False


def _changed(operation: Any, app_label: str) -> tuple[str, str]:
    name: str = operation.model_name if type(operation) is AlterField else operation.name
    return app_label, name.lower()


def _decides_as_django(editor: object) -> bool:
    names = {"alter_field", "_field_should_be_altered"}
    kinds = {kind for kind in type(editor).__mro__ if names & vars(kind).keys()}
    return kinds <= {BaseDatabaseSchemaEditor, TracingEditor}


def _stored_of(found: Any) -> tuple[Any, ...]:
    """Return what BaseDatabaseSchemaEditor._field_should_be_altered() compares."""
    _, path, positional, named = found.deconstruct()
    unseen = {*found.non_db_attrs} - STORED
    seen = {key: value for key, value in named.items() if key not in unseen}
    return type(found), path, positional, seen
