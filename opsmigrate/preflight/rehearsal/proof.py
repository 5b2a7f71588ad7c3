"""What a rehearsal proves: which undecided questions it answers, and when its failure counts."""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opsmigrate.preflight.ledger import Ledger, place_of
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.plan_order import POST_MIGRATE, PlanOrder, Rank
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.rehearsal.selection import KeptCopy
from opsmigrate.report import Severity, Undecided
from opsmigrate.steps import command

AFTER_ALL = 1 << 30
SHOWN = 3
LONGEST_CONTEXT = 300
# lock_not_available, query_canceled, transaction_timeout, idle_in_transaction_session_timeout: they
# depend on how much else the machine has to do. What is certain of them, live/timeouts.py says.
OF_TIME = ("55P03", "57014", "25P04", "25P03")
# Feature not supported, and syntax error or access rule violation (documentation, PostgreSQL Error
# Codes): of what a statement says and of the schema, whatever the rows are; but for rights.
OF_THE_SCHEMA = ("0A", "42")
# Data exception, and integrity constraint violation.
OF_ROWS = ("22", "23")
RIGHTS = "42501"
RUNS_CODE = ": RunPython"
EVIDENCE = ("sqlstate", "sql", "context", "schema", "table", "column", "constraint")


def apply_rehearsal(
    rehearsal: Rehearsal, plan: Plan, ledger: Ledger, why: Callable[[Mapping[str, Any]], Cause]
) -> None:
    """Let the rehearsal answer what was undecided without it.

    `why` is asked for what fits a failure that counts.

    It proves what came before the first migration in which something was refused, or asked for
    rows that the copy lacks, where the live ones cannot answer instead; from there on neither its
    yes nor its no proves anything. Of what was found without it, it is asked what fails before.
    """
    order = {step.label: number for number, step in enumerate(plan.steps)}
    proven = AFTER_ALL
    _note_stale(rehearsal.selection.kept, ledger)
    if not _same_plan(rehearsal, plan):
        proven = -1
        ledger.mark_undecided("on the copy, migrate ran another plan than the examined one")
    proven = min(proven, _proven_by_copy(rehearsal, order))
    places = PlanOrder(plan)
    known = _known(places, ledger)
    failure = rehearsal.failure
    proven, refuted = _ask_live(rehearsal, order, proven, ledger)
    if failure and known and places.of(failure["migration"], failure["operation"]) >= known:
        # What is known already fails on the copy too, and nothing before it.
        ledger.answered(
            lambda item: places.of_what(item.what) < known and _rank(item, order) < proven
        )
        return
    counts = failure is None or _counts(failure, rehearsal, order, proven)
    if failure is not None:
        proven = min(proven, order.get(failure["migration"] or "", AFTER_ALL))
    in_rows = cause_in_rows(failure, ledger) if failure is not None and counts else None
    if refuted or (failure is not None and counts):
        # It answers: no. What comes after it is not reached.
        proven = AFTER_ALL
    ledger.answered(lambda item: _rank(item, order) < proven)
    _leave_open(rehearsal, ledger)
    if failure is not None:
        cause = (lambda each: in_rows or why(each)) if counts else None
        add_failure(failure, ledger, cause)


def _proven_by_copy(rehearsal: Rehearsal, order: Mapping[str, int]) -> int:
    """Return the number of the first migration of which a copy like this one proves nothing."""
    refused = [order.get(item["migration"] or "", -1) for item in rehearsal.refused]
    return min([AFTER_ALL, *refused, *([-1] if rehearsal.gaps else [])])


def _leave_open(rehearsal: Rehearsal, ledger: Ledger) -> None:
    """Mark as undecided what was refused, and what the copy lacks.

    Where nothing was open without a copy, and it applied, nobody asked for what it lacks.
    """
    if ledger.undecided or rehearsal.failure is not None:
        with ledger.at(None):
            for gap in rehearsal.gaps:
                ledger.mark_undecided(gap)
    for item in rehearsal.refused:
        with ledger.at(item["migration"], item["operation"]):
            ledger.mark_undecided(str(item["what"]))


def cause_in_rows(failure: Mapping[str, Any], ledger: Ledger) -> Cause | None:
    """Return what is wrong with the live rows of today, where rows made it fail.

    Code may change them before; but on the copy it has not put them right.
    """
    if not (failure["sqlstate"] or "").startswith(OF_ROWS):
        return None
    here = f"{failure['migration']} "
    found = ledger.asked_again([item for item in ledger.undecided if item.what.startswith(here)])
    table = f"{failure.get('schema')}.{failure.get('table')}"
    for each in found:
        if each.steps and (each.table == table or not failure.get("table")):
            return Cause(f"{each.message}: {each.hint}", each.steps)
    return None


def _known(places: PlanOrder, ledger: Ledger) -> Rank | None:
    """Return where `migrate` would stop for what was found without a rehearsal."""
    error = places.first_error(ledger.findings)
    return None if error is None else places.of(error.migration, error.operation)


def _note_stale(kept: KeptCopy | None, ledger: Ledger) -> None:
    if kept is None or not kept.stale:
        return
    names = [".".join(name) for name in kept.stale]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    ledger.find(
        "stale-copy",
        f"rows of {', '.join(names[:SHOWN])}{more} were written since {kept.words}, "
        "or could not be compared in time: so the rehearsal's result does not count for "
        "operations that read them",
        steps=(command("python manage.py preflight_migrate --rehearse clone"),),
        severity=Severity.INFO,
        evidence={"tables": names, "taken": kept.taken},
    )


def _same_plan(rehearsal: Rehearsal, plan: Plan) -> bool:
    """Return whether the migrations that were begun are those of the plan, as far as it came.

    What --fake-initial recorded only was not begun.
    """
    planned = iter((step.label, step.backwards) for step in plan.steps)
    in_order = all(item in planned for item in rehearsal.applied)
    complete = len(rehearsal.applied) == len(plan.steps)
    ended = rehearsal.stopped or rehearsal.failure is not None
    return in_order and (complete or ended or rehearsal.may_skip)


def _ask_live(
    rehearsal: Rehearsal, order: Mapping[str, int], proven: int, ledger: Ledger
) -> tuple[int, bool]:
    """Ask the live rows what the copy lacks the rows for, as long as no code has asked for them.

    Returns the number of the first migration that is not proven, and whether an answer was no.
    """
    failure = rehearsal.failure
    fails_without = failure is not None and _is_of_the_schema(failure, rehearsal)
    for item in sorted(_without_rows(rehearsal, ledger), key=lambda item: _rank(item, order)):
        errors = _errors(ledger)
        if fails_without and failure is not None and item.what == _place_of(failure):
            break
        if _rank(item, order) >= proven:
            break
        if not ledger.ask_again(item):
            return _rank(item, order), False
        if _errors(ledger) > errors:
            return proven, True
    return proven, False


def _errors(ledger: Ledger) -> int:
    return sum(finding.severity is Severity.ERROR for finding in ledger.findings)


def _rank(item: Undecided, order: Mapping[str, int]) -> int:
    """Return the number of the migration that a question is about; of none: after all of them."""
    return order.get(item.what.split(" ", 1)[0], AFTER_ALL - 1)


def _without_rows(rehearsal: Rehearsal, ledger: Ledger) -> Iterable[Undecided]:
    """Yield the undecided questions whose operations read rows that the copy lacks.

    Or for a check of the rows that the copy does not make.
    """
    asking = {place_of(migration, operation) for migration, operation in rehearsal.asking}
    yield from (item for item in ledger.undecided if item.what in asking)


def _counts(
    failure: Mapping[str, Any], rehearsal: Rehearsal, order: Mapping[str, int], proven: int
) -> bool:
    if order.get(failure["migration"] or "", AFTER_ALL - 1) >= proven:
        return False
    if failure["sqlstate"] in OF_TIME:
        return False
    kept = rehearsal.selection.kept
    if failure["sqlstate"] == RIGHTS and kept is not None and kept.clone:
        # Who owns what in it is its maker's; the live database is asked for rights.
        return False
    if _is_of_the_schema(failure, rehearsal):
        return True
    incomplete = bool(rehearsal.selection.telling or rehearsal.differing)
    # A trigger or a function may have asked: then only PostgreSQL's words name what is absent.
    named = any(name in failure["words"] for _, name in rehearsal.selection.absent)
    return not (incomplete and (named or failure["sql"] is None or failure["asks"]))


def counts_after_all(failure: Mapping[str, Any], rehearsal: Rehearsal) -> bool:
    """Return whether a failure of a run after a cure would be met on the live database too."""
    return not rehearsal.gaps and _counts(failure, rehearsal, {}, AFTER_ALL)


def _place_of(failure: Mapping[str, Any]) -> str:
    return place_of(failure["migration"], failure["operation"])


def _is_of_the_schema(failure: Mapping[str, Any], rehearsal: Rehearsal) -> bool:
    """Return whether the statement that failed would have done so whatever the rows are.

    No code has decided to execute it, in Python or in the server, and it names nothing that the
    copy lacks or has otherwise.
    """
    state = failure["sqlstate"] or ""
    named = any(name in failure["words"] for _, name in rehearsal.selection.absent)
    return (
        state.startswith(OF_THE_SCHEMA)
        and state != RIGHTS
        and failure["operation"] is not None
        and not failure["operation"].endswith(RUNS_CODE)
        and not failure.get("context")
        and not failure["unlike"]
        and not named
    )


def add_failure(
    failure: Mapping[str, Any],
    ledger: Ledger,
    why: Callable[[Mapping[str, Any]], Cause] | None,
) -> None:
    """Add the failure as a finding at its place, or, without a `why`, as undecided."""
    with ledger.at(
        failure["migration"], POST_MIGRATE if failure["after_the_plan"] else failure["operation"]
    ):
        _add_failure(failure, ledger, why)


def _add_failure(
    failure: Mapping[str, Any],
    ledger: Ledger,
    why: Callable[[Mapping[str, Any]], Cause] | None,
) -> None:
    state = f" ({failure['sqlstate']})" if failure["sqlstate"] else ""
    who = f"the receiver {failure['receiver']}" if failure.get("receiver") else "it"
    words = f"{who} failed: {failure['error']}: {failure['words']}{state}"
    if why is None and failure["sqlstate"] in OF_TIME:
        ledger.mark_undecided(f"on a copy {words}; how long it takes depends on the load")
        return
    if why is None:
        ledger.mark_undecided(f"on a copy that differs from the live database {words}")
        return
    context = " ".join((failure.get("context") or "").split())
    if context:
        words += f"; CONTEXT:  {textwrap.shorten(context, LONGEST_CONTEXT, placeholder=' …')}"
    cause = why(failure)
    ledger.find(
        "rehearsal-failed",
        f"on a copy of the database {words}",
        hint=cause.hint,
        steps=cause.steps,
        evidence={key: failure.get(key) for key in EVIDENCE},
    )
