"""The rows that `migrate` inserts of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from opsmigrate.preflight.walk.simulated_table import SimulatedTable


class Later(NamedTuple):
    """A value that only the run itself will know; two of one `label` are equal."""

    label: object


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """Rows for a table: a value for each of the columns, and what Django claims to be their types.

    `key` is the column to which the database gives a value, None where it is among the columns.
    `targets` says to which table a column may point.
    """

    table: SimulatedTable
    types: Mapping[str, str]
    rows: Sequence[tuple[Any, ...]]
    key: str | None
    targets: Mapping[str, SimulatedTable] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are given, in the order of the values."""
        return tuple(self.types)

    def values(self, column: str) -> list[Any]:
        """Return what the rows give to one column."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]
