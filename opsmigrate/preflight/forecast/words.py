"""The forecast for people: the finding, and the lines of the text report."""

from collections.abc import Iterable, Sequence

from opsmigrate.preflight.forecast.modes import blocks
from opsmigrate.preflight.forecast.outlook import Forecast, Held, Weight
from opsmigrate.report import Finding, Severity

# A writer that waits so long is noticed. Without a measurement the size decides.
LONG_SECONDS = 1.0
LONG_ROWS, LONG_BYTES = 1_000_000, 10**9
SHOWN = 8


def long_locks(forecast: Forecast, instead: dict[int, str | None]) -> list[Finding]:
    """Return a finding for each live table that is kept from writers for long.

    A warning where that was measured to last over a second, or where nothing was measured and the
    table is worked through and big; information where only a coarse rate says so.
    """
    found: dict[str, tuple[Held, Severity]] = {}
    for held in sorted(forecast.held, key=lambda each: -each.seconds):
        if held.table not in found and (severity := _severity(forecast, held)) is not None:
            found[held.table] = (held, severity)
    return [_finding(forecast, held, severity, instead) for held, severity in found.values()]


def _severity(forecast: Forecast, held: Held) -> Severity | None:
    if not blocks(held.mode):
        return None
    if held.basis == "rehearsal":
        return Severity.WARNING if held.seconds > LONG_SECONDS else None
    if any(_is_big(forecast, held.table, weight) for weight in held.causes):
        return Severity.WARNING
    return Severity.INFO if held.seconds > LONG_SECONDS else None


def _is_big(forecast: Forecast, table: str, weight: Weight) -> bool:
    effects, size = weight.effects, forecast.size(table)
    worked = table in {*effects.rewrites, *effects.scans, *effects.builds}
    return worked and ((size.rows or 0) > LONG_ROWS or (size.bytes or 0) > LONG_BYTES)


def _finding(
    forecast: Forecast, held: Held, severity: Severity, instead: dict[int, str | None]
) -> Finding:
    worst = max(held.causes, key=lambda weight: weight.seconds or 0)
    size = forecast.size(held.table)
    return Finding(
        id="long-lock",
        severity=severity,
        message=f"{held.table} ({_size(forecast, held.table)}) would be closed to "
        f"{' and '.join(blocks(held.mode))} for {_about(held)}: {_does(worst, held.table)}",
        hint=instead.get(id(worst)) or "python manage.py migrate at a quiet hour",
        migration=worst.migration,
        operation=worst.operation,
        table=held.table,
        evidence={
            "mode": held.mode,
            "seconds": held.seconds,
            "basis": held.basis,
            "rows": size.rows,
            "bytes": size.bytes,
            "sql": worst.sql,
        },
    )


def lines(forecast: Forecast, advice: Sequence[dict[str, str]]) -> list[str]:
    """Return the section of the text report; nothing where no live table with rows is touched."""
    touched = {held.table for held in forecast.held}
    if not any((forecast.size(label).bytes or 0) > 0 for label in touched):
        return []
    blocking = [held for held in forecast.held if blocks(held.mode)]
    worst = sorted(blocking, key=lambda held: (-held.seconds, held.table))
    long = [held for held in worst if _severity(forecast, held) is not None]
    if not long:
        return ["Forecast: nothing blocks readers or writers for long"]
    measured = all(held.basis == "rehearsal" for held in long)
    how = "seconds from the rehearsal" if measured else "coarse seconds, no rehearsal"
    shown = [f"Forecast (rows and bytes are estimates, {how}):"]
    shown += [line for held in long[:SHOWN] for line in _lines(forecast, held)]
    if len(long) > SHOWN:
        shown.append(f"  … and {len(long) - SHOWN} more (--format json)")
    shown += [f"  {each['advice']}" for each in advice if each["table"] in touched][:SHOWN]
    return shown


def _lines(forecast: Forecast, held: Held) -> Iterable[str]:
    kept = " and ".join(blocks(held.mode))
    yield f"  {held.table}, {_size(forecast, held.table)}: no {kept} for {_about(held)}"
    worst = max(held.causes, key=lambda weight: weight.seconds or 0)
    yield f"      {worst.migration} {worst.operation}: {_does(worst, held.table)} ({held.mode})"


def _size(forecast: Forecast, table: str) -> str:
    size = forecast.size(table)
    rows = "rows unknown" if size.rows is None else f"about {size.rows:,} rows"
    return rows if size.bytes is None else f"{rows}, {size.bytes / 1e6:,.0f} MB"


def _about(held: Held) -> str:
    return f"about {max(held.seconds, 0.1):,.1f} s"


def _does(weight: Weight, table: str) -> str:
    effects = weight.effects
    if table in effects.rewrites:
        return "it rewrites the table and its indexes"
    if table in effects.builds:
        return "it builds an index"
    if table in effects.scans:
        return "it reads the whole table"
    return "it holds the lock until the migration commits"
