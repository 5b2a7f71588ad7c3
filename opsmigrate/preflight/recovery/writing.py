"""The SQL of operations as text to type, written by an editor that executes nothing."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.ddl_references import Statement
from django.db.models import Field

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.tracing import TracingEditor, editor_class
from opsmigrate.sql.names import range_name
from opsmigrate.sql.placeholders import statements_if_readable


class WritingEditor(TracingEditor):
    """Keeps each statement with its values in it, unless what it makes is there.

    `complete` is False where a value is not known, and where code runs.
    """

    written: list[str]
    there: frozenset[str]
    tables: frozenset[tuple[str | None, str]]
    complete: bool = True
    interprets = False

    def note(self, sql: Any, params: Any = None, *, by_hand: bool = False) -> bool:
        """Keep one statement."""
        name = str(sql.parts.get("name", "")) if isinstance(sql, Statement) else ""
        text = str(sql)
        if name.strip('"') in self.there and _makes(text):
            return True
        if text.startswith("CREATE TABLE ") and _table_made(text) in self.tables:
            return True
        if params:
            text = text % tuple(map(self.quote_value, params))
        self.written.append(text.rstrip("; \n"))
        return True

    def executed(self, sql: Any, params: Any = ()) -> None:
        """Write SQL by hand as it is: it is text already."""
        ledger, code_runs = self.walk.ledger, self.walk.ledger.code_runs
        super().executed(sql, params)
        ledger.code_runs = code_runs

    def effective_default(self, field: Field[Any, Any]) -> Any:
        """Return the default; what only the project's code knows cannot be written."""
        before = len(self.walk.ledger.undecided)
        default = super().effective_default(field)
        if len(self.walk.ledger.undecided) > before:
            self.complete = False
        return default


def _makes(text: str) -> bool:
    """Return whether a statement of Django's makes something that has a name of its own."""
    return text.startswith("CREATE ") or " ADD CONSTRAINT " in text


def _table_made(text: str) -> tuple[str | None, str] | None:
    statements = statements_if_readable(text) or ()
    made = [range_name(each.node.relation) for each in statements if each.kind == "create_stmt"]
    return made[0] if made else None


def writing_editor(connection: BaseDatabaseWrapper, catalog: Catalog) -> WritingEditor:
    """Return an editor over the live schema; nothing that it finds reaches the report."""
    walk = SchemaWalk(
        connection,
        catalog,
        Ledger(),
        rows=lambda table: 0,
        seed_step=lambda table, column: None,
    )
    kind: Any = editor_class(WritingEditor, connection)
    editor: WritingEditor = kind(connection, collect_sql=True, atomic=False)
    editor.deferred_sql = []
    editor.written = []
    editor.there = frozenset(
        name
        for relation in catalog.relations
        for name in (
            *(index.name for index in relation.indexes if index.valid),
            *(item.name for item in relation.constraints),
        )
    )
    editor.tables = frozenset(
        (schema, relation.name)
        for relation in catalog.relations
        if relation.kind in TABLE_KINDS
        for schema in (relation.schema, *([None] if relation.visible else []))
    )
    editor.walk = walk
    return editor
