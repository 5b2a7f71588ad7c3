"""What the rehearsal measured, put in the place of what was derived."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsmigrate.postgres.lock_modes import MODES, ROW_EXCLUSIVE, mode_of, stronger
from opsmigrate.preflight.forecast.statement_effects import Effects
from opsmigrate.schema.history_table import HISTORY

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The statements of a rehearsal, and the rows that the tables of the copy had.

    `rows` is empty for a copy with all rows: then the seconds hold as they are.
    """

    statements: tuple[Mapping[str, Any], ...]
    rows: Mapping[str, int] = field(default_factory=dict)


def with_measured(
    entries: Sequence[Mapping[str, Any]],
    measured: Measurements,
    live: set[str],
    non_atomic: frozenset[str],
    derive: Callable[[str], Effects],
) -> list[Entry]:
    """Return the derived entries with what was measured, and the statements of code besides.

    `derive` says what a statement does whose locks were not measured.

    Locks of one transaction add up in pg_locks, so a lock counts for the statement that took it.
    """
    waiting: dict[tuple[str | None, str], list[Mapping[str, Any]]] = {}
    for item in measured.statements:
        waiting.setdefault((item["migration"], _words(item["sql"])), []).append(item)
    found: list[Entry] = []
    used: set[int] = set()
    for entry in entries:
        queue = waiting.get((entry["migration"], _words(entry["sql"])), [])
        if queue:
            item = queue.pop(0)
            used.add(id(item))
            found.append(_joined(entry, item, live))
        else:
            found.append(dict(entry))
    rest = [item for item in measured.statements if id(item) not in used]
    return _without_what_was_held(_inserted(found, _of_code(rest, live, derive)), non_atomic)


def _words(sql: str) -> str:
    return " ".join(sql.split())[:1000]


def _joined(entry: Mapping[str, Any], item: Mapping[str, Any], live: set[str]) -> Entry:
    effects: Effects = entry["effects"]
    if "locks" in item:
        measured = _locks(item, live)
        effects = replace(effects, locks=measured or effects.locks, understood=True)
    if "rewrites" in item:
        rewrites = [label for label in item["rewrites"] if label in live]
        effects = replace(effects, rewrites=rewrites)
    return {**entry, "effects": effects, "seconds": item.get("seconds")}


def _locks(item: Mapping[str, Any], live: set[str]) -> dict[str, str]:
    """Return the strongest mode on each live table; what any statement takes is left out."""
    found: dict[str, str] = {}
    for lock in item.get("locks") or ():
        mode = mode_of(lock["mode"])
        label = lock["relation"]
        if label in live and MODES.index(mode) >= MODES.index(ROW_EXCLUSIVE):
            found[label] = stronger(found.get(label), mode)
    return found


def _of_code(
    rest: Iterable[Mapping[str, Any]], live: set[str], derive: Callable[[str], Effects]
) -> list[Entry]:
    """Return the statements that only running the code brought to light, and that lock."""
    found = []
    for item in rest:
        effects = derive(item["sql"])
        if "locks" in item:
            effects = replace(effects, locks=_locks(item, live), understood=True)
        if "rewrites" in item:
            rewrites = [label for label in item["rewrites"] if label in live]
            effects = replace(effects, rewrites=rewrites)
        tables = [label for label in effects.locks if not label.endswith(f".{HISTORY}")]
        if item["migration"] and tables:
            found.append(
                {
                    "migration": item["migration"],
                    "operation": item["operation"],
                    "sql": item["sql"],
                    "tables": sorted(tables),
                    "effects": effects,
                    "seconds": item.get("seconds"),
                }
            )
    return found


def _inserted(entries: list[Entry], more: Sequence[Entry]) -> list[Entry]:
    """Put what code did behind what came before it: by migration, then by operation."""
    for entry in more:
        place = max(
            (
                number
                for number, each in enumerate(entries, 1)
                if each["migration"] == entry["migration"]
                and _number(each["operation"]) <= _number(entry["operation"])
            ),
            default=len(entries),
        )
        entries.insert(place, entry)
    return entries


def _number(operation: str | None) -> int:
    head = (operation or "").partition(":")[0]
    return int(head) if head.isdigit() else 0


def _without_what_was_held(entries: list[Entry], non_atomic: frozenset[str]) -> list[Entry]:
    held: dict[tuple[str | None, str], str] = {}
    for entry in entries:
        if entry.get("seconds") is None or entry["migration"] in non_atomic:
            continue
        effects: Effects = entry["effects"]
        work = {*effects.rewrites, *effects.scans, *effects.builds}
        locks = {}
        for label, mode in effects.locks.items():
            before = held.get((entry["migration"], label))
            held[entry["migration"], label] = stronger(before, mode)
            if label in work or stronger(before, mode) != before:
                locks[label] = mode
        entry["effects"] = replace(effects, locks=locks)
    return entries
