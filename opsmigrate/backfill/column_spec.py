"""The goal of a backfill: one column of one table, as Django's models describe it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import Error, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import AutoField, Field, GeneratedField

from opsmigrate.backfill.expression import GENERATED, UnknownValueError, expression_of
from opsmigrate.backfill.field_migrations import creating_migration
from opsmigrate.errors import UsageError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import UNDEFINED_COLUMN, first_line, sqlstate
from opsmigrate.postgres.names import generated_name, quoted
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.schema.types import in_full
from opsmigrate.steps import command


@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """Which column is to be there, of which type, filled with which SQL expression.

    `reads_row` says that the expression speaks of other columns of the row: such a one can fill
    rows but cannot be the column's default. `field` is (app, model, field) in small letters, where
    a model says what the goal is.
    """

    schema: str
    table: str
    column: str
    type: str
    expression: str
    unique: bool = True
    nullable: bool = False
    reads_row: bool = False
    field: tuple[str, str, str] | None = None

    @property
    def label(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def typed_table(self) -> str:
        """Return the table's name as one types it in SQL."""
        return quoted(self.schema, self.table)

    @property
    def typed_column(self) -> str:
        """Return the column's name as one types it in SQL."""
        return quoted(self.column)

    @property
    def relation(self) -> Composable:
        """Return the table's name as SQL."""
        return sql.Identifier(self.schema, self.table)

    @property
    def constraint(self) -> str:
        """Return the name that PostgreSQL itself gives to the unique constraint of a column."""
        return generated_name(self.table, self.column, "key")

    @property
    def value(self) -> Composable:
        """Return the expression as SQL in which nobody can slip in a function of that name."""
        ours = self.expression == GENERATED
        return sql.SQL(f"pg_catalog.{GENERATED}" if ours else self.expression)

    @property
    def wants_default(self) -> bool:
        """Return whether the expression is to be the column's default as well."""
        return not self.reads_row


def column_spec_of(
    connection: BaseDatabaseWrapper,
    model_label: str,
    field_name: str,
    *,
    expression: str | None = None,
    unique: bool = True,
) -> ColumnSpec:
    """Return the goal for `app.Model` and the name of a field of it.

    `expression` is the SQL of a row's value; without it the field must have one that is known
    (see expression_of). With `unique` False a unique field is not made unique.

    Raises UsageError where the model, the field or the table is not there, where the field cannot
    be filled, or where PostgreSQL does not understand the expression.
    """
    field = _field(model_label, field_name)
    _require_fillable(field, f"{model_label}.{field_name}", connection)
    schema, table = _locate(connection, field)
    try:
        value = expression or expression_of(connection, field)
    except UnknownValueError as error:
        raise UsageError(
            f"{model_label}.{field_name} {error}, so the value of its rows must be given",
            id="unsupported-field",
            hint="give the SQL of a row's value with --expression, or as expression in SEED",
        ) from error
    spec = ColumnSpec(
        schema=schema,
        table=table,
        column=str(field.column),
        type=_as_the_server_says(connection, str(field.db_type(connection))),
        expression=value,
        unique=field.unique and unique,
        nullable=field.null,
        field=(field.model._meta.app_label, str(field.model._meta.model_name), field.name.lower()),
    )
    return replace(spec, reads_row=_reads_row(connection, spec))


def _field(model_label: str, field_name: str) -> Field[Any, Any]:
    try:
        field = apps.get_model(model_label)._meta.get_field(field_name)
    except (LookupError, ValueError, FieldDoesNotExist) as error:
        raise UsageError(
            f"there is no field {field_name!r} of a model {model_label!r}",
            id="unknown-field",
            hint=_nearest(model_label, field_name),
        ) from error
    if not isinstance(field, Field):
        raise UsageError(
            f"{model_label}.{field_name} is a relation from another model, not a column",
            id="unsupported-field",
            hint="name a field that is a column with --model and --field, or in SEED",
        )
    return field


def _nearest(model_label: str, field_name: str) -> str:
    """Return the words that name what is there, and most like what was asked for."""
    models = {model._meta.label: model for model in apps.get_models()}
    lower = {label.lower(): label for label in models}
    label = lower.get(model_label.lower())
    if label is None:
        near = get_close_matches(model_label.lower(), lower, n=3, cutoff=0.5)
        said = f" such as {', '.join(lower[each] for each in near)}" if near else ""
        return f"name a model of the project{said}, with --model and --field, or in SEED"
    fields = [field.name for field in models[label]._meta.concrete_fields]
    near = get_close_matches(field_name, fields, n=1, cutoff=0.0) or fields[:1]
    return f"name a field of {label}, such as {near[0]}, with --model and --field, or in SEED"


def _require_fillable(field: Field[Any, Any], label: str, connection: BaseDatabaseWrapper) -> None:
    why = None
    if field.remote_field is not None:
        why = "is a relation"
    elif field.column is None or field.primary_key or isinstance(field, AutoField | GeneratedField):
        why = "has no column of its own, is the primary key, or is generated by the database"
    elif field.db_check(connection):
        why = "has its own CHECK constraint, which only migrate creates"
    elif getattr(field, "db_index", False) or (field.unique and _is_text(field)):
        why = "has an index in addition to its uniqueness, which only migrate creates"
    if why:
        raise UsageError(
            f"{label} {why}; it cannot be seeded",
            id="unsupported-field",
            hint="name another field with --model and --field, or in SEED; this one is left to "
            "migrate",
        )


def _is_text(field: Field[Any, Any]) -> bool:
    # Django adds an index for LIKE (DatabaseSchemaEditor._create_like_index_sql).
    return field.get_internal_type() in {
        "CharField",
        "EmailField",
        "FileField",
        "SlugField",
        "TextField",
        "URLField",
    }


def _as_the_server_says(connection: BaseDatabaseWrapper, type_: str) -> str:
    """Return the type as format_type() would show it: `character varying(9)` for varchar(9)."""
    with transaction_as_project(connection) as cursor:
        cursor.execute(
            sql.SQL("EXPLAIN (VERBOSE, COSTS OFF) SELECT CAST(NULL AS {})").format(
                sql.SQL(in_full(type_))
            )
        )
        lines = [row[0].strip() for row in cursor.fetchall()]
    shown = next((line for line in lines if line.startswith("Output: NULL::")), None)
    return shown.removeprefix("Output: NULL::") if shown else type_


def _reads_row(connection: BaseDatabaseWrapper, spec: ColumnSpec) -> bool:
    """Ask the server to parse the expression, alone and, where that fails, beside a row."""
    if spec.expression.strip().lower() == "null":
        raise _bad_expression(spec, ProgrammingError("it yields NULL"))
    # A default may hold no subquery (PostgreSQL documentation, CREATE TABLE).
    if "select" not in spec.expression.lower():
        try:
            _explain(connection, spec, "EXPLAIN SELECT CAST(({value}) AS {type})")
        except ProgrammingError as error:
            if sqlstate(error) != UNDEFINED_COLUMN:
                raise _bad_expression(spec, error) from error
        except Error as error:
            raise _bad_expression(spec, error) from error
        else:
            return False
    try:
        _explain(connection, spec, "EXPLAIN SELECT CAST(({value}) AS {type}) FROM {table}")
    except Error as error:
        raise _bad_expression(spec, error) from error
    return True


def _explain(connection: BaseDatabaseWrapper, spec: ColumnSpec, template: str) -> None:
    statement = sql.SQL(template).format(
        value=spec.value, type=sql.SQL(in_full(spec.type)), table=spec.relation
    )
    with transaction_as_project(connection, "READ ONLY") as cursor:
        cursor.execute(statement)


def _bad_expression(spec: ColumnSpec, error: Error) -> UsageError:
    return UsageError(
        f"PostgreSQL does not accept {spec.expression!r} as a value of {spec.label}.{spec.column} "
        f"({spec.type}): {first_line(error)}",
        id="bad-expression",
        hint="give SQL that yields one value per row, such as gen_random_uuid(), with --expression",
        table=spec.label,
        column=spec.column,
    )


def _locate(connection: BaseDatabaseWrapper, field: Field[Any, Any]) -> tuple[str, str]:
    options = field.model._meta
    rows = seen_by_project(
        connection,
        "SELECT n.nspname, c.relname FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = to_regclass(%s)",
        [connection.ops.quote_name(options.db_table)],
    )
    if not rows:
        made = creating_migration(options.app_label, str(options.model_name))
        raise UsageError(
            f"there is no table {options.db_table} in this database",
            id="missing-table",
            hint="check that this is the right database; then let migrate create it",
            steps=(command(f"python manage.py migrate {made[0]} {made[1]}"),) if made else (),
            table=options.db_table,
        )
    return rows[0][0], rows[0][1]
