"""Drift: where the live tables differ from what the applied migrations claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog
from opsmigrate.postgres.garbage_collection import gc_paused
from opsmigrate.postgres.names import as_stored, split_table
from opsmigrate.schema.applied import AppliedMigrations, applied_state
from opsmigrate.schema.claimed import claimed_tables
from opsmigrate.schema.claims import ClaimedTable
from opsmigrate.schema.columns import column_drift
from opsmigrate.schema.conditions import Demand, condition_drift, demands_of
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.fields import StateFields
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.schema.keys import check_drift, foreign_key_drift, index_drift
from opsmigrate.schema.live_tables import LiveTables
from opsmigrate.schema.types import same_types

KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}


def drift_of(
    connection: BaseDatabaseWrapper,
    executor: MigrationExecutor,
    catalog: Catalog,
    state: ProjectState | None = None,
) -> tuple[Drift, ...]:
    """Return where the database of `catalog` differs from what is recorded as applied in it.

    `state` is that of the applied migrations, where the caller has it already; it is not changed.
    Names of constraints and indexes, the way in which rows are numbered, spellings of types, and
    tables, indexes, defaults and checks that no migration knows are no drift; nor is what a
    migration did in SQL of its own, without telling the state.
    """
    applied = AppliedMigrations(executor)
    state = state or applied_state(executor)
    fields = StateFields(state, connection)
    with gc_paused():
        claimed = claimed_tables(state, connection, altered=applied.altered)
        compared = list(_compared(claimed, catalog))
        said = {(drift.table, drift.name) for _, drift in compared}
        demanded = _demanded(fields, applied, claimed, catalog)
        compared += [item for item in demanded if (item[1].table, item[1].name) not in said]
        found = [
            (table, drift) for table, drift in compared if not _was_meant(drift, table, applied)
        ]
    types = [(str(item.claimed), str(item.live)) for _, item in found if item.id == "drift-type"]
    same = same_types(connection, types) if types else frozenset()
    found = [
        (table, item)
        for table, item in found
        if item.id != "drift-type" or (item.claimed, item.live) not in same
    ]
    if not found:
        return ()
    # Loaded only where there is something to put right.
    from opsmigrate.schema.remedies import remedied

    return remedied(found, claimed, fields, LiveTables(catalog), applied)


def _was_meant(drift: Drift, claimed: ClaimedTable, applied: AppliedMigrations) -> bool:
    if drift.id == "drift-not-validated" and drift.name in applied.not_validated:
        return True
    names = [drift.column, drift.name]
    if not any(names):
        names = [split_table(claimed.db_table)[1]]
    return applied.wrote(claimed.model.partition(".")[0], *names)


def _compared(
    tables: Iterable[ClaimedTable], catalog: Catalog
) -> Iterator[tuple[ClaimedTable, Drift]]:
    live = LiveTables(catalog)
    for table in tables:
        for drift in _table_drift(table, live):
            yield table, drift


def _demanded(
    fields: StateFields,
    applied: AppliedMigrations,
    tables: Iterable[ClaimedTable],
    catalog: Catalog,
) -> Iterator[tuple[ClaimedTable, Drift]]:
    """Yield what checks and indexes demand otherwise, but for those on fields that were remade."""
    live, connection, models = LiveTables(catalog), fields.connection, fields.state.models
    owners: dict[str, ClaimedTable] = {}
    demands: list[Demand] = []
    for claimed in tables:
        app_label, _, name = claimed.model.partition(".")
        key, table = (app_label, name.lower()), live.find(claimed.db_table)
        # What others wrote would be computed with a superuser's rights.
        if table is None or key not in models or table.owner in catalog.distrusted:
            continue
        owners[table.label] = claimed
        rendered = partial(fields.rendered, key)
        for demand in demands_of(connection, models[key].options, rendered, table):
            remade = {
                as_stored(field.column or "")
                for name, field in fields.of(key).items()
                if (app_label, name) in applied.remade
            }
            if remade.isdisjoint(column.name for column in demand.columns):
                demands.append(demand)
    for drift in condition_drift(connection, demands):
        yield owners[drift.table], drift


def _table_drift(claimed: ClaimedTable, live: LiveTables) -> Iterator[Drift]:
    table = live.find(claimed.db_table)
    if table is None or table.kind not in TABLE_KINDS:
        found = KINDS.get(table.kind, "relation of another kind") if table else None
        yield Drift(
            id="drift-table-missing",
            table=table.label if table else ".".join(live.schema_and_name(claimed.db_table)),
            claimed=f"the table of {claimed.model}",
            live=f"a {found}" if found else None,
        )
        return
    if live.owner and table.owner != live.owner:
        yield Drift(
            id="drift-owner",
            table=table.label,
            claimed=f"the owner {live.owner}, as of {HISTORY}",
            live=f"the owner {table.owner}",
        )
    yield from column_drift(claimed, table)
    yield from index_drift(claimed, table)
    yield from foreign_key_drift(claimed, table, live.find)
    yield from check_drift(claimed, table)
