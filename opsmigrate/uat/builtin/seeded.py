"""The seeded column is there, complete, unique, and what points to it is valid."""

from django.apps import apps
from django.db.models import Count, Q

from opsmigrate.counted import counted
from opsmigrate.guard import approved
from opsmigrate.postgres.catalog import Catalog, Column, Relation, read_catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.values import count_nulls_and_duplicates
from opsmigrate.steps import Step, command, statement
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

SAMPLES = 10


@check("seeded-column", tags=("database", "seed"), severity="blocker", timeout=600, needs=("seed",))
def seeded_column(context: Context) -> str:
    """The column of SEED is there, NOT NULL and unique."""
    table, column = _find(context, read_catalog(context.connection))
    if not column.not_null:
        raise Failed(f"{table.label}.{column.name} may be NULL", steps=_seed(context))
    unique = [
        index.name
        for index in table.indexes
        if index.unique and index.valid and not index.partial and index.columns == (column.name,)
    ]
    if not unique:
        raise Failed(f"{table.label}.{column.name} has no valid unique index", steps=_seed(context))
    return f"{table.label}.{column.name}: {column.type}, NOT NULL, unique ({unique[0]})"


@check("seeded-values", tags=("database", "seed"), severity="blocker", timeout=600, needs=("seed",))
def seeded_values(context: Context) -> str:
    """No row lacks a value, and no two rows share one."""
    table, column = _find(context, read_catalog(context.connection))
    rows, nulls, duplicates = count_nulls_and_duplicates(
        context.connection, table.schema, table.name, column.name
    )
    said = ", ".join(
        (counted(rows, "row"), counted(nulls, "NULL"), counted(duplicates, "duplicate"))
    )
    if nulls or duplicates:
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
    assert context.settings.seed is not None  # noqa: S101 - what these checks need
    model, name = apps.get_model(context.settings.seed.model), context.settings.seed.field
    rows = model._default_manager.using(context.connection.alias).order_by("pk")
    twice = rows.order_by().values(name).annotate(n=Count("pk")).filter(n__gt=1).values(name)
    wrong = rows.filter(Q(**{name: None}) | Q(**{f"{name}__in": twice}))
    with project_search_path(context.connection):
        found = list(wrong.values_list("pk", name)[:SAMPLES])
    return [("key", name), *((str(key), str(value or "NULL")) for key, value in found)]


def _find(context: Context, catalog: Catalog) -> tuple[Relation, Column]:
    seed = context.settings.seed
    assert seed is not None  # noqa: S101 - what these checks need
    model = apps.get_model(seed.model)
    name = model._meta.get_field(seed.field).column
    table = next(
        (item for item in catalog.relations if item.visible and item.name == model._meta.db_table),
        None,
    )
    if table is None:
        raise Failed(
            f"there is no table {model._meta.db_table}",
            steps=(command("python manage.py preflight_migrate"),),
        )
    column = next((item for item in table.columns if item.name == name), None)
    if column is None:
        raise Failed(f"{table.label} has no column {name}", steps=_seed(context))
    return table, column


def _seed(context: Context) -> tuple[Step, ...]:
    return (approved(context.settings, "python manage.py seed_payment_id"),)
