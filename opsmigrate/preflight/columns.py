"""What ADD, DROP and ALTER COLUMN need of the table and of its rows."""

from __future__ import annotations

from typing import Any

from django.db.models import Field, Model

from opsmigrate.preflight.casts import bad_casts
from opsmigrate.preflight.probes import nulls
from opsmigrate.preflight.requirements import Requirements
from opsmigrate.preflight.simulation import SimulatedTable
from opsmigrate.preflight.types import always_casts, base, column_of

INTEGERS = {"smallint", "integer", "bigint"}
TEXTS = {"character varying", "text"}


def add_column(
    requirements: Requirements, model: type[Model], field: Field[Any, Any], default: object
) -> None:
    """ADD COLUMN: the name must be free, and the rows must get along with it."""
    table = requirements.own_table(model._meta.db_table)
    if table is None:
        return
    if column_of(field) in table.types:
        requirements.ledger.find(
            "column-exists",
            f"the migration adds column {column_of(field)} to {table.label}, which has it",
            hint="where it is the same column, apply the rest by hand and record the "
            "migration with: python manage.py migrate --fake",
            table=table.label,
            column=column_of(field),
        )
    _rows_accept(requirements, table, field, default)
    requirements.define_column(table, field)


def _rows_accept(
    requirements: Requirements, table: SimulatedTable, field: Field[Any, Any], default: object
) -> None:
    column = column_of(field)
    has_default = (
        default is not None or field.has_db_default() or _fills_itself(requirements, field)
    )
    if not field.null and not has_default:
        _refuse_rows(
            requirements,
            table,
            column,
            more_than=0,
            id="not-null-without-default",
            message=f"column {column} is added to {table.label} as NOT NULL without a "
            "default, and the table has rows",
            hint="give the field a default in the migration, or add it with null=True first",
        )
    if field.unique and default is not None:
        _refuse_rows(
            requirements,
            table,
            column,
            more_than=1,
            id="unique-with-one-default",
            message=f"column {column} is added to {table.label} as unique, but every row "
            "would get the same default, which Django computes once",
            hint="add the field with null=True, fill it, then make it unique",
        )
    if (field.unique and field.has_db_default()) or field.generated or _check(requirements, field):
        requirements.if_rows(table, f"whether the rows of {table.label} suit column {column}", None)


def _refuse_rows(
    requirements: Requirements,
    table: SimulatedTable,
    column: str,
    *,
    more_than: int,
    id: str,
    message: str,
    hint: str,
) -> None:
    rows = requirements.rows(table)
    if rows is None:
        requirements.ledger.leave_open(f"whether {table.label} has rows: {message}")
    elif rows > more_than:
        requirements.ledger.find(id, message, hint=hint, table=table.label, column=column)


def _fills_itself(requirements: Requirements, field: Field[Any, Any]) -> bool:
    return bool(field.generated or field.db_type_suffix(requirements.connection))


def _check(requirements: Requirements, field: Field[Any, Any]) -> bool:
    return bool(field.db_parameters(connection=requirements.connection)["check"])


def drop_column(
    requirements: Requirements, model: type[Model], column: str, *, cascades: bool
) -> None:
    """DROP COLUMN: with CASCADE the views that use it vanish, without it they forbid it."""
    table = requirements.own_table(model._meta.db_table)
    if table is None or not requirements.need_column(table, column, "dropping it"):
        return
    views = [view for view, used in table.views.items() if column in used]
    statement = f"ALTER TABLE {table.label} DROP COLUMN {column}"
    if cascades:
        requirements.warn_of_views(table, views, f"{statement} CASCADE", column)
    else:
        requirements.views_forbid(table, views, statement, column)
    table.forget_column(column)


def alter_column(
    requirements: Requirements,
    model: type[Model],
    old: Field[Any, Any],
    new: Field[Any, Any],
    *,
    explicit: bool,
) -> None:
    """ALTER COLUMN: rename, type, NOT NULL; constraints come as statements of their own.

    `explicit` says that the type is altered with USING.
    """
    table = requirements.own_table(model._meta.db_table)
    before, after = column_of(old), column_of(new)
    if table is None or not requirements.need_column(table, before, "altering it"):
        return
    if before != after:
        if after in table.types:
            requirements.ledger.find(
                "column-exists",
                f"the migration renames column {before} of {table.label} to {after}, which is "
                "there already",
                hint="drop or rename the one that is in the way",
                table=table.label,
                column=after,
            )
        table.rename_column(before, after)
    _alter_type(requirements, table, old, new, explicit=explicit)
    _alter_null(requirements, table, old, new)


def _alter_type(
    requirements: Requirements,
    table: SimulatedTable,
    old: Field[Any, Any],
    new: Field[Any, Any],
    *,
    explicit: bool,
) -> None:
    before = old.db_parameters(connection=requirements.connection)["type"]
    after = new.db_parameters(connection=requirements.connection)["type"]
    column = column_of(new)
    if _collation(requirements, old) != _collation(requirements, new):
        table.origins.pop(column, None)
    if before == after or after is None:
        return
    requirements.need_type(after)
    views = [view for view, used in table.views.items() if column_of(new) in used]
    requirements.views_forbid(
        table, views, f"altering the type of {table.label}.{column_of(new)}", column_of(new)
    )
    column = column_of(new)
    if not always_casts(table.types[column], after):
        version = requirements.catalog.version
        probe = bad_casts(table, column, after, explicit=explicit, version=version)
        requirements.if_rows(
            table, f"whether every {table.label}.{column} can become {after}", probe
        )
        table.origins.pop(column, None)
    if not {base(table.types[column]), base(after)} <= INTEGERS and not (
        {base(table.types[column]), base(after)} <= TEXTS
    ):
        # The values are no longer what a question to the live rows would compare.
        table.origins.pop(column, None)
    table.types[column] = after


def _collation(requirements: Requirements, field: Field[Any, Any]) -> str | None:
    collation: str | None = field.db_parameters(connection=requirements.connection).get("collation")
    return collation


def _alter_null(
    requirements: Requirements, table: SimulatedTable, old: Field[Any, Any], new: Field[Any, Any]
) -> None:
    if old.null and not new.null:
        filled = new.has_default() or new.has_db_default()
        if column_of(new) not in table.not_null and not filled:
            column = column_of(new)
            requirements.if_rows(
                table, f"whether {table.label}.{column} holds NULLs", nulls(table, column)
            )
        if filled and column_of(new) not in table.not_null:
            if new.unique or new.remote_field:
                question = f"whether the default suits the rows of {table.label} without a value"
                requirements.if_rows(table, question, None)
            table.origins.pop(column_of(new), None)
        table.not_null.add(column_of(new))
    elif new.null:
        table.not_null.discard(column_of(new))
