"""The ways to the goal: in the column itself, or in one beside text that is then swapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.convert import (
    compare_phases,
    follow_phases,
    is_text,
    shadow_of,
    swap_phase,
)
from opsmigrate.backfill.convertible import require_convertible, require_nothing_hangs_on_it
from opsmigrate.backfill.phases import Phase, before_fill, not_null_phases, unique_phases
from opsmigrate.backfill.state import State, read_state


@dataclass(frozen=True)
class Stage:
    """What is planned together, from what is there when it is reached: phases of one column.

    Without `phases`, it is the fill of that column.
    """

    spec: ColumnSpec
    phases: Callable[[BaseDatabaseWrapper], tuple[Phase, ...]] | None = None


FILL = None


@dataclass(frozen=True)
class InPlace:
    """The column of the goal is added, where it is not there, filled and constrained."""

    state: State
    spec: ColumnSpec
    again: str

    @property
    def filled(self) -> ColumnSpec:
        """Return the goal of the column that is filled."""
        return self.spec

    @property
    def adds_column(self) -> bool:
        """Return whether the table gets a column more, whose values are all new."""
        return not self.state.has_column

    @property
    def fits(self) -> bool:
        """Return whether the type of a column that is there leads to the goal."""
        return self.state.column_type == self.spec.type

    @property
    def needs_fill(self) -> bool:
        """Return whether rows may be without a value."""
        return not self.state.not_null

    @property
    def default(self) -> str | None:
        """Return the default that rows get now, where it stays."""
        return self.state.default

    def require_convertible(self, connection: BaseDatabaseWrapper) -> None:
        """Raise RefusedError where what is there cannot be converted; here nothing is."""

    def stages(self) -> tuple[Stage, ...]:
        """Return what is to be done, in this order."""
        spec = self.spec
        return (Stage(spec, lambda c: before_fill(read_state(c, spec), spec)), *_filled(spec))


@dataclass(frozen=True)
class Conversion(InPlace):
    """Text becomes a uuid: another column is filled beside it, and swapped for it."""

    @property
    def filled(self) -> ColumnSpec:
        """Return the goal of the uuid column beside the text."""
        return shadow_of(self.spec)

    @property
    def adds_column(self) -> bool:
        """Say that the table gets a column more."""
        return True

    @property
    def fits(self) -> bool:
        """Say that text leads to a uuid."""
        return True

    @property
    def needs_fill(self) -> bool:
        """Say that the uuid column is to be filled."""
        return True

    @property
    def default(self) -> str | None:
        """Return None: the default of the text goes with it."""
        return None

    def require_convertible(self, connection: BaseDatabaseWrapper) -> None:
        """Raise RefusedError where something hangs on the text, or a value is no UUID."""
        require_convertible(connection, self.spec, self.state, again=self.again)

    def stages(self) -> tuple[Stage, ...]:
        """Return what is to be done up to the swap; after it, plan_for() has what is left."""
        spec, oid = self.spec, self.state.oid
        return (
            Stage(spec, lambda c: follow_phases(c, spec, oid)),
            *_filled(self.filled),
            Stage(spec, lambda c: compare_phases(c, spec, oid)),
            Stage(spec, self._swap),
        )

    def _swap(self, connection: BaseDatabaseWrapper) -> tuple[Phase, ...]:
        # Somebody may have made a view meanwhile, or an index.
        state = read_state(connection, self.spec)
        require_nothing_hangs_on_it(connection, self.spec, state, again=self.again)
        return (swap_phase(connection, self.spec, self.state.oid),)


def plan_for(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, *, again: str
) -> InPlace | Conversion:
    """Return how the goal is reached from what is there; `again` is what to type to go on."""
    state = read_state(connection, spec)
    kind = Conversion if is_text(state, spec) else InPlace
    return kind(state, spec, again)


def _filled(spec: ColumnSpec) -> tuple[Stage, ...]:
    return (
        Stage(spec, FILL),
        Stage(spec, lambda c: unique_phases(read_state(c, spec), spec)),
        Stage(spec, lambda c: not_null_phases(read_state(c, spec), spec)),
    )
