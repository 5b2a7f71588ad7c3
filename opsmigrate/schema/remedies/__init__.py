"""What to type so that the database is as the applied migrations claim, and no value is lost.

Steps are as `opsmigrate.steps` says. What would take values away, cut, round or shift them comes
after a query that shows which, and says so as its risk; where that must be decided by somebody who
knows the rows, there are words instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from opsmigrate.postgres.catalog import TABLE_KINDS
from opsmigrate.schema.applied import AppliedMigrations
from opsmigrate.schema.claims import ClaimedTable
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.fields import StateFields
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.schema.live_tables import LiveTables
from opsmigrate.schema.remedies.column_remedies import (
    collation_remedy,
    default_remedy,
    generated_remedy,
    identity_remedy,
    null_remedy,
)
from opsmigrate.schema.remedies.constraint_remedies import not_validated_remedy
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.remedies.index_remedies import invalid_remedy
from opsmigrate.schema.remedies.table_remedies import owner_remedy, table_remedy
from opsmigrate.schema.remedies.type_remedies import type_remedy
from opsmigrate.schema.remedies.unknown import OF_KEYS, missing_remedy, unknown_remedy

REMEDIES: Mapping[str, Callable[[DriftCase], Remedy]] = {
    **OF_KEYS,
    "drift-collation": collation_remedy,
    "drift-column-missing": missing_remedy,
    "drift-column-unknown": unknown_remedy,
    "drift-default": default_remedy,
    "drift-generated": generated_remedy,
    "drift-identity": identity_remedy,
    "drift-index-invalid": invalid_remedy,
    "drift-not-validated": not_validated_remedy,
    "drift-null": null_remedy,
    "drift-owner": owner_remedy,
    "drift-table-missing": table_remedy,
    "drift-type": type_remedy,
}
UNKNOWN = Remedy(
    "make it as the migrations describe it, or write a migration that describes what exists"
)


def remedied(
    found: Sequence[tuple[ClaimedTable, Drift]],
    claimed: Iterable[ClaimedTable],
    fields: StateFields,
    live: LiveTables,
    applied: AppliedMigrations,
) -> tuple[Drift, ...]:
    """Return each drift with its remedy; `claimed` are all tables that are claimed."""
    if not found:
        return ()
    by_table: dict[str, list[Drift]] = defaultdict(list)
    for _, drift in found:
        by_table[drift.table].append(drift)
    known = {table.oid for item in claimed if (table := live.find(item.db_table)) is not None}
    relations = live.catalog.relations
    # What is in a schema with a history of its own is another tenant's, or another project's.
    others = {item.schema for item in relations if item.name == HISTORY and not item.visible}
    unclaimed = tuple(
        item
        for item in relations
        if item.kind in TABLE_KINDS
        and item.oid not in known
        and not item.is_partition
        and item.schema not in others
    )
    return tuple(
        _with_remedy(
            DriftCase(
                drift=drift,
                claimed=table,
                table=live.find(table.db_table),
                others=tuple(by_table[drift.table]),
                unclaimed=unclaimed,
                live=live,
                fields=fields,
                applied=applied,
            )
        )
        for table, drift in found
    )


def _with_remedy(case: DriftCase) -> Drift:
    try:
        remedy = REMEDIES[case.drift.id](case)
    except Exception:  # a field or an expression of the project may raise anything
        remedy = UNKNOWN
    return replace(case.drift, hint=remedy.hint, steps=remedy.steps)
