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
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.preflight.walk.casts import castable, too_long_for
from opsmigrate.preflight.walk.code_of_others import WHY, calls_others, runs_code
from opsmigrate.preflight.walk.expressions import require_fit, types_of
from opsmigrate.preflight.walk.fields import UNKNOWN, column_of, is_new_each
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.type_compatibility import always_casts
from opsmigrate.schema.types import in_full
from opsmigrate.sql.expressions import (
    functions_named_in,
    is_constant,
    operators_named_in,
    parse_expression,
)
from opsmigrate.sql.never_null import never_null
from opsmigrate.sql.statement import NoGrammarError, NotParsedError

# What a constant in quotes is, until something says what it stands for.
UNTYPED = ("unknown", "text")
INVALID_VALUE = "22"
# Functions by pg_proc.provolatile: ADD COLUMN calls those that are not volatile, and the planner of
# an UPDATE those that are immutable.
ADDED, PLANNED, EVERY = "is", "i", "isv"
OTHERS = """
SELECT FROM pg_proc WHERE proname = ANY(%s::text[]) AND NOT (
    provolatile::text = ANY(%s::text[]) AND pronamespace = 'pg_catalog'::regnamespace)
UNION ALL
SELECT FROM pg_operator WHERE oprname = ANY(%s::text[])
    AND oprnamespace <> 'pg_catalog'::regnamespace
    AND pg_get_userbyid(oprowner) = ANY(%s::text[])
LIMIT 1
"""


def default_fits(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], default: object
) -> None:
    """ADD COLUMN: report if the default of the field does not suit its type."""
    type_ = str(field.db_parameters(connection=walk.connection)["type"])
    if field.has_db_default():
        database_default_fits(walk, table, field, type_, computed=added_at_once(walk, table))
    elif default not in (None, UNKNOWN) and added_at_once(walk, table):
        require_value_fits(walk, table, column_of(field), type_, default)


def added_at_once(walk: SchemaWalk, table: SimulatedTable) -> str:
    """Return the functions, by volatility, with which ADD COLUMN computes a default without rows.

    StoreAttrDefault, heap.c; but a foreign table, and a partitioned one without partitions, have
    nowhere to put it.
    """
    parted = table.kind == "p" and walk.relatives.descendants(table)
    return ADDED if table.kind == "r" or parted else ""


def database_default_fits(
    walk: SchemaWalk,
    table: SimulatedTable,
    field: Field[Any, Any],
    type_: str,
    *,
    computed: str,
) -> None:
    """Report if a default of the database's own does not suit its type, or cannot be computed.

    `computed` are the functions, by their volatility, that are called though there be no row; where
    it is empty, the default is only kept.
    """
    if not field.generated:
        editor: Any = walk.connection.schema_editor()
        text = _composed(walk, *editor.db_default_sql(field))
        if text is not None:
            expression_fits(walk, table, column_of(field), type_, text, computed=computed)


def expression_fits(
    walk: SchemaWalk,
    table: SimulatedTable,
    column: str,
    type_: str,
    text: str,
    *,
    computed: str,
) -> None:
    """Report if SQL for a default does not suit its type; `computed` as above."""
    if calls_others(walk, f"({text})::{in_full(type_)}"):
        walk.ledger.mark_undecided(f"whether the default of {table.label}.{column} fits: {WHY}")
        return
    if _is_constant(text):
        why = why_not_assigned(walk.connection, sql.SQL(text), type_, computed=bool(computed))
        _report(walk, table, column, type_, why)
        return
    purpose, now = f"the default of column {column}", bool(computed)
    if not require_fit(walk, table, text, purpose, by_row=not now, computed=now):
        return
    kinds = types_of(walk, table, text)
    if kinds and castable(walk.connection, kinds[0], type_, explicit=False) is False:
        _report(walk, table, column, type_, f"{kinds[0]} is not converted automatically")
    elif computed and calls_only(walk, text, computed):
        why = why_not_assigned(walk.connection, sql.SQL(text), type_, computed=True)
        _report(walk, table, column, type_, why)
    elif computed and runs_code(walk, text):
        what = f"the default of {table.label}.{column} can be computed"
        walk.ledger.mark_undecided(f"whether {what}: it calls a function that is not PostgreSQL's")
    elif computed and kinds and walk.rows(table) != 0 and not always_casts(kinds[0], type_):
        what = f"the default of {table.label}.{column} becomes {type_} in each row"
        walk.ledger.mark_undecided(f"whether {what}: it is computed for each")


def computed_alike(walk: SchemaWalk, field: Field[Any, Any]) -> str | None:
    """Return the SQL of the database's default, None where it may be another value by then.

    Where each row gets a UUID of its own, another one is as good.
    """
    editor: Any = walk.connection.schema_editor()
    text = _composed(walk, *editor.db_default_sql(field))
    if text is None or is_new_each(field):
        return text
    if calls_others(walk, text) or not calls_only(walk, text, PLANNED):
        return None
    return text


def gives_value(walk: SchemaWalk, field: Field[Any, Any], default: object) -> bool | None:
    """Return whether a field's default is a value, not NULL; None where that is not known.

    `default` is Django's, UNKNOWN where only the project's code knows it.
    """
    if not field.has_db_default():
        return None if default == UNKNOWN else default is not None
    editor: Any = walk.connection.schema_editor()
    text = _composed(walk, *editor.db_default_sql(field))
    if text is None:
        return None
    if calls_only(walk, text, EVERY) and never_null(parse_expression(text)):
        return True
    if calls_others(walk, text) or not calls_only(walk, text, ADDED):
        return None
    try:
        with transaction_as_project(walk.connection, "READ ONLY") as cursor:
            return not _asked(cursor, sql.SQL("({}) IS NULL").format(sql.SQL(text)))
    except Error:
        # That it cannot be computed is reported by itself.
        return None


def require_value_fits(
    walk: SchemaWalk, table: SimulatedTable, column: str, type_: str, default: object
) -> None:
    """Report if a value of Django's cannot be assigned to the type; it is assigned at once."""
    text = _composed(walk, "%s", [default])
    if text is not None and calls_others(walk, f"({text})::{in_full(type_)}"):
        walk.ledger.mark_undecided(f"whether the default of {table.label}.{column} fits: {WHY}")
    elif text is not None:
        why = why_not_assigned(walk.connection, sql.SQL(text), type_, computed=True)
        _report(walk, table, column, type_, why)


def _is_constant(text: str) -> bool:
    try:
        return is_constant(parse_expression(text))
    except (NoGrammarError, NotParsedError):
        return False


def calls_only(walk: SchemaWalk, text: str, volatilities: str) -> bool:
    """Return whether a text calls only functions of PostgreSQL's own, of these volatilities.

    An operator that another role has made may suit the operands better than PostgreSQL's.
    """
    names, operators = functions_named_in(text), operators_named_in(text)
    if names is None or operators is None:
        return False
    made_by = sorted(walk.catalog.distrusted)
    given = [list(names), list(volatilities), list(operators), made_by]
    return not seen_by_project(walk.connection, OTHERS, given)


def _composed(walk: SchemaWalk, text: str, params: Sequence[Any]) -> str | None:
    """Return a text with its values; None where what adapts one is yet to come with the plan."""
    connection: Any = walk.connection
    try:
        return str(connection.ops.compose_sql(text, params))
    except connection.Database.Error:
        # It is noted where the statement is.
        return None


def _report(
    walk: SchemaWalk, table: SimulatedTable, column: str, type_: str, why: str | None
) -> None:
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
    value = sql.SQL("({})").format(value)
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
        return f"{kind} is not converted automatically"
    return None


def _asked(cursor: Any, expression: Composable) -> Any:
    cursor.execute(sql.SQL("SELECT {}").format(expression))
    return cursor.fetchone()[0]
