"""What a seed would do, and for how long, having written nothing."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.estimate import estimate
from opsmigrate.backfill.examine import examine
from opsmigrate.backfill.phases import ROW, Phase
from opsmigrate.backfill.plans import FILL
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.counted import counted
from opsmigrate.report import Result, Verdict


def plan_of(connection: BaseDatabaseWrapper, spec: ColumnSpec, options: SeedOptions) -> Result:
    """Return what `seed` would do: phases, statements, locks, seconds; nothing is written."""
    examined = examine(connection, spec, options)
    plan, state = examined.plan, examined.plan.state
    described: list[dict[str, Any]] = []
    for stage in plan.stages():
        if stage.phases is not FILL:
            described += [_described(connection, phase) for phase in stage.phases(connection)]
        elif plan.needs_fill:
            some = "those without a value of " if state.has_column else ""
            rows = f"{some}about {counted(state.rows, 'row')} in {counted(state.blocks, 'block')}"
            described.append({"phase": f"fill {rows}", "lock": ROW, "statements": []})
    lines = [
        line
        for item in described
        for line in (
            f"  {item['phase']} ({item['lock']})",
            *(f"    {s}" for s in item["statements"]),
        )
    ]
    seconds = estimate(connection, state, options.pace, fills=plan.needs_fill)
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{counted(len(described), 'phase')} would be run, in about {seconds:,.0f} s; "
        "nothing was written"
        if described
        else f"{spec.label}.{spec.column} is seeded already; nothing to do",
        findings=examined.findings,
        facts={
            "phases": described,
            "rows": state.rows,
            "seconds_expected": round(seconds, 1) if described else 0,
        },
        detail=tuple(lines),
    )


def _described(connection: BaseDatabaseWrapper, phase: Phase) -> dict[str, Any]:
    with connection.cursor() as cursor:
        statements = [statement.as_string(cursor.cursor) for statement in phase.statements]
    return {"phase": phase.name, "lock": phase.lock, "statements": statements}
