"""A drift with all that is known of its table: what a remedy is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.schema.applied import AppliedMigrations
from opsmigrate.schema.claims import ClaimedColumn, ClaimedTable
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.fields import StateFields
from opsmigrate.schema.live_tables import LiveTables
from opsmigrate.steps import Step, statement


class Remedy(NamedTuple):
    """What to decide, in words, and what to type."""

    hint: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DriftCase:
    """A drift, its table as claimed and as live, and the other drift of the same table.

    `unclaimed` are the live tables of which no model says anything.
    """

    drift: Drift
    claimed: ClaimedTable
    table: Relation | None
    others: tuple[Drift, ...]
    unclaimed: tuple[Relation, ...]
    live: LiveTables
    fields: StateFields
    applied: AppliedMigrations

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """Return the connection to the database that drifted."""
        return self.fields.connection

    @property
    def relation(self) -> Relation:
        """Return the live table, where there is one."""
        assert self.table is not None  # noqa: S101 - only drift-table-missing has none
        return self.table

    @property
    def app_label(self) -> str:
        """Return the app of the model."""
        return self.claimed.model.partition(".")[0]

    @property
    def where(self) -> str:
        """Return the table as SQL, with its schema."""
        return quoted(self.relation.schema, self.relation.name)

    @property
    def column(self) -> str:
        """Return the column as SQL."""
        return quoted(self.drift.column or "")

    @property
    def claimed_column(self) -> ClaimedColumn:
        """Return what is claimed of the column."""
        return next(item for item in self.claimed.columns if item.name == self.drift.column)

    def alter(self, action: str, *, risk: str | None = None, alternative: int = 1) -> Step:
        """Return the step that alters the table."""
        return statement(f"ALTER TABLE {self.where} {action}", risk=risk, alternative=alternative)

    def alter_column(self, action: str, *, risk: str | None = None) -> Step:
        """Return the step that alters the column."""
        return self.alter(f"ALTER COLUMN {self.column} {action}", risk=risk)

    @cached_property
    def model(self) -> type[Model]:
        """Return the class of the model as it is applied, that of a ManyToManyField's table too.

        Costly the first time.
        """
        app_label, name, *field = self.claimed.model.split(".")
        model = self.fields.rendered((app_label, name.lower()))
        if field:
            relation: Any = model._meta.get_field(field[0])
            through: type[Model] = relation.remote_field.through
            return through
        return model

    def field(self, column: str) -> Field[Any, Any]:
        """Return the field of a column."""
        return next(
            item for item in self.model._meta.local_fields if as_stored(item.column or "") == column
        )

    def columns_of(self, names: Iterable[str]) -> str:
        """Return columns as SQL, with commas between them."""
        return ", ".join(quoted(name) for name in names)
