"""After a failure on the copy: put right what is known, and migrate again, to see what is next."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import Error

from opsmigrate.errors import OpsmigrateError
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.preflight.rehearsal.cures import SEED, Cures, NoCureError
from opsmigrate.preflight.rehearsal.rehearsal_result import CuredRun, CuredRuns
from opsmigrate.preflight.rehearsal.rehearsed_statement import rehearsed_statement
from opsmigrate.steps import Step

MOST_RUNS = 5


def run_cured(
    first: dict[str, Any],
    cures: Cures,
    *,
    seed: Callable[[], None],
    migrate: Callable[[tuple[Step, ...]], dict[str, Any]],
) -> CuredRuns:
    """Return the runs that follow the `first`, each after another cure.

    `migrate` types steps on the copy and migrates it, and returns what its process says; `seed`
    does there what seed_payment_id does, and comes first. A cure that fails is the end.
    """
    runs: list[CuredRun] = []
    result = first
    while result["failure"] is not None:
        if result["stopped"] or result["refused"]:
            return CuredRuns(tuple(runs), "the last run cannot be relied on")
        if len(runs) == MOST_RUNS:
            return CuredRuns(tuple(runs), f"{MOST_RUNS} runs are the most")
        before = result["failure"]
        try:
            typed = cures.after(result["failure"])
            if any(step.text.startswith(SEED) for step in typed):
                seed()
            result = migrate(tuple(step for step in typed if not step.text.startswith(SEED)))
        except NoCureError as error:
            return CuredRuns(tuple(runs), str(error))
        except (OpsmigrateError, Error) as error:
            return CuredRuns(tuple(runs), first_line(error), failed=True)
        if result["cure_failed"]:
            return CuredRuns(tuple(runs), result["cure_failed"], failed=True)
        if _is_same(before, result["failure"]):
            return CuredRuns(tuple(runs), f"it did not help: {before['words']}")
        runs.append(
            CuredRun(
                typed=typed,
                failure=result["failure"],
                refused=tuple(result["refused"]),
                statements=tuple(map(rehearsed_statement, result["statements"])),
            )
        )
    ended = "something was refused in it" if result["refused"] else None
    return CuredRuns(tuple(runs), ended)


def _is_same(before: Mapping[str, Any], failure: Mapping[str, Any] | None) -> bool:
    """Return whether `migrate` fails at the same place, in the same words, as before the cure."""
    names = ("migration", "operation", "sqlstate", "words")
    return failure is not None and all(before[name] == failure[name] for name in names)
