"""Whether the value that a default gives to rows becomes the type of its column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Field

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line, sqlstate
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.casts import castable, too_long_for
from opsmigrate.preflight.walk.fields import UNKNOWN, column_of, is_constant
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import in_full

# What a constant in quotes is, until something says what it stands for.
UNTYPED = ("unknown", "text")
INVALID_VALUE = "22"


def default_fits(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], default: object
) -> None:
    """ADD COLUMN: report if the constant that the field has as its default does not suit it."""
    written: tuple[str, Sequence[Any]] | None = None
    if field.has_db_default():
        editor: Any = walk.connection.schema_editor()
        written = editor.db_default_sql(field) if is_constant(field) else None
    elif default not in (None, UNKNOWN):
        written = "%s", [default]
    # A partitioned table without partitions has nowhere to put it.
    bare = table.kind == "p" and not walk.relatives.descendants(table)
    if written is not None and not field.generated and not bare:
        type_ = str(field.db_parameters(connection=walk.connection)["type"])
        require_value_fits(walk, table, column_of(field), type_, written)


def require_value_fits(
    walk: SchemaWalk,
    table: SimulatedTable,
    column: str,
    type_: str,
    default: tuple[str, Sequence[Any]],
) -> None:
    """Report if a constant, a text and its parameters, cannot be assigned to the type.

    ADD COLUMN computes the default even where the table has no rows (StoreAttrDefault, heap.c), and
    the planner does where UPDATE would fill it in.
    """
    connection: Any = walk.connection
    try:
        value = sql.SQL(connection.ops.compose_sql(*default))
    except connection.Database.Error:
        # What adapts it may come with the plan: that is noted where the statement is.
        return
    why = why_not_assigned(connection, value, type_, computed=True)
    if why is None:
        return
    if not walk.sees_everything():
        walk.ledger.mark_undecided(f"whether the default of {table.label}.{column} becomes {type_}")
        return
    walk.ledger.find(
        "value-not-castable",
        f"the default of {table.label}.{column} does not become {type_}: {why}",
        hint="give the field a default in the migration that fits its type",
        table=table.label,
        column=column,
    )


def why_not_assigned(
    connection: BaseDatabaseWrapper, value: Composable, type_: str, *, computed: bool
) -> str | None:
    """Return why PostgreSQL refuses to assign a constant to a column of the type; None if not.

    `computed` says that it is assigned at once, not only kept: a text that is too long is cut off
    by the cast that is written here, and refused then (documentation of the character types).
    """
    cast = sql.SQL("{}::{}").format(value, sql.SQL(in_full(type_)))
    kind_of = sql.SQL("pg_catalog.pg_typeof({})::pg_catalog.text").format(value)
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            kind = str(_asked(cursor, kind_of))
            if computed or kind in UNTYPED:
                _asked(cursor, cast)
            too_long = too_long_for(type_, value) if computed else None
            if too_long is not None and _asked(cursor, too_long):
                return "it is too long"
    except Error as error:
        return first_line(error) if (sqlstate(error) or "").startswith(INVALID_VALUE) else None
    if kind not in UNTYPED and castable(connection, kind, type_, explicit=False) is False:
        return f"{kind} does not become {type_} automatically"
    return None


def _asked(cursor: Any, expression: Composable) -> Any:
    cursor.execute(sql.SQL("SELECT {}").format(expression))
    return cursor.fetchone()[0]
