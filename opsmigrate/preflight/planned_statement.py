"""A statement that the plan will execute, as the walk hears of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class PlannedStatement:
    """Where it stands in the plan, and its text, with placeholders instead of values.

    `tables` are those that it touches, by label. `composed` has the values, which no report shows;
    it is "" where the driver cannot write them yet.
    """

    migration: str | None
    operation: str | None
    sql: str
    tables: tuple[str, ...] = ()
    composed: str = field(default="", repr=False)
