"""Code of a migration that gives rows constants: whether any row may refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.walk.empty_query import NotEmptyError, require_sound
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.live_query import UnaskableError, finds_rows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulation import SimulatedTable
from opsmigrate.preflight.walk.updated_rows import OpenError, require_updatable


@dataclass
class Written:
    """What code has written so far, so that it can be taken back where more is not understood."""

    before: list[tuple[SimulatedTable, dict[str, Composable], str | None]] = field(
        default_factory=list
    )

    def note(self, table: SimulatedTable, columns: list[str], migration: str | None) -> None:
        """Let nobody know from here on what the columns hold."""
        self.before.append((table, dict(table.values), table.rows_written_in))
        for column in columns:
            table.values.pop(column, None)
        table.rows_written_in = migration

    def take_back(self) -> None:
        """Let the tables be as they were before."""
        for table, values, migration in reversed(self.before):
            table.values, table.rows_written_in = values, migration


def update_constants(
    walk: SchemaWalk, query: QuerySet[Any], changes: Mapping[str, Any], written: Written
) -> None:
    """Let the rows of the query have the constants; raise NotEmptyError unless each takes them."""
    model: Any = query.model
    table, others = require_sound(walk, query, changes=changes)
    if others or model._meta.parents or table.origin is None:
        raise NotEmptyError
    fields = {name: model._meta.get_field(name) for name in changes}
    values = {column_of(fields[name]): value for name, value in changes.items()}
    try:
        # PostgreSQL itself says whether it takes the query.
        finds_rows(walk, query)
        require_updatable(walk, table, values)
    except (OpenError, UnaskableError) as error:
        raise NotEmptyError from error
    written.note(table, list(values), walk.ledger.migration)
