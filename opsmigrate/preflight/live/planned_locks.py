"""Which locks the statements of the plan will want, on which live tables."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opsmigrate.postgres.lock_modes import conflict
from opsmigrate.preflight.forecast.forecast import StatementCost


@dataclass(frozen=True, kw_only=True)
class PlannedLock:
    """A lock that a statement will want; `number` is its place in the plan.

    `snapshots` says that the statement waits for old snapshots too.
    """

    number: int
    table: str
    mode: str
    migration: str | None
    operation: str | None
    snapshots: bool = False

    def conflicts_with(self, held: frozenset[str]) -> bool:
        """Return whether the lock has to wait for one who holds these modes of pg_locks."""
        return any(conflict(self.mode, each) for each in held)


def planned_locks(costs: Iterable[StatementCost]) -> Iterator[PlannedLock]:
    """Yield the locks of the plan's statements."""
    for number, cost in enumerate(costs):
        for table, mode in cost.effects.locks.items():
            yield PlannedLock(
                number=number,
                table=table,
                mode=mode,
                migration=cost.migration,
                operation=cost.operation,
                snapshots=cost.effects.concurrently,
            )
