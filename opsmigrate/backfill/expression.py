"""The SQL of a value, where the field itself says what its rows hold."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import NOT_PROVIDED, Field, UUIDField

from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.schema.types import in_full

GENERATED = "gen_random_uuid()"


class UnknownValueError(Exception):
    """The field does not say it; the message begins with a verb."""


def expression_of(connection: BaseDatabaseWrapper, field: Field[Any, Any]) -> str:
    """Return the SQL of the value that a row gets.

    gen_random_uuid() for a UUID that is unique or has a function as its default, else db_default,
    else a constant default. Raises UnknownValueError for anything else.
    """
    # Without a default Django has the class NOT_PROVIDED, which can be called.
    computed = field.has_default() and callable(field.default)
    if isinstance(field, UUIDField) and (field.unique or computed):
        # In the server's core since PostgreSQL 13; uuid-ossp and pgcrypto need not be there.
        return GENERATED
    if field.unique:
        raise UnknownValueError("is unique, and every row needs a value of its own")
    if field.db_default is not NOT_PROVIDED:
        return _inlined(connection, *_db_default(connection, field))
    if computed:
        raise UnknownValueError("has a Python function as its default")
    if not field.has_default():
        raise UnknownValueError("has no default")
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        return _inlined(connection, "%s", [editor.effective_default(field)])


def is_one_for_all(connection: BaseDatabaseWrapper, expression: str, type_: str) -> bool:
    """Return whether every row would get the same value; nothing is evaluated.

    The expression speaks of no column, and its type can be ordered. The planner does not sort by
    what cannot differ: neither by a constant nor by now(), but by random().
    """
    query = (
        "EXPLAIN (COSTS OFF) SELECT FROM pg_catalog.generate_series(1, 2)"
        " ORDER BY CAST(({value}) AS {type})"
    )
    statement = sql.SQL(query).format(value=sql.SQL(expression), type=sql.SQL(in_full(type_)))
    with transaction_as_project(connection, "READ ONLY") as cursor:
        cursor.execute(statement)
        return not any(row[0].lstrip(" ->").startswith("Sort") for row in cursor.fetchall())


def _db_default(connection: BaseDatabaseWrapper, field: Field[Any, Any]) -> tuple[str, list[Any]]:
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        statement, params = editor.db_default_sql(field)
    return statement, list(params)


def _inlined(connection: BaseDatabaseWrapper, statement: str, params: list[Any]) -> str:
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        return str(statement % tuple(editor.quote_value(value) for value in params))
