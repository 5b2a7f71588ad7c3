"""What the rehearsal's process tells of a statement that it executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsmigrate.postgres.lock_modes import mode_of, pg_locks_name

# Characters of a statement that a report shows.
LONGEST_SQL = 2000
# Instead of the text of those that are too many to be kept each.
FURTHER = "(further statements)"


@dataclass(frozen=True, kw_only=True)
class RehearsedStatement:
    """A statement, with what all its executions by one operation took; `seconds` in total.

    `locks` are the strongest new modes by table, None where nobody could see them: those of a
    statement that is a transaction of its own are gone with it. `rewrites` are tables and indexes.
    """

    migration: str | None
    operation: str | None
    sql: str
    count: int = 0
    seconds: float = 0.0
    rows: int = 0
    wal_bytes: int = 0
    locks: Mapping[str, str] | None = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as the process sends it and the report has it: modes as pg_locks calls them."""
        locks = self.locks
        return {
            "migration": self.migration,
            "operation": self.operation,
            "sql": self.sql,
            "count": self.count,
            "seconds": round(self.seconds, 4),
            "rows": self.rows,
            "wal_bytes": self.wal_bytes,
            "locks": None
            if locks is None
            else [{"relation": name, "mode": pg_locks_name(locks[name])} for name in sorted(locks)],
            "rewrites": list(self.rewrites),
        }


def rehearsed_statement(sent: Mapping[str, Any]) -> RehearsedStatement:
    """Return the statement that as_json() was made of: the only place that reads that form."""
    locks = sent["locks"]
    return RehearsedStatement(
        **{
            **sent,
            "locks": None
            if locks is None
            else {lock["relation"]: mode_of(lock["mode"]) for lock in locks},
            "rewrites": tuple(sent["rewrites"]),
        }
    )
