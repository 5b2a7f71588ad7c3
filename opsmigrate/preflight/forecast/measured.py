"""What the rehearsal measured, put in the place of what the interpreter says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from opsmigrate.postgres.lock_modes import MODES, ROW_EXCLUSIVE, stronger
from opsmigrate.preflight.forecast.interpreted_plan import Foreseen
from opsmigrate.preflight.forecast.live_effects import LiveEffects
from opsmigrate.schema.history_table import HISTORY

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement


def with_measured(
    found: Iterable[Foreseen], live: set[str], non_atomic: frozenset[str]
) -> list[Foreseen]:
    """Return the statements with what was measured of them in the place of what was derived.

    Of those that only code executes, the ones that lock a live table. Locks of one transaction add
    up in pg_locks, so a lock counts for the statement that took it.
    """
    joined = []
    for each in found:
        item = each.timed.rehearsed
        if item is not None:
            effects = _measured(each, item, live)
            if not each.timed.foreseen and not _lock_tables(effects):
                continue
            each = replace(each, effects=effects)
        joined.append(each)
    return list(_without_what_was_held(joined, non_atomic))


def _measured(each: Foreseen, item: RehearsedStatement, live: set[str]) -> LiveEffects:
    effects = each.effects
    if item.locks is not None:
        seen = _locks(item.locks, live)
        # A statement that changes rows was not looked at.
        unseen = effects.locks if each.timed.foreseen else {}
        effects = replace(effects, locks=seen or unseen, understood=True)
    rewrites = tuple(label for label in item.rewrites if label in live)
    return replace(effects, rewrites=rewrites)


def _locks(found: Mapping[str, str], live: set[str]) -> dict[str, str]:
    """Return the mode on each live table; what any statement takes is left out."""
    least = MODES.index(ROW_EXCLUSIVE)
    return {
        label: mode for label, mode in found.items() if label in live and MODES.index(mode) >= least
    }


def _lock_tables(effects: LiveEffects) -> bool:
    return any(not label.endswith(f".{HISTORY}") for label in effects.locks)


def _without_what_was_held(
    found: Iterable[Foreseen], non_atomic: frozenset[str]
) -> Iterable[Foreseen]:
    held: dict[tuple[str | None, str], str] = {}
    for each in found:
        migration, item = each.timed.statement.migration, each.timed.rehearsed
        if item is None or migration in non_atomic:
            yield each
            continue
        locks = {}
        for label, mode in each.effects.locks.items():
            before = held.get((migration, label))
            held[migration, label] = stronger(before, mode)
            if label in each.effects.worked or stronger(before, mode) != before:
                locks[label] = mode
        yield replace(each, effects=replace(each.effects, locks=locks))
