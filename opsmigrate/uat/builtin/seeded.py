"""The seeded column is there, as its field wants it, and what points to it is valid."""

from typing import Any

from django.db.models import Count, Q

from opsmigrate.conf import seeded_field
from opsmigrate.counted import counted
from opsmigrate.guard import approved
from opsmigrate.postgres.catalog import Catalog, Column, Relation, read_catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.values import count_nulls, count_nulls_and_duplicates
from opsmigrate.steps import Step, command, statement
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

SAMPLES = 10


@check("seeded-column", tags=("database", "seed"), severity="blocker", timeout=600, needs=("seed",))
def seeded_column(context: Context) -> str:
    """The column of SEED is there, NOT NULL and unique where its field is."""
    field = _field(context)
    table, column = _find(context, read_catalog(context.connection))
    if not (column.not_null or field.null):
        raise Failed(f"{table.label}.{column.name} may be NULL", steps=_seed(context))
    unique = [
        index.name
        for index in table.indexes
        if index.unique and index.valid and not index.partial and index.columns == (column.name,)
    ]
    if field.unique and not unique:
        raise Failed(f"{table.label}.{column.name} has no valid unique index", steps=_seed(context))
    said = [column.type, *(["NOT NULL"] if column.not_null else [])]
    said += [f"unique ({unique[0]})"] if unique else []
    return f"{table.label}.{column.name}: {', '.join(said)}"


@check("seeded-values", tags=("database", "seed"), severity="blocker", timeout=600, needs=("seed",))
def seeded_values(context: Context) -> str:
    """No row lacks a value, and no two rows share one, unless the field allows it."""
    field = _field(context)
    table, column = _find(context, read_catalog(context.connection))
    count = count_nulls_and_duplicates if field.unique else count_nulls
    rows, nulls, *duplicates = count(context.connection, table.schema, table.name, column.name)
    said = ", ".join(
        (
            counted(rows, "row"),
            counted(nulls, "NULL"),
            *(counted(number, "duplicate") for number in duplicates),
        )
    )
    if (nulls and not field.null) or any(duplicates):
        context.add_table("Rows without a value, or with another one's", _samples(context))
        raise Failed(f"{table.label}.{column.name}: {said}", steps=_seed(context))
    return f"{table.label}.{column.name}: {said}"


@check("seeded-references", tags=("database", "seed"), severity="blocker", needs=("seed",))
def seeded_references(context: Context) -> str:
    """Every foreign key that points to the seeded table is validated."""
    catalog = read_catalog(context.connection)
    table, _ = _find(context, catalog)
    pointing = [
        (relation, item)
        for relation in catalog.relations
        for item in relation.constraints
        if item.references == table.oid
    ]
    invalid = [(relation, item) for relation, item in pointing if not item.validated]
    if invalid:
        raise Failed(
            "not validated: " + ", ".join(f"{each.label}.{item.name}" for each, item in invalid),
            hint="let PostgreSQL check the rows; if some have no target, it says which",
            steps=tuple(
                statement(
                    f"ALTER TABLE {quoted(each.schema, each.name)}"
                    f" VALIDATE CONSTRAINT {quoted(item.name)}"
                )
                for each, item in invalid
            ),
        )
    some = counted(len(pointing), "foreign key points", "foreign keys point")
    return f"{some} to {table.label}, all validated"


def _samples(context: Context) -> list[tuple[str, ...]]:
    """Return the keys of some rows that are wrong, and the value that they have."""
    field = _field(context)
    rows = field.model._default_manager.using(context.connection.alias).order_by("pk")
    wrong = Q() if field.null else Q(**{field.name: None})
    if field.unique:
        values = rows.order_by().values(field.name)
        twice = values.annotate(n=Count("pk")).filter(n__gt=1).values(field.name)
        wrong |= Q(**{f"{field.name}__in": twice})
    with project_search_path(context.connection):
        found = list(rows.filter(wrong).values_list("pk", field.name)[:SAMPLES])
    return [("key", field.name), *((str(key), str(value or "NULL")) for key, value in found)]


def _field(context: Context) -> Any:
    assert context.settings.seed is not None  # noqa: S101 - what these checks need
    return seeded_field(context.settings.seed)[1]


def _find(context: Context, catalog: Catalog) -> tuple[Relation, Column]:
    field = _field(context)
    name, db_table = field.column, field.model._meta.db_table
    table = next(
        (item for item in catalog.relations if item.visible and item.name == db_table), None
    )
    if table is None:
        raise Failed(
            f"there is no table {db_table}",
            steps=(command("python manage.py preflight_migrate"),),
        )
    column = next((item for item in table.columns if item.name == name), None)
    if column is None:
        raise Failed(f"{table.label} has no column {name}", steps=_seed(context))
    return table, column


def _seed(context: Context) -> tuple[Step, ...]:
    return (approved(context.settings, "python manage.py seed_payment_id"),)
