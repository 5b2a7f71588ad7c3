"""What SET DEFAULT and DROP DEFAULT need of a column, and what a computed one refuses."""

from __future__ import annotations

from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Field

from opsmigrate.postgres.errors import first_line, sqlstate
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.casts import castable
from opsmigrate.preflight.walk.columns import UNKNOWN
from opsmigrate.preflight.walk.compatible import comparable
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.simulation import SimulatedTable
from opsmigrate.schema.types import in_full

SETS = " SET DEFAULT "
# What a constant in quotes is, until something says what it stands for.
UNTYPED = ("unknown", "text")
INVALID_VALUE = "22"


def alter_default(
    requirements: Requirements,
    table: SimulatedTable,
    field: Field[Any, Any],
    statement: tuple[str, list[Any]],
) -> None:
    """SET DEFAULT or DROP DEFAULT, as Django writes it: the text and its parameters."""
    column = column_of(field)
    if column not in table.types:
        return
    _, sets, text = statement[0].partition(SETS)
    doing = f"setting the default of {table.label}.{column}"
    refuse_computed(
        requirements, table, column, doing if sets else doing.replace("setting", "dropping")
    )
    if not sets:
        table.defaults.discard(column)
        return
    table.defaults.add(column)
    claimed = field.db_parameters(connection=requirements.connection)["type"]
    if claimed is not None and not comparable(claimed, table.types[column]):
        _require_fit(requirements, table, column, text, statement[1])


def refuse_computed(
    requirements: Requirements, table: SimulatedTable, column: str, doing: str
) -> None:
    """Note what PostgreSQL does with no column that is generated or an identity."""
    kind = (
        "a generated column"
        if column in table.generated
        else "an identity column"
        if column in table.identities
        else None
    )
    if kind is not None:
        alter = f'ALTER TABLE {table.label} ALTER COLUMN "{column}" DROP '
        hint = f"{alter}{'EXPRESSION' if column in table.generated else 'IDENTITY'}"
        if column in table.virtual:
            hint = "bring the column to what the applied migrations describe: PostgreSQL does not "
            hint += "make a plain column of a virtual one"
        requirements.ledger.find(
            "computed-column",
            f"{doing} is refused: it is {kind}",
            hint=hint,
            table=table.label,
            column=column,
        )


def _require_fit(
    requirements: Requirements, table: SimulatedTable, column: str, text: str, params: list[Any]
) -> None:
    """Note a default that is nothing for the type of the live column."""
    if UNKNOWN in params:
        return
    connection: Any = requirements.connection
    type_ = table.types[column]
    value = sql.SQL(connection.ops.compose_sql(text, params))
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(
                sql.SQL("SELECT pg_catalog.pg_typeof({})::pg_catalog.text").format(value)
            )
            kind = cursor.fetchone()[0]
            if kind in UNTYPED:
                cursor.execute(sql.SQL("SELECT {}::{}").format(value, sql.SQL(in_full(type_))))
    except Error as error:
        words = first_line(error) if (sqlstate(error) or "").startswith(INVALID_VALUE) else None
    else:
        may = kind in UNTYPED or castable(connection, kind, type_, explicit=False)
        words = None if may is not False else f"{kind} does not become {type_} by itself"
    if words and requirements.sees_everything():
        requirements.ledger.find(
            "default-in-the-way",
            f"{table.label}.{column} is {type_}, which cannot have the migration's default: "
            f"{words}",
            hint="bring the column to the type that the applied migrations describe",
            table=table.label,
            column=column,
        )
