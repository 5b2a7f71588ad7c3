"""What an AlterField would execute, where it comes to little: then little needs to be there."""

from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import Field, Model

# Django's index for LIKE, of whatever was unique: where it is not there, nothing happens.
IF_THERE = "DROP INDEX IF EXISTS "


def alter_field_statements(
    editor: DatabaseSchemaEditor,
    model: type[Model],
    old: "Field[Any, Any]",
    new: "Field[Any, Any]",
    *args: Any,
) -> list[str] | None:
    """Return what Django's _alter_field() would execute; None where that is not known.

    It is nothing for an EmailField of a CharField. `editor` answers what Django asks about
    constraints on the way.
    """
    connection: Any = editor.connection
    asked: Any = connection.SchemaEditorClass(connection, collect_sql=True, atomic=False)
    asked.deferred_sql = []
    for name in ("_constraint_names", "_is_collation_deterministic"):
        setattr(asked, name, getattr(editor, name))
    try:
        asked._alter_field(model, old, new, *args)
    except Exception:  # what an engine's own editor raises is for the walk to tell
        return None
    return [str(each) for each in (*asked.collected_sql, *asked.deferred_sql)]


def is_noop(statements: list[str]) -> bool:
    """Return whether the statements succeed also where the table or the column is not there."""
    return all(each.startswith(IF_THERE) for each in statements)
