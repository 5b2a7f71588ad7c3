"""The forecast for people: the finding, and the lines of the text report."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from opsmigrate.counted import counted
from opsmigrate.postgres.lock_modes import blocks
from opsmigrate.preflight.forecast.forecast import Forecast, LockDuration, StatementCost
from opsmigrate.report import Finding, Severity

# A writer that waits so long is noticed. Without a measurement the size decides.
LONG_SECONDS = 1.0
LONG_ROWS, LONG_BYTES = 1_000_000, 10**9
SHOWN = 3


@dataclass(frozen=True)
class BlockedTable:
    """A table that is kept from writers, and maybe from readers, with how much that weighs."""

    writes: LockDuration
    reads: LockDuration | None
    severity: Severity

    @property
    def worst(self) -> StatementCost:
        """Return the statement that takes longest."""
        return max(self.writes.causes, key=lambda cost: cost.seconds or 0)


def blocked_tables(forecast: Forecast) -> list[BlockedTable]:
    """Return the live tables that are kept from writers for long, the longest first.

    A warning where that was measured to last over a second, or where nothing was measured and the
    table is worked through and big; information where only a coarse rate says so.
    """
    by_table: dict[str, list[LockDuration]] = {}
    for held in forecast.lock_durations:
        if blocks(held.mode):
            by_table.setdefault(held.table, []).append(held)
    found = []
    for each in by_table.values():
        writes = max(each, key=lambda held: held.seconds)
        reads = next((held for held in each if "reads" in blocks(held.mode)), None)
        severity = _severity(forecast, writes)
        if severity is not None:
            found.append(BlockedTable(writes, reads, severity))
    return sorted(found, key=lambda closed: (-closed.writes.seconds, closed.writes.table))


def long_locks(forecast: Forecast, instead: dict[int, str | None]) -> list[Finding]:
    """Return a finding for each live table that is kept from writers for long."""
    return [_finding(forecast, closed, instead) for closed in blocked_tables(forecast)]


def _severity(forecast: Forecast, held: LockDuration) -> Severity | None:
    if held.basis == "rehearsal":
        return Severity.WARNING if held.seconds > LONG_SECONDS else None
    if any(_is_big(forecast, held.table, cost) for cost in held.causes):
        return Severity.WARNING
    return Severity.INFO if held.seconds > LONG_SECONDS else None


def _is_big(forecast: Forecast, table: str, cost: StatementCost) -> bool:
    effects, size = cost.effects, forecast.size(table)
    worked = table in effects.worked
    return worked and ((size.rows or 0) > LONG_ROWS or (size.bytes or 0) > LONG_BYTES)


def _finding(forecast: Forecast, closed: BlockedTable, instead: dict[int, str | None]) -> Finding:
    held, worst = closed.writes, closed.worst
    size = forecast.size(held.table)
    return Finding(
        id="long-lock",
        severity=closed.severity,
        message=f"{held.table} ({_size(forecast, held.table)}) would be blocked for "
        f"{_kept(closed)}: {_does(worst, held.table)}",
        hint=instead.get(id(worst)) or "run migrate during low traffic",
        migration=worst.migration,
        operation=worst.operation,
        table=held.table,
        evidence={
            "mode": held.mode,
            "seconds": held.seconds,
            "seconds_closed_to_reads": closed.reads.seconds if closed.reads else 0,
            "basis": held.basis,
            "rows": size.rows,
            "bytes": size.bytes,
            "sql": worst.sql,
        },
    )


def lines(
    forecast: Forecast, advice: Sequence[dict[str, str]], *, unknown: bool = False
) -> list[str]:
    """Return the section of the text report; nothing where no live table with rows is touched.

    `unknown` says that the plan runs code, which nothing measured.
    """
    touched = {held.table for held in forecast.lock_durations}
    if not any((forecast.size(label).bytes or 0) > 0 for label in touched):
        return []
    long = blocked_tables(forecast)
    if not long:
        if unknown or not all(cost.effects.understood for cost in forecast.costs):
            return ["Forecast: the part of the plan that was understood blocks no session for long"]
        return ["Forecast: nothing blocks readers or writers for long"]
    measured = all(closed.writes.basis == "rehearsal" for closed in long)
    how = (
        "seconds are from the rehearsal" if measured else "seconds are coarse, without a rehearsal"
    )
    shown = [f"Forecast (rows and bytes are estimates, {how}):"]
    for closed in long[:SHOWN]:
        table, worst = closed.writes.table, closed.worst
        shown.append(f"  {table}, {_size(forecast, table)}:")
        shown.append(f"      no {_kept(closed)}")
        shown.append(f"      {worst.migration} {worst.operation}: {_does(worst, table)}")
    if len(long) > SHOWN:
        shown.append(f"  … and {len(long) - SHOWN} more (--format json)")
    for each in [each for each in advice if each["table"] in touched][:SHOWN]:
        shown += textwrap.wrap(each["advice"], 78, initial_indent="  ", subsequent_indent="    ")
    return shown


def _kept(closed: BlockedTable) -> str:
    writes = f"writes for {_about(closed.writes)}"
    if closed.reads is None:
        return writes
    if closed.reads.seconds == closed.writes.seconds:
        return f"reads and {writes}"
    return f"{writes}, reads for {_about(closed.reads)}"


def _size(forecast: Forecast, table: str) -> str:
    size = forecast.size(table)
    rows = "rows unknown" if size.rows is None else f"about {counted(size.rows, 'row')}"
    return rows if size.bytes is None else f"{rows}, {size.bytes / 1e6:,.0f} MB"


def _about(held: LockDuration) -> str:
    return f"about {max(held.seconds, 0.1):,.1f} s"


def _does(cost: StatementCost, table: str) -> str:
    effects = cost.effects
    if table in effects.rewrites:
        return "it rewrites the table and its indexes"
    if table in effects.builds:
        return "it builds an index"
    if table in effects.scans:
        return "it reads the whole table"
    return "it holds the lock until the migration commits"
