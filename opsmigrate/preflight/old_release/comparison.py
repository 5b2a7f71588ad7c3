"""The schema after a plan, against the models from before it: what they would stumble on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from opsmigrate.preflight.old_release.changes import Change, Kind, Walked
from opsmigrate.preflight.old_release.columns import column_changes, new_columns
from opsmigrate.preflight.old_release.constraints import constraint_changes
from opsmigrate.preflight.old_release.table_pair import TablePair
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation

VIEWS = ("v", "m")


@dataclass(frozen=True)
class SchemaPair:
    """The schema before the plan, and the one after it."""

    before: Simulation
    after: Simulation


def find_changes(
    walked: Walked, schemas: SchemaPair, connection: BaseDatabaseWrapper
) -> list[Change]:
    """Return what the plan changes about what the models from before it use.

    What was unlike the models before the plan is not of the plan, and so not told. A model that
    Django does not manage is judged by what it reads.
    """
    before = schemas.before
    views = _views(before) - _views(schemas.after)
    successors = _models_after(walked, schemas.after)
    found: list[Change] = []
    for model in walked.models:
        if not router.allow_migrate_model(connection.alias, model):
            continue
        table = before.table(model._meta.db_table)
        if table is not None:
            found += _of_table(model, table, schemas, connection, successors)
        elif before.visible_kind(model._meta.db_table) in VIEWS:
            label = before.label(model._meta.db_table)
            if label in views:
                words = f"the view {label} is dropped with what it reads"
                found.append(Change(model, Kind.VIEW_GONE, words, name=model._meta.db_table))
    return found


def _of_table(
    model: type[Model],
    table: SimulatedTable,
    schemas: SchemaPair,
    connection: BaseDatabaseWrapper,
    successors: Mapping[str, list[type[Model]]],
) -> Iterator[Change]:
    after = schemas.after.table(model._meta.db_table)
    if after is None:
        yield _table_gone(model, table, schemas.after)
        return
    pair = TablePair(
        model=model,
        before=table,
        after=after,
        schemas=(schemas.before, schemas.after),
        successors=tuple(successors.get(after.label, ())),
        connection=connection,
    )
    yield from column_changes(pair)
    if model._meta.managed:
        yield from new_columns(pair)
        yield from constraint_changes(pair)


def _models_after(walked: Walked, after: Simulation) -> dict[str, list[type[Model]]]:
    """Return the models after the plan by the label of their table."""
    found: dict[str, list[type[Model]]] = {}
    for model in walked.after.apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            found.setdefault(after.label(model._meta.db_table), []).append(model)
    return found


def _views(schema: Simulation) -> set[str]:
    return {view.replace('"', "") for table in schema.tables for view in table.views}


def _table_gone(model: type[Model], table: SimulatedTable, after: Simulation) -> Change:
    now = after.of_origin(table.schema, table.name)
    if now is None:
        words = f"table {table.label} is dropped"
        return Change(model, Kind.TABLE_GONE, words, name=table.name)
    words = f"table {table.label} is renamed to {now.name}"
    return Change(model, Kind.TABLE_RENAMED, words, name=table.name, now=now.name)
