"""The ways to the goal: in the column itself, or in one beside text that is then swapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.convert import (
    compare_phases,
    follow_phases,
    is_text,
    shadow_of,
    swap_phase,
)
from opsmigrate.backfill.convertible import require_convertible, require_nothing_hangs_on_it
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.phases import Phase, before_fill, not_null_phases, unique_phases
from opsmigrate.backfill.state import State, read_state


@dataclass(frozen=True)
class Stage:
    """What is planned together, from what is there when it is reached: phases of one column.

    Without `phases`, it is the fill of that column.
    """

    goal: Goal
    phases: Callable[[BaseDatabaseWrapper], tuple[Phase, ...]] | None = None


FILL = None


@dataclass(frozen=True)
class InPlace:
    """The column of the goal is added, where it is not there, filled and constrained."""

    state: State
    goal: Goal
    again: str

    @property
    def filled(self) -> Goal:
        """Return the goal of the column that is filled."""
        return self.goal

    @property
    def adds_column(self) -> bool:
        """Say whether the table gets a column more, whose values are all new."""
        return not self.state.has_column

    @property
    def fits(self) -> bool:
        """Say whether the type of a column that is there leads to the goal."""
        return self.state.column_type == self.goal.type

    @property
    def needs_fill(self) -> bool:
        """Say whether rows may be without a value."""
        return not self.state.not_null

    @property
    def default(self) -> str | None:
        """Return the default that rows get now, where it stays."""
        return self.state.default

    def require_convertible(self, connection: BaseDatabaseWrapper) -> None:
        """Raise RefusedError where what is there cannot be converted; here nothing is."""

    def stages(self) -> tuple[Stage, ...]:
        """Return what is to be done, in this order."""
        goal = self.goal
        return (Stage(goal, lambda c: before_fill(read_state(c, goal), goal)), *_filled(goal))


@dataclass(frozen=True)
class Conversion(InPlace):
    """Text becomes a uuid: another column is filled beside it, and swapped for it."""

    @property
    def filled(self) -> Goal:
        """Return the goal of the uuid column beside the text."""
        return shadow_of(self.goal)

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
        require_convertible(connection, self.goal, self.state, again=self.again)

    def stages(self) -> tuple[Stage, ...]:
        """Return what is to be done up to the swap; after it, plan_for() has what is left."""
        goal, oid = self.goal, self.state.oid
        return (
            Stage(goal, lambda c: follow_phases(c, goal, oid)),
            *_filled(self.filled),
            Stage(goal, lambda c: compare_phases(c, goal, oid)),
            Stage(goal, self._swap),
        )

    def _swap(self, connection: BaseDatabaseWrapper) -> tuple[Phase, ...]:
        # Somebody may have made a view meanwhile, or an index.
        state = read_state(connection, self.goal)
        require_nothing_hangs_on_it(connection, self.goal, state, again=self.again)
        return (swap_phase(connection, self.goal, self.state.oid),)


def plan_for(connection: BaseDatabaseWrapper, goal: Goal, *, again: str) -> InPlace | Conversion:
    """Return how the goal is reached from what is there; `again` is what to type to go on."""
    state = read_state(connection, goal)
    kind = Conversion if is_text(state, goal) else InPlace
    return kind(state, goal, again)


def _filled(goal: Goal) -> tuple[Stage, ...]:
    return (
        Stage(goal, FILL),
        Stage(goal, lambda c: unique_phases(read_state(c, goal), goal)),
        Stage(goal, lambda c: not_null_phases(read_state(c, goal), goal)),
    )
