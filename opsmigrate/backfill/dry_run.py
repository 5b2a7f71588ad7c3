"""What a seed would do, and for how long, having written nothing."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.convert import (
    compare_phases,
    follow_phases,
    is_text,
    shadow_of,
    swap_phase,
)
from opsmigrate.backfill.estimate import estimate
from opsmigrate.backfill.examine import examine, needs_fill
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.phases import ROW, Phase, before_fill, not_null_phases, unique_phases
from opsmigrate.backfill.state import State, read_state
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.counted import counted
from opsmigrate.report import Result, Verdict


def plan_of(connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions) -> Result:
    """Return what `seed` would do: phases, statements, locks, seconds; nothing is written."""
    examined = examine(connection, goal, options)
    state = examined.state
    before, after = _phases(connection, state, goal)
    phases = [*before, *after]
    described = [_described(connection, phase) for phase in phases]
    if needs_fill(state, goal):
        some = "those without a value of " if state.has_column else ""
        rows = f"{some}about {counted(state.rows, 'row')} in {counted(state.blocks, 'block')}"
        described.insert(len(before), {"phase": f"fill {rows}", "lock": ROW, "statements": []})
    lines = [
        line
        for item in described
        for line in (
            f"  {item['phase']} ({item['lock']})",
            *(f"    {s}" for s in item["statements"]),
        )
    ]
    seconds = estimate(connection, state, options.pace, fills=needs_fill(state, goal))
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{counted(len(described), 'phase')} would be run, in about {seconds:,.0f} s; "
        "nothing was written"
        if described
        else f"{goal.label}.{goal.column} is seeded already; nothing to do",
        findings=examined.findings,
        facts={
            "phases": described,
            "rows": state.rows,
            "seconds_expected": round(seconds, 1) if described else 0,
        },
        detail=tuple(lines),
    )


def _phases(
    connection: BaseDatabaseWrapper, state: State, goal: Goal
) -> tuple[tuple[Phase, ...], tuple[Phase, ...]]:
    """Return the phases before the fill, and those after it."""
    if not is_text(state, goal):
        after = (*unique_phases(state, goal), *not_null_phases(state, goal))
        return before_fill(state, goal), after
    shadow = shadow_of(goal)
    there = read_state(connection, shadow)
    constrain = (*unique_phases(there, shadow), *not_null_phases(there, shadow))
    compare = compare_phases(connection, goal, state.oid)
    swap = swap_phase(connection, goal, state.oid)
    return follow_phases(connection, goal, state.oid), (*constrain, *compare, swap)


def _described(connection: BaseDatabaseWrapper, phase: Phase) -> dict[str, Any]:
    with connection.cursor() as cursor:
        statements = [statement.as_string(cursor.cursor) for statement in phase.statements]
    return {"phase": phase.name, "lock": phase.lock, "statements": statements}
