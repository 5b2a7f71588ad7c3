"""What the migrations' fields say of their columns."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, JSONField, Value

from opsmigrate.postgres.names import as_stored

# Stands for a default that only the project's own code knows.
UNKNOWN = "…"


def column_of(field: "Field[Any, Any]") -> str:
    """Return the column of a field that has one, by the name that PostgreSQL keeps."""
    assert field.column is not None  # noqa: S101 - callers pass concrete fields
    return as_stored(field.column)


def generated_sql(connection: BaseDatabaseWrapper, field: "Field[Any, Any]") -> str:
    """Return the expression of a generated field, its values written into it."""
    generated: Any = field
    text, params = generated.generated_sql(connection)
    editor: Any = connection.schema_editor()
    return str(text % tuple(editor.quote_value(value) for value in params) if params else text)


def is_generated(field: "Field[Any, Any]") -> bool:
    """Return whether the database computes the column from others."""
    return field.generated


def is_auto(field: "Field[Any, Any]") -> bool:
    """Return whether the database counts the column's values itself."""
    return field.get_internal_type() in ("AutoField", "BigAutoField", "SmallAutoField")


def is_constant(field: "Field[Any, Any]") -> bool:
    """Return whether the database's default is one value, which the migration knows."""
    value = field.db_default
    return field.has_db_default() and (
        isinstance(value, Value) or not hasattr(value, "resolve_expression")
    )


def value_of_constant(connection: BaseDatabaseWrapper, field: "Field[Any, Any]") -> Any:
    """Return the one value that the database's default is, as Django hands it to the driver."""
    value = getattr(field.db_default, "value", field.db_default)
    return field.get_db_prep_save(value, connection=connection)


def is_null(field: "Field[Any, Any]") -> bool:
    """Return whether the database's default is NULL, as the migration writes it; not JSON's."""
    if isinstance(field, JSONField):
        return False
    return is_constant(field) and getattr(field.db_default, "value", field.db_default) is None


def is_computed(field: "Field[Any, Any]") -> bool:
    """Return whether the database's default is an expression, of which nothing is known."""
    return field.has_db_default() and not (is_constant(field) or is_new_each(field))


def is_new_each(field: "Field[Any, Any]") -> bool:
    """Return whether the database's default is another UUID for every row."""
    return type(field.db_default).__name__ in ("RandomUUID", "UUID4", "UUID7")
