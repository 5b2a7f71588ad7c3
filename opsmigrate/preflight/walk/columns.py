"""What ADD, DROP and ALTER COLUMN need of the table and of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Field, Model

from opsmigrate.counted import counted
from opsmigrate.postgres.column_numbers import COPY_IT, MOST_COLUMNS
from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.walk.cascades import taken_along
from opsmigrate.preflight.walk.conflict_remedies import set_column_aside
from opsmigrate.preflight.walk.default_values import (
    computed_alike,
    default_fits,
    gives_value,
)
from opsmigrate.preflight.walk.dependents import column_in_use, warn_of_cascade, warn_of_views
from opsmigrate.preflight.walk.descendants import (
    add_to_children,
    foreign_tables_losing,
    free_in_children,
    losing,
    note_foreign_tables,
)
from opsmigrate.preflight.walk.expressions import (
    STATISTICS,
    holds,
)
from opsmigrate.preflight.walk.fields import (
    UNKNOWN,
    column_of,
    generated_sql,
    is_computed,
    is_constant,
    is_null,
)
from opsmigrate.preflight.walk.generated_columns import (
    refuse_virtual,
    require_computable,
    require_generated,
)
from opsmigrate.preflight.walk.operator_classes import require_keys
from opsmigrate.preflight.walk.probes import duplicates
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import (
    CHECK,
    EXCLUSION,
    SimulatedTable,
    constant,
    live_value,
)
from opsmigrate.schema.types import in_full

# pg_identify_object() calls a generated column by its expression.
WORDS = {"default value": "generated column", "publication relation": "publication of"}


def add_column(
    walk: SchemaWalk, model: type[Model], field: Field[Any, Any], default: object
) -> None:
    """ADD COLUMN: the name must be free, and the rows must get along with it."""
    table = walk.require_owned_table(model._meta.db_table)
    if table is None:
        return
    if column_of(field) in table.types:
        walk.ledger.find(
            "column-exists",
            f"the migration adds column {column_of(field)} to {table.label}, which already has it",
            hint="rename the existing one: its values are kept",
            steps=set_column_aside(table, column_of(field)),
            table=table.label,
            column=column_of(field),
        )
    if table.is_partition:
        walk.ledger.find(
            "is-a-partition",
            f"the migration adds column {column_of(field)} to {table.label}, which is a partition: "
            "only its parent can get columns",
            hint="let the migration alter the parent, or detach the partition",
            table=table.label,
        )
    walk.require_owned_children(table, column_of(field), f"adding {column_of(field)}")
    _has_number(walk, table, field)
    _rows_accept(walk, table, field, default)
    default_fits(walk, table, field, default)
    _is_in_no_row_elsewhere(walk, table, field, default)
    if field.generated and require_generated(walk, table, field):
        require_computable(walk, table, field)
    value = _value(walk, table, field, default)
    walk.define_column(table, field)
    add_to_children(walk, table, field, column_of(field))
    if value is not None and table.origin is not None:
        table.values[column_of(field)] = value
    if field.unique:
        require_keys(walk, table, (column_of(field),))
        refuse_virtual(walk, table, "a unique constraint", (column_of(field),))
    if field.unique and (field.generated or is_computed(field)):
        walk.check_rows(
            table,
            f"whether the rows of {table.label} suit column {column_of(field)}",
            duplicates(table, (column_of(field),)),
        )


def _is_in_no_row_elsewhere(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], default: object
) -> None:
    """Report a column that holds rows of the table: these cannot get the new column's value.

    It is refused whether or not the rows are written anew (ATRewriteTables, tablecmds.c).
    """
    rows = walk.relatives.column_of_its_rows(table)
    if rows is None or table.kind == "p":
        return
    statement = f"adding {column_of(field)} to {table.label}"
    if default == UNKNOWN and field.null:
        walk.ledger.mark_undecided(f"whether {statement} gives it a value while {rows} uses it")
    elif _gets_a_value(walk, field, default):
        column_in_use(walk.ledger, table, column_of(field), statement, f"the column {rows}")


def _gets_a_value(walk: SchemaWalk, field: Field[Any, Any], default: object) -> bool:
    if field.generated:
        # A virtual one is computed when it is read.
        return bool(getattr(field, "db_persist", True))
    if field.has_db_default():
        return not is_null(field)
    return default is not None or _fills_itself(walk, field)


def _value(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], default: object
) -> Composable | None:
    """Return what the new column holds in every row, None where that is not known."""
    type_ = str(field.db_parameters(connection=walk.connection)["type"])
    if field.generated:
        expression = generated_sql(walk.connection, field)
        named = walk.columns_in(table, expression)
        if any(table.values.get(column) != live_value(column) for column in named):
            return None
        return sql.SQL("({})::{}").format(sql.SQL(expression), sql.SQL(type_))
    if _fills_itself(walk, field):
        return None
    return _given(walk, field, default)


def _given(walk: SchemaWalk, field: Field[Any, Any], default: object) -> Composable | None:
    """Return the default that every row gets, None where that is not known."""
    type_ = str(field.db_parameters(connection=walk.connection)["type"])
    if not field.has_db_default():
        return None if default == UNKNOWN else constant(default, type_)
    text = computed_alike(walk, field)
    if text is None:
        return None
    return sql.SQL("({})::{}").format(sql.SQL(text), sql.SQL(in_full(type_)))


def _has_number(walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any]) -> None:
    """Report if the table, or one that inherits from it, has no column numbers left."""
    free_in_children(
        walk,
        table,
        column_of(field),
        str(field.db_parameters(connection=walk.connection)["type"]),
    )
    table.numbers += 1
    had = max(table.numbers, walk.relatives.numbers_of_children(table) + 1)
    if had > MOST_COLUMNS:
        walk.ledger.find(
            "too-many-columns",
            f"the migration adds column {column_of(field)} to {table.label}, which has had "
            f"{counted(had - 1, 'column')}, with those that were dropped: it can have "
            f"{MOST_COLUMNS:,}",
            hint=COPY_IT,
            table=table.label,
            column=column_of(field),
        )


def _rows_accept(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], default: object
) -> None:
    column = column_of(field)
    given = field.null or _fills_itself(walk, field) or gives_value(walk, field, default)
    if given is None and field.has_db_default() and walk.rows(table) != 0:
        walk.ledger.mark_undecided(f"whether the default of {table.label}.{column} is a value")
    elif given is False:
        without = "with NULL as its default" if field.has_db_default() else "without a default"
        message = f"column {column} is added to {table.label} as NOT NULL {without}, and "
        message += "the table has rows"
        if _has_rows(walk, table, message, more_than=0):
            walk.ledger.find(
                "not-null-without-default",
                message,
                hint="give the field a default in the migration, or add it with null=True first",
                table=table.label,
                column=column,
            )
    if field.unique and (default is not None or (is_constant(field) and not is_null(field))):
        message = f"column {column} is added to {table.label} as unique, but every row would get "
        message += "the same default, which Django computes only once"
        if _has_rows(walk, table, message, more_than=1):
            walk.ledger.find(
                "unique-with-one-default",
                message,
                hint="add the field with null=True, fill it, then make it unique",
                table=table.label,
                column=column,
            )
    check = field.db_parameters(connection=walk.connection)["check"]
    if check and (default is not None or (field.has_db_default() and not is_null(field))):
        _default_passes(walk, table, field, default, str(check))


def _default_passes(
    walk: SchemaWalk,
    table: SimulatedTable,
    field: Field[Any, Any],
    default: object,
    check: str,
) -> None:
    column, rows = column_of(field), walk.rows(table)
    if rows == 0:
        return
    value = _given(walk, field, default)
    passes = None if value is None else holds(walk.connection, check, column, value)
    if rows is None or passes is None:
        walk.ledger.mark_undecided(
            f"whether the default of {table.label}.{column} passes CHECK ({check})"
        )
    elif not passes:
        shown = "" if default is None else f", {default},"
        walk.ledger.find(
            "check-violated",
            f"the default of {table.label}.{column}{shown} does not satisfy CHECK ({check})",
            hint="give the field another default in the migration",
            table=table.label,
            column=column,
        )


def _has_rows(walk: SchemaWalk, table: SimulatedTable, message: str, *, more_than: int) -> bool:
    """Return whether the table has so many rows; mark it as undecided if that is not known."""
    rows = walk.rows(table)
    if rows is None:
        walk.ledger.mark_undecided(f"whether {table.label} has rows: {message}")
    return rows is not None and rows > more_than


def _fills_itself(walk: SchemaWalk, field: Field[Any, Any]) -> bool:
    return bool(field.generated or field.db_type_suffix(walk.connection))


def drop_column(walk: SchemaWalk, model: type[Model], column: str, *, cascades: bool) -> None:
    """DROP COLUMN: with CASCADE the views that use it vanish, without it they forbid it."""
    table = walk.require_owned_table(model._meta.db_table)
    if table is None or not walk.require_column(table, column, "dropping it"):
        return
    walk.alter_column(table, column, "dropping it")
    statement = f"ALTER TABLE {table.label} DROP COLUMN {column}"
    statement += " CASCADE" if cascades else ""
    children = losing(walk, table, column)
    for each in (table, *children):
        _goes(walk, each, column, statement, cascades=cascades)
    if cascades:
        live = table.origins.get(column, column)
        for origin in foreign_tables_losing(walk, table, column):
            _warn_of_taken(walk, table, origin, column, live, statement)
    else:
        note_foreign_tables(walk, table, statement)
    for each in (*children, table):
        walk.schema.forget_column(each, column)


def _goes(
    walk: SchemaWalk, table: SimulatedTable, column: str, statement: str, *, cascades: bool
) -> None:
    """Report what depends on a column that is dropped, in the table itself or in a child of it."""
    others = [*users_of(table, column), *references_to(walk, table, column)]
    if cascades:
        live = table.origins.get(column, column)
        _warn_of_taken(walk, table, table.origin, column, live, statement, others)
    else:
        views = [view for view, used in table.views.items() if column in used]
        walk.views_forbid(table, views, statement, column, stays=False)
        for user in others:
            column_in_use(walk.ledger, table, column, statement, user)
    for lost in _lost_with(table, column):
        warn_of_cascade(walk.ledger, table, statement, lost, column)
    doing = f"dropping column {column} of {table.label}"
    walk.bodies.left_behind(walk.ledger, table, doing, column)


def _warn_of_taken(  # noqa: PLR0913 - a column, as it is called by then and now
    walk: SchemaWalk,
    table: SimulatedTable,
    origin: tuple[str, str] | None,
    column: str,
    live: str,
    statement: str,
    others: Sequence[str] = (),
) -> None:
    taken = taken_along(walk.connection, walk.schema, origin, live)
    warn_of_views(walk.ledger, table, taken.views, statement, column)
    for user in dict.fromkeys([*others, *taken.others]):
        warn_of_cascade(walk.ledger, table, statement, user, column)


def _lost_with(table: SimulatedTable, column: str) -> list[str]:
    """Return, in words, what holds the rows of other columns to something, and goes along."""
    checks = [
        f"the constraint {name} of {table.label}"
        for name, (kind, columns) in table.constraints.items()
        if kind in (CHECK, EXCLUSION) and column in columns and len(columns) > 1
    ]
    return checks + [
        f"the unique index {name} of {table.label}"
        for name in table.indexes_with(column)
        if table.indexes[name].unique and table.indexes[name].columns != (column,)
    ]


def users_of(table: SimulatedTable, column: str) -> list[str]:
    """Return what forbids that the column is dropped or altered, in words."""
    users = [
        f"the {WORDS.get(user.kind, user.kind)} {user.name.removeprefix('for ')}"
        for user in sorted(table.dependents.get(column, ()), key=str)
        if user.kind not in ("index", STATISTICS)
    ]
    if column in table.partition_key:
        users.append("the partition key")
    return users


def references_to(walk: SchemaWalk, table: SimulatedTable, column: str) -> list[str]:
    """Return the foreign keys of other tables that point to the column, in words."""
    return [
        f"the foreign key {key.name} of {key.table.label}"
        for key in walk.schema.foreign_keys
        if key.target is table and key.table is not table and column in key.to_columns
    ]
