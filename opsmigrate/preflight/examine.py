"""The verdict on a plan: what it needs, against what the live database has."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, read_catalog
from opsmigrate.postgres.neighbours import NOBODY, Neighbours, read_neighbours
from opsmigrate.postgres.session import Session
from opsmigrate.preflight.drift_findings import judge_drift, with_causes
from opsmigrate.preflight.examination import Examination
from opsmigrate.preflight.explain import Explained, Explaining, explain
from opsmigrate.preflight.forecast.forecast_report import build_forecast
from opsmigrate.preflight.forecast.refused import doubt_refused
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.another_migrate import find_another_migrate
from opsmigrate.preflight.live.check_server import check_server
from opsmigrate.preflight.live.empty_database import note_empty_database
from opsmigrate.preflight.live.planned_locks import planned_locks
from opsmigrate.preflight.old_release.changes import Walked
from opsmigrate.preflight.plan import (
    MigrateArguments,
    Plan,
    make_plan,
)
from opsmigrate.preflight.plan_order import PlanOrder
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.preflight.verdict import decide
from opsmigrate.preflight.walk.replica_identity import require_replica_identities
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.progress import Progress
from opsmigrate.report import Finding
from opsmigrate.steps import Step as Command


class _Look(NamedTuple):
    """A catalog, and what is known of the plan by it."""

    catalog: Catalog
    found: Explained
    rehearsal: Rehearsal | NotRehearsed | None


def examine(  # noqa: PLR0913 - what a command is asked
    connection: BaseDatabaseWrapper,
    session: Session,
    arguments: MigrateArguments,
    *,
    accept_undecided: bool,
    seed_step: Callable[[str, str], Command | None],
    rehearse: Callable[[Cures], Rehearsal | NotRehearsed],
    rehearses: bool,
    repeatable: bool,
    why_odd_if_empty: Callable[[], str | None],
    old_release: str,
    progress: Progress,
) -> Examination:
    """Return whether `migrate` with the arguments of `arguments` will apply to this database.

    Reads the catalog and the migration files; changes nothing, and executes no operation here.
    `rehearse` is called where something is left to prove; it `rehearses` unless that is switched
    off, and is `repeatable` unless it leaves behind what it changes. `why_odd_if_empty` is called
    where no migration is applied. `old_release` is how the release that runs now is weighed: error,
    warn or off. Raises UsageError for an unknown target.
    """
    progress.phase("Reading the migration graph and the catalog")
    plan = make_plan(connection, arguments)

    def look(neighbours: Neighbours) -> _Look | None:
        """Return what is known; None where that reaches what was left out of the catalog."""
        catalog = read_catalog(connection, neighbours)

        def explained(*, interprets: bool) -> Explained:
            with_sql = Explaining(connection, session, plan, catalog, arguments, interprets)
            return explain(with_sql, seed_step, progress)

        # A walk takes as long as the plan: one is enough where no copy can follow it.
        found = explained(interprets=not rehearses)
        if _reaches(neighbours, found):
            return None
        rehearsal = _rehearsal(found, plan, arguments, rehearse, behind=not found.has_sql_by_hand)
        if not isinstance(rehearsal, Rehearsal) and found.has_sql_by_hand:
            # Where no copy is at hand, what PostgreSQL's grammar says of it decides.
            without = rehearsal
            found = explained(interprets=True)
            rehearsal = _rehearsal(found, plan, arguments, lambda cures: without or rehearse(cures))
        return None if _reaches(neighbours, found, rehearsal) else _Look(catalog, found, rehearsal)

    # What is reached may be known only after the rehearsal, which another one then follows.
    left_out = read_neighbours(connection) if repeatable else NOBODY
    # With nothing left out, there is nothing to be reached.
    catalog, found, rehearsal = look(left_out) or look(NOBODY)  # type: ignore[misc]
    ledger, walk, walked, drifts = found.ledger, found.walk, found.walked, found.drifts
    undecided_before = tuple(ledger.undecided)
    _, something = _left_to_prove(plan, arguments, ledger)
    if isinstance(rehearsal, Rehearsal):
        _answer_by_rehearsal(connection, catalog, plan, rehearsal, ledger)
    if walk is not None:
        _require_privileges(connection, catalog, walk, rehearsal)
    ledger.drift = judge_drift(connection, catalog, drifts, ledger) if plan.executor else None
    rehearsed = rehearsal if isinstance(rehearsal, Rehearsal) else None
    if walk is not None:
        ran = rehearsed.statements if rehearsed else ()
        walk.bodies.note(ledger, [each.sql for each in ran])
        if something:
            require_replica_identities(walk)
    forecast_report = build_forecast(connection, catalog, plan, ledger, rehearsed)
    doubt_refused(forecast_report.costs, rehearsed, ledger)
    server, limits = (
        check_server(connection, catalog, ledger, forecast_report.costs, rehearsed)
        if plan.steps
        else (None, {})
    )
    judged = _judge_old_release(old_release, walked, walk, plan, rehearsed)
    if plan.steps:
        find_another_migrate(connection, catalog, ledger)
        note_empty_database(plan, ledger, why_odd_if_empty)
    result = decide(
        plan,
        ledger,
        arguments,
        rehearsal,
        undecided_before,
        forecast_report,
        accept_undecided=accept_undecided,
    )
    return Examination(
        result=result.with_facts(server=server, old_release=judged),
        plan=tuple((step.label, step.backwards) for step in plan.steps),
        locks=tuple(planned_locks(forecast_report.costs)),
        seconds=forecast_report.seconds,
        rehearsed=rehearsed is not None and rehearsed.succeeded,
        limits=limits,
    )


def _reaches(
    neighbours: Neighbours,
    found: Explained,
    rehearsal: Rehearsal | NotRehearsed | None = None,
) -> bool:
    """Return whether the plan reaches any of the schemas that were left out of the catalog."""
    if not neighbours.schemas:
        return False
    # Loaded only where something is left out.
    from opsmigrate.preflight.reached_neighbours import reaches_neighbours

    ran = [*rehearsal.statements] if isinstance(rehearsal, Rehearsal) else []
    if isinstance(rehearsal, Rehearsal):
        ran += [each for run in rehearsal.cured.runs for each in run.statements]
    return reaches_neighbours(neighbours, found.ledger, found.drifts, ran)


def _judge_old_release(
    how: str, walked: Walked | None, walk: SchemaWalk | None, plan: Plan, ran: Rehearsal | None
) -> dict[str, Any] | None:
    """Add what the old release can no longer do to the ledger; return the facts, None of none."""
    if walk is None or walked is None or how == "off":
        return None
    # Loaded only where there is a plan.
    from opsmigrate.preflight.old_release.judge import OldRelease

    old = OldRelease(walked=walked, walk=walk, plan=plan, trial=ran.trial if ran else None)
    return old.judge(walk.ledger, as_error=how == "error")


def _rehearsal(
    found: Explained,
    plan: Plan,
    arguments: MigrateArguments,
    rehearse: Callable[[Cures], Rehearsal | NotRehearsed],
    *,
    behind: bool = True,
) -> Rehearsal | NotRehearsed | None:
    """Rehearse where something is left to prove, or to be seen after what can be put right.

    None where nothing is, or an error is known and there is no place for a rehearsal. `behind` is
    whether to look at what comes after an error that is known.
    """
    error, something = _left_to_prove(plan, arguments, found.ledger)
    cures = _cures(found, plan)
    wanted = something or (found.ledger.undecided and error is None)
    behind = behind and cures.any_known and bool(plan.steps) and not arguments.fake
    rehearsal = rehearse(cures) if wanted or behind else None
    if isinstance(rehearsal, NotRehearsed):
        return None if error is not None else rehearsal
    if rehearsal is None or error is not None or found.ledger.undecided or found.walk is None:
        return rehearsal
    # Loaded only where there is a rehearsal, as it takes a while.
    from opsmigrate.preflight.rehearsal.lacking_table import ended_for_lack_of_a_table

    return ended_for_lack_of_a_table(rehearsal, found.walk.catalog.role) or rehearsal


def _cures(found: Explained, plan: Plan) -> Cures:
    """Return what may be typed on a copy, so that the rehearsal goes on behind an error."""

    def cause(failure: Mapping[str, Any]) -> Cause:
        # Loaded only where there is a rehearsal, as it takes a while.
        from opsmigrate.preflight.rehearsal.causes import cause_of
        from opsmigrate.preflight.rehearsal.proof import cause_in_rows

        in_rows = cause_in_rows(failure, found.ledger)
        assert found.walk is not None  # noqa: S101 - a plan that was run has one
        return in_rows or cause_of(found.walk.connection, found.walk.catalog, failure)

    return Cures(plan, with_causes(found.ledger.findings, found.drifts), cause)


def _left_to_prove(
    plan: Plan, arguments: MigrateArguments, ledger: Ledger
) -> tuple[Finding | None, bool]:
    """Return the first error of the plan, and whether only running decides what comes before it."""
    order = PlanOrder(plan)
    error = order.first_error(ledger.findings)
    if error is None:
        return None, bool(plan.steps) and not arguments.fake
    stop = order.of(error.migration, error.operation)
    return error, any(order.of_what(item.what) < stop for item in ledger.undecided)


def _answer_by_rehearsal(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    plan: Plan,
    rehearsal: Rehearsal,
    ledger: Ledger,
) -> None:
    """Take from the rehearsal what it proves, and ask the live database what a copy hides."""
    # Loaded only where there is a rehearsal, as it takes a while.
    from opsmigrate.preflight.rehearsal.broken_report import report_broken
    from opsmigrate.preflight.rehearsal.causes import cause_of
    from opsmigrate.preflight.rehearsal.cured_report import report_cured
    from opsmigrate.preflight.rehearsal.proof import apply_rehearsal
    from opsmigrate.preflight.rehearsal.rehearsed_event_triggers import (
        check_rehearsed_event_triggers,
    )
    from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_rehearsed_privileges

    apply_rehearsal(rehearsal, plan, ledger, partial(cause_of, connection, catalog))
    check_rehearsed_event_triggers(catalog, rehearsal, ledger)
    report_broken(connection, catalog, rehearsal, ledger)
    check_rehearsed_privileges(connection, catalog, rehearsal.statements, ledger)
    report_cured(connection, catalog, rehearsal, ledger, partial(cause_of, connection, catalog))


def _require_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    walk: SchemaWalk,
    rehearsal: Rehearsal | NotRehearsed | None,
) -> None:
    """Report privileges that SQL written by hand lacks, which was understood and not rehearsed."""
    rehearsed = rehearsal.statements if isinstance(rehearsal, Rehearsal) else ()
    ran = {(each.migration, each.operation) for each in rehearsed}
    understood = [
        each
        for each in walk.interpretation.understood
        if (each.migration, each.operation) not in ran
    ]
    if not understood:
        return
    from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_understood_privileges

    check_understood_privileges(connection, catalog, understood, walk.ledger)
