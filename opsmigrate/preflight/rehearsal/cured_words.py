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
        return (
            ("", f"On the copy, what would put it right failed: {cured.ended}")
            if (cured.failed)
            else ()
        )
    typed = counted(sum(len(run.typed) for run in cured.runs), "step")
    begin = f"After {typed} of those below on the copy, migrate"
    if _applied(cured):
        return ("", f"{begin} applied there:", "nothing else is in the way.")
    return ("", f"{begin} did not apply there:", f"{cured.ended}.")


def _applied(cured: CuredRuns) -> bool:
    return bool(cured.runs) and cured.runs[-1].failure is None and cured.ended is None
