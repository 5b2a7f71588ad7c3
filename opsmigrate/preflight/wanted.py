"""Which locks the statements of the plan will want, on which live tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# PostgreSQL's documentation, Explicit Locking, Table 13.2, as pg_locks spells the modes.
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
CONFLICTS = {
    "RowExclusiveLock": set(MODES[4:]),
    "ShareUpdateExclusiveLock": set(MODES[3:]),
    "ShareLock": {"RowExclusiveLock", "ShareUpdateExclusiveLock", *MODES[5:]},
    "ShareRowExclusiveLock": set(MODES[2:]),
    "AccessExclusiveLock": set(MODES),
}
CONCURRENTLY = re.compile(r"^\s*(?:CREATE (?:UNIQUE )?|DROP )INDEX CONCURRENTLY\b", re.I)
BY_TEXT = (
    (CONCURRENTLY, "ShareUpdateExclusiveLock"),
    (re.compile(r"^\s*CREATE (?:UNIQUE )?INDEX\b", re.I), "ShareLock"),
    (re.compile(r"^\s*ALTER INDEX\b", re.I), None),
    (re.compile(r"^\s*COMMENT\b", re.I), "ShareUpdateExclusiveLock"),
    (re.compile(r"\bVALIDATE CONSTRAINT\b", re.I), "ShareUpdateExclusiveLock"),
    (
        re.compile(r"^\s*ALTER TABLE \S+ ADD CONSTRAINT \S+ FOREIGN KEY\b", re.I),
        "ShareRowExclusiveLock",
    ),
    (re.compile(r"^\s*(?:INSERT|UPDATE|DELETE)\b", re.I), "RowExclusiveLock"),
    # Django drops a foreign key with SET CONSTRAINTS before ALTER TABLE.
    (re.compile(r"^\s*(?:SELECT\b|SET\b[^;]*$)", re.I), None),
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
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
        """Say whether the lock has to wait for one who holds these modes."""
        return bool(CONFLICTS[self.mode] & held)


def wanted_locks(statements: Sequence[Mapping[str, Any]]) -> Iterator[Wanted]:
    """Yield a lock for each table that the ledger's statements name."""
    for number, entry in enumerate(statements):
        sql = entry["sql"]
        mode = next((mode for pattern, mode in BY_TEXT if pattern.search(sql)), MODES[-1])
        if mode is None:
            continue
        for place, table in enumerate(entry["tables"]):
            yield Wanted(
                number=number,
                table=table,
                mode=_of_other(sql) if place else mode,
                migration=entry["migration"],
                operation=entry["operation"],
                snapshots=bool(CONCURRENTLY.search(sql)),
            )


def _of_other(sql: str) -> str:
    """Return the mode on the other end of a foreign key that comes or goes."""
    return "AccessExclusiveLock" if re.search(r"\bDROP\b", sql, re.I) else "ShareRowExclusiveLock"
