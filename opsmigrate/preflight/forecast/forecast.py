"""The forecast: each statement on live tables, and how long each table is locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.garbage_collection import gc_paused
from opsmigrate.postgres.lock_modes import MODES, blocks
from opsmigrate.preflight.forecast.interpreted_plan import Foreseen, interpreted_plan
from opsmigrate.preflight.forecast.live_effects import LiveEffects
from opsmigrate.preflight.forecast.measured import with_measured
from opsmigrate.preflight.forecast.sizes import Size, read_sizes
from opsmigrate.preflight.forecast.timeline import Measurements, timeline
from opsmigrate.preflight.interpret.effects import Refusal
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.sql.grammar import require_grammar
from opsmigrate.sql.statement import Statement

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement

# Coarse rates of one core on warm data, used where nothing was measured: rows a second, and bytes.
REWRITE, SCAN, BUILD = (500_000, 100e6), (3_000_000, 500e6), (1_500_000, 150e6)
UNKNOWN = Size(None, None)


@dataclass(frozen=True, kw_only=True)
class StatementCost:
    """One text of the plan and what it does; `seconds` are expected, as `basis` says.

    `basis` is "rehearsal" (measured on the copy), "rate" (a coarse rate times the size), or None.
    `parts` are the statements in it; none where it was not parsed. `rehearsed` is its measurement,
    `refusal` what PostgreSQL certainly says against it.
    """

    migration: str | None
    operation: str | None
    sql: str
    tables: tuple[str, ...]
    effects: LiveEffects
    seconds: float | None
    basis: str | None
    parts: tuple[Statement, ...] = ()
    rehearsed: RehearsedStatement | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True)
class LockDuration:
    """How long a lock mode is held on a live table, from its statement to the commit."""

    table: str
    mode: str
    seconds: float
    basis: str
    migration: str
    causes: tuple[StatementCost, ...]


@dataclass(frozen=True)
class Forecast:
    """Everything that is expected, in the order of the plan."""

    costs: tuple[StatementCost, ...] = ()
    lock_durations: tuple[LockDuration, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)

    def size(self, table: str) -> Size:
        """Return the size of a live table, as far as it is known."""
        return self.sizes.get(table, UNKNOWN)


def make_forecast(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Sequence[PlannedStatement],
    measured: Measurements | None,
    non_atomic: frozenset[str],
) -> Forecast:
    """Return what the statements of the plan will do to the live tables; reads the catalog only.

    `non_atomic` are the migrations whose statements commit one by one. Raises NoGrammarError where
    PostgreSQL's grammar is not installed.
    """
    if not statements and measured is None:
        return Forecast()
    live = {relation.label for relation in catalog.relations}
    with gc_paused():
        # Loaded only where there is something to expect, as it takes a while.
        from opsmigrate.preflight.interpret.reading import read_schema

        require_grammar()
        schema = read_schema(connection, catalog.neighbours)
        found = interpreted_plan(schema, timeline(statements, measured))
        foreseen = with_measured(found, live, non_atomic)
    touched = {label for each in foreseen for label in _labels(each.effects)} & live
    sizes = read_sizes(connection, touched) if touched else {}
    copied = measured.rows if measured is not None else {}
    costs = tuple(_cost_of(each, sizes, copied) for each in foreseen)
    return Forecast(costs, tuple(_held(costs, non_atomic)), sizes)


def _labels(effects: LiveEffects) -> set[str]:
    return {*effects.locks, *effects.worked}


def _cost_of(
    foreseen: Foreseen, sizes: Mapping[str, Size], copied: Mapping[str, int]
) -> StatementCost:
    effects, statement = foreseen.effects, foreseen.timed.statement
    rehearsed = foreseen.timed.rehearsed
    measured = rehearsed.seconds if rehearsed is not None else None
    seconds, basis = _scaled(measured, effects, sizes, copied), "rehearsal"
    if seconds is None:
        seconds = _by_rate(effects, sizes)
        basis = "rate"
    return StatementCost(
        migration=statement.migration,
        operation=statement.operation,
        sql=statement.sql,
        tables=statement.tables or tuple(sorted(effects.locks)),
        parts=foreseen.parts,
        effects=effects,
        seconds=seconds,
        basis=basis if seconds is not None else None,
        rehearsed=rehearsed,
        refusal=foreseen.refusal,
    )


def _scaled(
    seconds: float | None,
    effects: LiveEffects,
    sizes: Mapping[str, Size],
    copied: Mapping[str, int],
) -> float | None:
    """Return the copy's seconds, times what the live tables have more of rows.

    None where nothing was measured, or where the copy had no row of a table that matters.
    """
    factor = 1.0
    for label in effects.worked & set(copied):
        rows = sizes.get(label, UNKNOWN).rows
        if rows != 0 and not copied[label]:
            return None
        if rows:
            factor = max(factor, rows / copied[label])
    return None if seconds is None else round(seconds * factor, 3)


def _by_rate(effects: LiveEffects, sizes: Mapping[str, Size]) -> float | None:
    """Return coarse seconds; None where a statement is not understood or a size not known."""
    if not effects.understood:
        return None
    total = 0.0
    for label in effects.worked:
        size = sizes.get(label, UNKNOWN)
        if size.bytes is None:
            return None
        rows, bytes_ = size.rows or 0, size.bytes
        if label in effects.rewrites:
            total += _at(REWRITE, rows, bytes_)
        elif label in effects.scans:
            total += _at(SCAN, rows, bytes_)
        # An index has a part of the columns: the rows tell more of it than the bytes.
        total += effects.builds.get(label, 0) * rows / BUILD[0]
        if effects.concurrently:
            total *= 2  # CREATE INDEX CONCURRENTLY reads the table twice (its documentation).
    return round(total, 3)


def _at(rate: tuple[float, float], rows: int, bytes_: int) -> float:
    return max(rows / rate[0], bytes_ / rate[1])


def _held(costs: Iterable[StatementCost], non_atomic: frozenset[str]) -> list[LockDuration]:
    """Return, for each table and mode, how long it is held: in a transaction until its end."""
    transactions: dict[str, list[list[StatementCost]]] = {}
    for cost in costs:
        label = cost.migration or ""
        parts = transactions.setdefault(label, [[]])
        if label in non_atomic and parts[-1]:
            parts.append([])
        parts[-1].append(cost)
    total: dict[tuple[str, str], list[LockDuration]] = {}
    for label, parts in transactions.items():
        for part in parts:
            for held in _held_in(part, label):
                total.setdefault((held.table, held.mode), []).append(held)
    return [_sum(each) for each in total.values()]


def _held_in(part: Sequence[StatementCost], migration: str) -> list[LockDuration]:
    since: dict[tuple[str, str], int] = {}
    for number, cost in enumerate(part):
        for table, mode in cost.effects.locks.items():
            at_least = MODES[MODES.index(mode) :]
            if not any((table, other) in since for other in at_least):
                since[table, mode] = number
    found = []
    for (table, mode), number in since.items():
        while_held = part[number:]
        found.append(
            LockDuration(
                table=table,
                mode=mode,
                seconds=round(sum(cost.seconds or 0 for cost in while_held), 3),
                basis="rehearsal"
                if all(cost.basis == "rehearsal" for cost in while_held)
                else "rate",
                migration=migration,
                causes=tuple(cost for cost in while_held if table in cost.effects.locks),
            )
        )
    return found


def _sum(parts: Sequence[LockDuration]) -> LockDuration:
    worst = max(parts, key=lambda held: held.seconds)
    return LockDuration(
        table=worst.table,
        mode=worst.mode,
        seconds=round(sum(held.seconds for held in parts), 3),
        basis="rehearsal" if all(held.basis == "rehearsal" for held in parts) else "rate",
        migration=worst.migration,
        causes=tuple(cost for held in parts for cost in held.causes),
    )


def statement_facts(forecast: Forecast, cost: StatementCost, instead: str | None) -> dict[str, Any]:
    """Return a statement as the JSON report has it."""
    effects = cost.effects
    worked = sorted(effects.worked) or sorted(effects.locks)
    sizes = [forecast.size(label) for label in worked]
    return {
        "migration": cost.migration,
        "operation": cost.operation,
        "sql": cost.sql,
        "tables": list(cost.tables),
        "understood": effects.understood,
        "locks": [
            {"table": table, "mode": mode, "blocks": blocks(mode)}
            for table, mode in effects.locks.items()
        ],
        "rewrites": list(effects.rewrites),
        "scans": list(effects.scans),
        "builds_indexes_on": list(effects.builds),
        "rows": _total(size.rows for size in sizes),
        "bytes": _total(size.bytes for size in sizes),
        "seconds": cost.seconds,
        "basis": cost.basis,
        "safer_alternative": instead,
    }


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def lock_facts(forecast: Forecast) -> list[dict[str, Any]]:
    """Return the time under each lock mode for each table, as the JSON report has it."""
    return [
        {
            "table": held.table,
            "mode": held.mode,
            "blocks": blocks(held.mode),
            "rows": forecast.size(held.table).rows,
            "bytes": forecast.size(held.table).bytes,
            "seconds": held.seconds,
            "basis": held.basis,
        }
        for held in forecast.lock_durations
    ]
