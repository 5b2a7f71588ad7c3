"""The tables that a migration state claims, read from the state itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.conf import settings
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import strip_quotes, truncate_name
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import NOT_PROVIDED, Field, ForeignKey, ManyToManyField

from opsmigrate.postgres.names import as_stored
from opsmigrate.schema.claims import (
    ClaimedColumn,
    ClaimedForeignKey,
    ClaimedIndex,
    ClaimedTable,
)
from opsmigrate.schema.constraints import claimed_checks, claimed_indexes
from opsmigrate.schema.fields import Key, StateFields

# pg_constraint.confdeltype by the operation of a DatabaseOnDelete (Django 6.1 and on).
ON_DELETE = {"CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}


def claimed_tables(
    state: ProjectState,
    connection: BaseDatabaseWrapper,
    *,
    altered: frozenset[tuple[str, str]] = frozenset(),
) -> tuple[ClaimedTable, ...]:
    """Return the tables that the models of `state` claim in the database of `connection`.

    `altered` are the fields (app, name) that were not always as they are: of them nobody knows
    whether they have a text pattern index.

    Left out is what migrations do not make: proxies, swapped and unmanaged models, what the
    routers or the requirements of a model keep away from this database, and apps without
    migrations.
    """
    fields = StateFields(state, connection)
    return tuple(
        table
        for key, model in state.models.items()
        if _is_made(model, fields)
        for table in (_table(key, model, fields, altered), *_through_tables(key, model, fields))
    )


def _is_made(model: ModelState, fields: StateFields) -> bool:
    options, connection = model.options, fields.connection
    if options.get("proxy") or options.get("abstract") or not options.get("managed", True):
        return False
    if _is_swapped(model):
        return False
    vendor, features = options.get("required_db_vendor"), options.get("required_db_features")
    if vendor and vendor != connection.vendor:
        return False
    if features and not all(getattr(connection.features, name, False) for name in features):
        return False
    if not settings.DATABASE_ROUTERS:
        return True
    rendered = fields.rendered((model.app_label, model.name_lower))
    return bool(router.allow_migrate_model(connection.alias, rendered))


def _is_swapped(model: ModelState) -> bool:
    swappable = model.options.get("swappable")
    chosen = getattr(settings, swappable, None) if swappable else None
    if not chosen:
        return False
    app_label, _, name = chosen.rpartition(".")
    return (app_label, name.lower()) != (model.app_label, model.name_lower)


def db_table_of(model: ModelState, connection: BaseDatabaseWrapper) -> str:
    """Return the db_table, made up as Django does where the model does not say."""
    given = model.options.get("db_table")
    if given:
        return str(given)
    longest = connection.ops.max_name_length()
    return truncate_name(f"{model.app_label}_{model.name_lower}", longest)


def _db_table(key: Key, fields: StateFields) -> str:
    model = fields.state.models.get(key)
    if model is None:
        return fields.installed(key)._meta.db_table
    return db_table_of(model, fields.connection)


def _table(
    key: Key, model: ModelState, fields: StateFields, altered: frozenset[tuple[str, str]]
) -> ClaimedTable:
    columns: list[ClaimedColumn] = []
    keys: list[ClaimedForeignKey] = []
    indexes: list[ClaimedIndex] = []
    checked: list[str] = []
    for field in fields.of(key).values():
        parameters = fields.parameters(key, field)
        if parameters["type"] is None or field.many_to_many or field.column is None:
            continue
        column = _column(field, parameters, fields.connection)
        columns.append(column)
        if parameters["check"]:
            checked.append(column.name)
        if isinstance(field, ForeignKey) and cast(Any, field).db_constraint:
            keys.append(_foreign_key(key, field, column.name, fields))
        if field.unique or cast(Any, field).db_index:
            indexes.append(_field_index(field, column))
            if (key[0], field.name) not in altered and not field.is_relation:
                indexes += _pattern_index(column)
    return ClaimedTable(
        db_table=db_table_of(model, fields.connection),
        model=f"{model.app_label}.{model.name}",
        columns=tuple(columns),
        indexes=(*indexes, *claimed_indexes(key, model, fields)),
        foreign_keys=tuple(keys),
        checks=claimed_checks(key, model, fields, checked),
    )


def _column(
    field: Field[Any, Any], parameters: dict[str, Any], connection: BaseDatabaseWrapper
) -> ClaimedColumn:
    generated = ""
    if getattr(field, "generated", False):
        generated = "s" if cast(Any, field).db_persist else "v"
    # By position: there may be tens of thousands.
    return ClaimedColumn(
        as_stored(field.column or ""),
        parameters["type"],
        not field.null or field.primary_key,
        field.db_default is not NOT_PROVIDED,
        field.primary_key and bool(field.db_type_suffix(connection)),
        generated,
        parameters.get("collation"),
    )


def _field_index(field: Any, column: ClaimedColumn) -> ClaimedIndex:
    """Return what primary_key, unique or db_index of the field asks for."""
    return ClaimedIndex(columns=(column.name,), primary=field.primary_key, unique=field.unique)


def _pattern_index(column: ClaimedColumn) -> Iterator[ClaimedIndex]:
    """Return the companion for LIKE that Django gives to an index on text (Django #12234)."""
    type_ = column.type or ""
    text = type_.startswith(("varchar", "text")) and "[" not in type_
    # Where a collation is not deterministic, there is none.
    if text and not column.collation:
        yield ClaimedIndex(columns=(column.name,), like=True)


def _foreign_key(
    key: Key, field: ForeignKey[Any, Any], column: str, fields: StateFields
) -> ClaimedForeignKey:
    to, target = fields.target(key, field)
    on_delete: Any = getattr(field.remote_field, "on_delete", None)
    return ClaimedForeignKey(
        column=column,
        to_table=_db_table(to, fields),
        to_column=as_stored(target.column or ""),
        on_delete=ON_DELETE.get(getattr(on_delete, "operation", ""), "a"),
    )


def _through_tables(key: Key, model: ModelState, fields: StateFields) -> Iterator[ClaimedTable]:
    """Return the tables that Django makes for the ManyToManyFields without a model of their own."""
    for field in fields.of(key).values():
        if isinstance(field, ManyToManyField) and not _has_through(field):
            yield _through_table(key, model, field, fields)


def _has_through(field: ManyToManyField[Any, Any]) -> bool:
    through: Any = field.remote_field.through
    return bool(through) and not getattr(getattr(through, "_meta", None), "auto_created", False)


def _through_table(
    key: Key, model: ModelState, field: ManyToManyField[Any, Any], fields: StateFields
) -> ClaimedTable:
    to = fields.related(key, field)
    named = resolve_relation(field.remote_field.model, *key)[1]
    names = (key[1], named) if key[1] != named else (f"from_{key[1]}", f"to_{named}")
    columns = [as_stored(f"{name}_id") for name in names]
    sides = list(zip(columns, (key, to), strict=True))
    return ClaimedTable(
        db_table=_through_name(model, field, fields.connection),
        model=f"{model.app_label}.{model.name}.{field.name}",
        columns=(
            # Its type was chosen by the setting of the day, which no migration records.
            ClaimedColumn(name="id", type=None, not_null=True, numbered=True),
            *(_through_column(column, side, fields) for column, side in sides),
            *_columns_of_its_own(key, field, {"id", *columns}, fields),
        ),
        indexes=(
            ClaimedIndex(columns=("id",), primary=True, unique=True),
            ClaimedIndex(columns=tuple(columns), unique=True),
            *(ClaimedIndex(columns=(column,)) for column in columns),
        ),
        foreign_keys=tuple(
            ClaimedForeignKey(
                column=column,
                to_table=_db_table(side, fields),
                to_column=as_stored(fields.primary_key(side)[1].column or ""),
            )
            for column, side in sides
            if getattr(field.remote_field, "db_constraint", True)
        ),
    )


def _columns_of_its_own(
    key: Key, field: ManyToManyField[Any, Any], known: set[str], fields: StateFields
) -> Iterator[ClaimedColumn]:
    """Yield the columns that a kind of ManyToManyField which is not Django's adds to its table.

    As sortedm2m does, for the order of what is related.
    """
    if type(field) is ManyToManyField:
        return
    bound: Any = fields.rendered(key)._meta.get_field(field.name)
    for item in bound.remote_field.through._meta.local_fields:
        if as_stored(item.column or "") not in known:
            yield _column(item, item.db_parameters(fields.connection), fields.connection)


def _through_column(column: str, side: Key, fields: StateFields) -> ClaimedColumn:
    parameters = fields.reference(*fields.primary_key(side))
    return ClaimedColumn(
        name=column,
        type=parameters["type"],
        not_null=True,
        collation=parameters.get("collation"),
    )


def _through_name(
    model: ModelState, field: ManyToManyField[Any, Any], connection: BaseDatabaseWrapper
) -> str:
    given = getattr(field, "db_table", None)
    if given:
        return str(given)
    table = strip_quotes(db_table_of(model, connection))
    return truncate_name(f"{table}_{field.name}", connection.ops.max_name_length())
