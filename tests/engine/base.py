"""An engine around Django's: it prepares the database, and its editor has SQL of its own."""

from __future__ import annotations

from typing import Any

from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql import base
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import Field, Model


class Several(list[str]):
    """A template of several statements, which has no text as a whole."""

    def __mod__(self, parts: Any) -> Any:
        return Several(template % parts for template in self)

    def __str__(self) -> str:
        raise TypeError("several statements")

    __repr__ = __str__


class Editor(DatabaseSchemaEditor):
    """Adds a check with every column, and foreign keys in two statements."""

    sql_create_fk: Any = Several(
        (
            f"{DatabaseSchemaEditor.sql_create_fk} NOT VALID",
            "ALTER TABLE %(table)s VALIDATE CONSTRAINT %(name)s",
        )
    )

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Execute each statement of several."""
        template = getattr(sql, "template", None)
        parts = [Statement(one, **sql.parts) for one in template] if template else []
        for one in parts if isinstance(template, Several) else [sql]:
            super().execute(one, params)

    def add_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Add the column, and a check of the engine's own."""
        super().add_field(model, field)
        table = self.quote_name(model._meta.db_table)
        self.execute(f"ALTER TABLE {table} ADD CONSTRAINT big CHECK (size > 100)")

    def remove_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Empty the table first, past the editor's own execute(); the text may not show it."""
        table = self.quote_name(model._meta.db_table)
        with self.connection.cursor() as cursor:
            if field.column == "size":
                cursor.execute(f"TRUNCATE {table} CASCADE")
            else:
                cursor.execute(f"WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT * FROM gone")
        super().remove_field(model, field)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but for its editor and what it does before `migrate`."""

    SchemaEditorClass = Editor

    def prepare_database(self) -> None:
        """Make a type that migrations use."""
        with self.cursor() as cursor:
            cursor.execute("DROP DOMAIN IF EXISTS label")
            cursor.execute("CREATE DOMAIN label AS text")
