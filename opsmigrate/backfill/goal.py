"""The goal of a backfill: one column of one table, as Django's models describe it."""

from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import UUIDField

from opsmigrate.errors import UsageError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import generated_name


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Which column is to be there, of which type, filled with which SQL expression."""

    schema: str
    table: str
    column: str
    type: str
    expression: str

    @property
    def label(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def relation(self) -> Composable:
        """Return the table's name as SQL."""
        return sql.Identifier(self.schema, self.table)

    @property
    def constraint(self) -> str:
        """Return the name that PostgreSQL itself gives to the unique constraint of a column."""
        return generated_name(self.table, self.column, "key")


def goal_of(connection: BaseDatabaseWrapper, model_label: str, field_name: str) -> Goal:
    """Return the goal for `app.Model` and the name of a field of it.

    Raises UsageError where the model, the field or the table is not there, or where the field is
    not a unique UUID that may not be NULL.
    """
    try:
        model = apps.get_model(model_label)
        field = model._meta.get_field(field_name)
    except (LookupError, ValueError, FieldDoesNotExist) as error:
        raise UsageError(
            f"there is no field {field_name!r} of a model {model_label!r}",
            id="unknown-field",
            hint='set OPSMIGRATE["SEED"] = {"model": "app.Model", "field": "name"}',
        ) from error
    if not isinstance(field, UUIDField) or not field.unique or field.null:
        raise UsageError(
            f"{model_label}.{field_name} is not a unique UUIDField without NULLs, "
            "which is what can be seeded",
            id="unsupported-field",
            hint="--model and --field with such a field",
        )
    schema, table = _locate(connection, model._meta.db_table)
    return Goal(
        schema=schema,
        table=table,
        column=str(field.column),
        type=str(field.db_type(connection)),
        expression="gen_random_uuid()",
    )


def _locate(connection: BaseDatabaseWrapper, db_table: str) -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.oid = to_regclass(%s)",
            [connection.ops.quote_name(db_table)],
        )
        row = cursor.fetchone()
    if row is None:
        raise UsageError(
            f"there is no table {db_table} in this database",
            id="missing-table",
            hint="python manage.py showmigrations; then migrate up to what creates it",
            table=db_table,
        )
    return row[0], row[1]
