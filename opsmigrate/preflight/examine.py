"""The verdict on a plan: what it needs, against what the live database has."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.neighbours import Neighbours
from opsmigrate.postgres.session import Session
from opsmigrate.preflight.drift_findings import judge_drift
from opsmigrate.preflight.examination import Examination
from opsmigrate.preflight.forecast.forecast_report import build_forecast
from opsmigrate.preflight.forecast.refused import doubt_refused
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.another_migrate import find_another_migrate
from opsmigrate.preflight.live.check_server import check_server
from opsmigrate.preflight.live.empty_database import note_empty_database
from opsmigrate.preflight.live.planned_locks import planned_locks
from opsmigrate.preflight.look import Looking, left_to_prove, look
from opsmigrate.preflight.old_release.changes import Walked
from opsmigrate.preflight.plan import (
    MigrateArguments,
    Plan,
    make_plan,
)
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.preflight.verdict import decide
from opsmigrate.preflight.walk.replica_identity import require_replica_identities
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.progress import Progress
from opsmigrate.steps import Step as Command


def examine(  # noqa: PLR0913 - what a command is asked
    connection: BaseDatabaseWrapper,
    session: Session,
    arguments: MigrateArguments,
    *,
    accept_undecided: bool,
    seed_step: Callable[[str, str], Command | None],
    rehearse: Callable[[Cures, Neighbours], Rehearsal | NotRehearsed],
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
    looking = Looking(
        connection, session, plan, arguments, seed_step, rehearse, rehearses, repeatable, progress
    )
    catalog, found, rehearsal = look(looking)
    ledger, walk, walked, drifts = found.ledger, found.walk, found.walked, found.drifts
    undecided_before = tuple(ledger.undecided)
    _, something = left_to_prove(plan, arguments, ledger)
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


def _judge_old_release(
    how: str, walked: Walked | None, walk: SchemaWalk | None, plan: Plan, ran: Rehearsal | None
) -> dict[str, Any] | None:
    """Add what the old release can no longer do to the ledger; return the facts, None of none."""
    if walk is None or walked is None or how == "off":
        return None
    # Loaded only where there is a plan.
    from opsmigrate.preflight.old_release.judge import OldRelease

    trial, schema = (ran.trial, ran.schema) if ran else (None, None)
    old = OldRelease(walked=walked, walk=walk, plan=plan, trial=trial, schema=schema)
    return old.judge(walk.ledger, as_error=how == "error")


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
