"""What a migration leaves in the catalog: the traces by which its operations are recognised."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model

from opsmigrate.postgres import catalog as live
from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Relation
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.simulated_table import UNIQUE
from opsmigrate.schema.types import base, modifiers

# What, where, and its name or columns; the value is what there is to know of it.
Trace = tuple[str, str, Any]
Traces = dict[Trace, Any]


def traces_of(state: ProjectState, app_label: str, connection: BaseDatabaseWrapper) -> Traces:
    """Return the traces that the models of an app leave in this state."""
    found: Traces = {}
    for model in state.apps.get_models(include_auto_created=True):
        if model._meta.app_label == app_label and model._meta.managed and not model._meta.proxy:
            found.update(_of_model(model, connection))
    return found


def _of_model(model: type[Model], connection: BaseDatabaseWrapper) -> Iterator[tuple[Trace, Any]]:
    options = model._meta
    table = as_stored(options.db_table)
    yield ("table", table, ""), True
    for field in options.local_concrete_fields:
        type_ = field.db_parameters(connection=connection)["type"]
        if type_ is not None:
            yield ("column", table, column_of(field)), True
            yield ("type", table, column_of(field)), _plain(type_)
            yield ("not null", table, column_of(field)), not (field.null or field.generated)
            if field.unique and not field.primary_key:
                yield ("unique", table, (column_of(field),)), True
    for names in options.unique_together:
        yield ("unique", table, _columns(model, names)), True
    for index in options.indexes:
        names = tuple(name for name, _ in index.fields_orders)
        columns = _columns(model, names) if names else None
        yield ("index", table, as_stored(index.name)), columns
    for constraint in options.constraints:
        yield ("constraint", table, as_stored(constraint.name)), True


def _columns(model: type[Model], names: Iterable[str]) -> tuple[str, ...]:
    fields: Any = [model._meta.get_field(name) for name in names]
    return tuple(map(column_of, fields))


def _plain(type_: str) -> tuple[Any, ...]:
    return (base(type_), modifiers(type_))


def live_traces(catalog: Catalog, wanted: Iterable[Trace]) -> Traces:
    """Return those of the traces that the live database has; an INVALID index is not one."""
    tables = {
        relation.name: relation
        for relation in catalog.relations
        if relation.visible and relation.kind in TABLE_KINDS
    }
    found: Traces = {}
    for trace in wanted:
        kind, name, what = trace
        if name in tables:
            value = _live(tables[name], kind, what)
            if value is not None:
                found[trace] = value
    return found


def _live(table: Relation, kind: str, what: Any) -> Any:
    if kind == "table":
        return True
    if kind in ("column", "type", "not null"):
        column = next((each for each in table.columns if each.name == what), None)
        if column is None:
            return None
        return {"column": True, "type": _plain(column.type), "not null": column.not_null}[kind]
    indexes = [index for index in table.indexes if index.valid]
    if kind == "unique":
        constraints = [item.columns for item in table.constraints if item.kind == UNIQUE]
        return True if what in constraints else None
    if kind == "index":
        index = next((each for each in indexes if each.name == what), None)
        return None if index is None else index.columns
    names = {item.name for item in table.constraints} | {index.name for index in indexes}
    return True if what in names else None


def same(expected: Any, live: Any) -> bool:
    """Return whether a live trace is the expected one; an index on expressions has no columns."""
    if isinstance(live, tuple) and expected is None:
        return True
    return bool(expected == live)


def invalid_indexes(catalog: Catalog, names: Iterable[str]) -> list[tuple[Relation, live.Index]]:
    """Return those of the named indexes that are INVALID, with their tables."""
    wanted = set(names)
    return [
        (relation, index)
        for relation in catalog.relations
        for index in relation.indexes
        if index.name in wanted and not index.valid
    ]
