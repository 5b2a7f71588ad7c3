"""A model from before the plan, with its table before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, Model, Value
from django.db.models.fields import NOT_PROVIDED

from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation


@dataclass(frozen=True, kw_only=True)
class TablePair:
    """A model's table before and after the plan; `schemas` are all tables, then and by then.

    `successors` are the models after the plan that have the same table.
    """

    model: type[Model]
    before: SimulatedTable
    after: SimulatedTable
    schemas: tuple[Simulation, Simulation]
    successors: tuple[type[Model], ...]
    connection: BaseDatabaseWrapper

    @cached_property
    def fields(self) -> dict[str, Field[Any, Any]]:
        """Return the model's fields by their columns."""
        return {column_of(field): field for field in self.model._meta.local_concrete_fields}

    @cached_property
    def fields_after(self) -> dict[str, Field[Any, Any]]:
        """Return the fields of the models after the plan by their columns."""
        return {
            column_of(field): field
            for model in self.successors
            for field in model._meta.local_concrete_fields
        }

    def name_after(self, column: str) -> str | None:
        """Return what a column from before the plan is called after it, None where it is gone."""
        origins = self.after.origins.items() if self.after.origin == self.before.origin else ()
        return next((name for name, live in origins if live == column), None)

    def needs_value(self, column: str, *, before: bool = False) -> bool:
        """Return whether an INSERT that does not name the column fails."""
        table = self.before if before else self.after
        gives = table.defaults | table.identities | table.generated
        return column in table.not_null and column not in gives

    def is_same_in_every_row(self, column: str, *, nulls: bool) -> bool:
        """Return whether every INSERT that does not name the column gives it one same value.

        `nulls` says that all NULLs are the same.
        """
        if column not in self.after.defaults:
            return nulls and column not in self.after.identities
        default = getattr(self.fields_after.get(column), "db_default", NOT_PROVIDED)
        value = default.value if isinstance(default, Value) else default
        if value is None:
            return nulls
        return value is not NOT_PROVIDED and not isinstance(value, Expression)
