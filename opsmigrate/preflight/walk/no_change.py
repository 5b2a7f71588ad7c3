"""An AlterField that comes to nothing: then nothing needs to be there, nor to be ours."""

from typing import Any

from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import Field, Model


def alters_nothing(
    editor: DatabaseSchemaEditor,
    model: type[Model],
    old: "Field[Any, Any]",
    new: "Field[Any, Any]",
    *args: Any,
) -> bool:
    """Say whether Django's _alter_field() would execute no statement: an EmailField of a CharField.

    `editor` answers what Django asks about constraints on the way.
    """
    connection: Any = editor.connection
    asked: Any = connection.SchemaEditorClass(connection, collect_sql=True, atomic=False)
    asked.deferred_sql = []
    for name in ("_constraint_names", "_is_collation_deterministic"):
        setattr(asked, name, getattr(editor, name))
    try:
        asked._alter_field(model, old, new, *args)
    except Exception:  # what an engine's own editor raises is for the walk to tell
        return False
    return not (asked.collected_sql or asked.deferred_sql)
