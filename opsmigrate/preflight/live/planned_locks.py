"""Which locks the statements of the plan will want, on which live tables."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsmigrate.postgres.lock_modes import MODES, mode_of

# PostgreSQL's documentation, Explicit Locking, Table 13.2: the modes that each has to wait for.
CONFLICTS = {
    "ACCESS SHARE": {*MODES[7:]},
    "ROW SHARE": {*MODES[6:]},
    "ROW EXCLUSIVE": {*MODES[4:]},
    "SHARE UPDATE EXCLUSIVE": {*MODES[3:]},
    "SHARE": {"ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", *MODES[5:]},
    "SHARE ROW EXCLUSIVE": {*MODES[2:]},
    "EXCLUSIVE": {*MODES[1:]},
    "ACCESS EXCLUSIVE": {*MODES},
}
CONCURRENTLY = re.compile(r"^\s*(?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+)INDEX\s+CONCURRENTLY\b", re.I)


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
        return bool(CONFLICTS[self.mode] & {mode_of(name) for name in held})


def planned_locks(statements: Iterable[Mapping[str, Any]]) -> Iterator[PlannedLock]:
    """Yield the locks of the forecast's statements."""
    for number, entry in enumerate(statements):
        for lock in entry.get("locks") or ():
            yield PlannedLock(
                number=number,
                table=lock["table"],
                mode=lock["mode"],
                migration=entry["migration"],
                operation=entry["operation"],
                snapshots=bool(CONCURRENTLY.search(entry["sql"])),
            )
