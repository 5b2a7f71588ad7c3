"""What a report says of the runs after a cure, beside the findings."""

from dataclasses import asdict
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.preflight.rehearsal.rehearsal_result import CuredRuns


def cured_facts(cured: CuredRuns) -> dict[str, Any] | None:
    """Return what the report says of the runs after a cure, None where there was nothing to do."""
    if not cured.runs and cured.ended is None:
        return None
    return {
        "typed": [asdict(step) for run in cured.runs for step in run.typed],
        "applied": _applied(cured),
        "ended": cured.ended,
    }


def cured_lines(cured: CuredRuns) -> tuple[str, ...]:
    """Return what people are told of them."""
    if not cured.runs:
        return ()
    typed = counted(sum(len(run.typed) for run in cured.runs), "step")
    lines = [
        "",
        f"On the copy, {typed} of those below put right what stands in the way, one by one;",
    ]
    if _applied(cured):
        return (*lines, "then migrate applied there: nothing else is in the way.")
    return (*lines, f"that ended before migrate applied there: {cured.ended}.")


def _applied(cured: CuredRuns) -> bool:
    return bool(cured.runs) and cured.runs[-1].failure is None and cured.ended is None
