"""Drift: where the live tables differ from what the applied migrations claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Column, Relation
from opsmigrate.postgres.names import as_stored, split_table
from opsmigrate.schema.applied import AppliedMigrations, applied_state
from opsmigrate.schema.claimed import claimed_tables
from opsmigrate.schema.claims import ClaimedColumn, ClaimedTable
from opsmigrate.schema.differences import Drift
from opsmigrate.schema.keys import check_drift, foreign_key_drift, index_drift
from opsmigrate.schema.types import INTEGERS, base, canonical

KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}
GENERATED = {"": "a plain column", "s": "generated and stored", "v": "generated, virtual"}


def drift_of(
    connection: BaseDatabaseWrapper,
    executor: MigrationExecutor,
    catalog: Catalog,
    state: ProjectState | None = None,
) -> tuple[Drift, ...]:
    """Return where the database of `catalog` differs from what is recorded as applied in it.

    `state` is that of the applied migrations, where the caller has it already; it is not changed.
    What a migration did in SQL of its own, without telling the state, is no drift.
    """
    applied = AppliedMigrations(executor)
    claimed = claimed_tables(state or applied_state(executor), connection, altered=applied.altered)
    return tuple(
        drift
        for table, drift in _compared(claimed, catalog)
        if not _was_meant(drift, table, applied)
    )


def _was_meant(drift: Drift, claimed: ClaimedTable, applied: AppliedMigrations) -> bool:
    if drift.kind == "drift-not-validated" and drift.name in applied.not_validated:
        return True
    names = [drift.column, drift.name]
    if not any(names):
        names = [split_table(claimed.db_table)[1]]
    return applied.wrote(claimed.model.partition(".")[0], *names)


def find_drift(tables: Iterable[ClaimedTable], catalog: Catalog) -> tuple[Drift, ...]:
    """Return each difference that means something, in the order of `tables`.

    Names of constraints and indexes, the way in which rows are numbered, spellings of types, and
    tables, indexes, defaults and checks that no migration knows are no drift.
    """
    return tuple(drift for _, drift in _compared(tables, catalog))


def _compared(
    tables: Iterable[ClaimedTable], catalog: Catalog
) -> Iterator[tuple[ClaimedTable, Drift]]:
    live = _LiveTables(catalog)
    for table in tables:
        for drift in _table_drift(table, live):
            yield table, drift


class _LiveTables:
    """The relations of a catalog, by the db_table that finds them."""

    def __init__(self, catalog: Catalog) -> None:
        self._all = {(item.schema, item.name): item for item in catalog.relations}
        self._visible = {item.name: item for item in catalog.relations if item.visible}
        self._schema = catalog.schema
        history = self.find("django_migrations")
        self.owner = history.owner if history else None

    def find(self, db_table: str) -> Relation | None:
        """Return the relation that Django's statements mean, None where there is none."""
        schema, name = split_table(db_table)
        if schema is None:
            return self._visible.get(as_stored(name))
        return self._all.get((as_stored(schema), as_stored(name)))

    def label(self, db_table: str) -> str:
        """Return `schema.name` of a table that is missing."""
        schema, name = split_table(db_table)
        return f"{schema or self._schema or 'public'}.{name}"


def _table_drift(claimed: ClaimedTable, live: _LiveTables) -> Iterator[Drift]:
    table = live.find(claimed.db_table)
    if table is None or table.kind not in TABLE_KINDS:
        found = KINDS.get(table.kind, "relation of another kind") if table else None
        yield Drift(
            kind="drift-table-missing",
            table=table.label if table else live.label(claimed.db_table),
            claimed=f"the table of {claimed.model}",
            live=f"a {found}" if found else None,
        )
        return
    if live.owner and table.owner != live.owner:
        yield Drift(
            kind="drift-owner",
            table=table.label,
            claimed=f"owned by {live.owner}, as django_migrations is",
            live=f"owned by {table.owner}",
        )
    yield from _column_drift(claimed, table)
    yield from index_drift(claimed, table)
    yield from foreign_key_drift(claimed, table, live.find)
    yield from check_drift(claimed, table)


def _column_drift(claimed: ClaimedTable, table: Relation) -> Iterator[Drift]:
    columns = {column.name: column for column in table.columns}
    for column in claimed.columns:
        found = columns.pop(column.name, None)
        if found is None:
            yield Drift(
                kind="drift-column-missing",
                table=table.label,
                column=column.name,
                claimed=column.type or "integer",
            )
        else:
            yield from _one_column(column, found, table)
    for unknown in columns.values():
        yield Drift(
            kind="drift-column-unknown",
            table=table.label,
            column=unknown.name,
            live=unknown.type + (" NOT NULL" if unknown.not_null else ""),
        )


def _one_column(claimed: ClaimedColumn, found: Column, table: Relation) -> Iterator[Drift]:
    generated = ("v" if found.virtual else "s") if found.generated else ""
    differences = [
        ("drift-type", not _same_type(claimed, found), claimed.type or "integer", found.type),
        (
            "drift-null",
            claimed.not_null != found.not_null,
            "NOT NULL" if claimed.not_null else "NULL allowed",
            "NOT NULL" if found.not_null else "NULL allowed",
        ),
        (
            "drift-generated",
            claimed.generated != generated,
            GENERATED[claimed.generated],
            GENERATED[generated],
        ),
        (
            "drift-identity",
            claimed.numbered and not (found.identity or found.has_default),
            "numbered by an identity or a sequence",
            None,
        ),
        (
            "drift-default",
            claimed.has_default and not (found.has_default or found.generated),
            "a database default",
            None,
        ),
        (
            "drift-collation",
            claimed.collation != found.collation,
            f'collation "{claimed.collation}"' if claimed.collation else "the type's own collation",
            f'collation "{found.collation}"' if found.collation else "the type's own collation",
        ),
    ]
    for kind, differs, wanted, there in differences:
        if differs:
            yield Drift(kind=kind, table=table.label, column=found.name, claimed=wanted, live=there)


def _same_type(claimed: ClaimedColumn, found: Column) -> bool:
    if claimed.type is None:
        return base(canonical(found.type)) in INTEGERS
    return claimed.type == found.type or canonical(claimed.type) == canonical(found.type)
