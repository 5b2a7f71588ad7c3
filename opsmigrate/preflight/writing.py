"""The SQL of operations as text to type, written by an editor that executes nothing."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.requirements import Requirements
from opsmigrate.preflight.tracing import TracingEditor


class WritingEditor(TracingEditor):
    """Keeps each statement with its values in it; `complete` is False where one is not known."""

    written: list[str]
    complete: bool = True

    def note(self, sql: Any, params: Any = None) -> None:
        """Keep one statement."""
        text = str(sql)
        if params:
            text = text % tuple(map(self.quote_value, params))
        self.written.append(text.rstrip("; \n"))

    def effective_default(self, field: Field[Any, Any]) -> Any:
        """Return the default; what only the project's code knows cannot be written."""
        before = len(self.requirements.ledger.unexamined)
        default = super().effective_default(field)
        if len(self.requirements.ledger.unexamined) > before:
            self.complete = False
        return default


def writing_editor(connection: BaseDatabaseWrapper, catalog: Catalog) -> WritingEditor:
    """Return an editor over the live schema; nothing that it finds reaches the report."""
    requirements = Requirements(
        connection,
        catalog,
        Ledger(),
        rows=lambda table: 0,
        seed_hint=lambda table, column: None,
    )
    kind = type("WritingEditor", (WritingEditor, connection.SchemaEditorClass), {})
    editor: WritingEditor = kind(connection, collect_sql=True, atomic=False)
    editor.deferred_sql = []
    editor.written = []
    editor.requirements = requirements
    return editor
