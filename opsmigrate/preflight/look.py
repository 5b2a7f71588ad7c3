"""A look at the plan: with the catalog, and where something is left to prove, with a rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, read_catalog
from opsmigrate.postgres.connected_schemas import read_neighbours
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.session import Session
from opsmigrate.preflight.drift_findings import with_causes
from opsmigrate.preflight.explain import Explained, Explaining, explain
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import MigrateArguments, Plan
from opsmigrate.preflight.plan_order import PlanOrder
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.progress import Progress
from opsmigrate.report import Finding
from opsmigrate.steps import Step as Command

if TYPE_CHECKING:
    # Whoever has a rehearsal has loaded it; most runs have none.
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement


@dataclass(frozen=True)
class Looking:
    """What is looked at, and how; the fields are as in examine()."""

    connection: BaseDatabaseWrapper
    session: Session
    plan: Plan
    arguments: MigrateArguments
    seed_step: Callable[[str, str], Command | None]
    rehearse: Callable[[Cures, Neighbours], Rehearsal | NotRehearsed]
    rehearses: bool
    repeatable: bool
    progress: Progress


class Look(NamedTuple):
    """A catalog, and what is known of the plan by it; the rehearsal as in _rehearsal()."""

    catalog: Catalog
    found: Explained
    rehearsal: Rehearsal | NotRehearsed | None


def look(what: Looking) -> Look:
    """Return what is known, without the neighbours of a tenant if the plan does not reach them."""
    # What is reached may be known only after a rehearsal, which another one then follows.
    neighbours = read_neighbours(what.connection) if what.repeatable else NOBODY
    found = _look(what, neighbours)
    if _reaches(neighbours, found):
        what.progress.phase("The plan may reach other tenants: everything is read")
        found = _look(what, NOBODY)
    return found


def _look(what: Looking, neighbours: Neighbours) -> Look:
    plan, arguments = what.plan, what.arguments
    catalog = read_catalog(what.connection, neighbours)

    def explained(*, interprets: bool) -> Explained:
        with_sql = Explaining(what.connection, what.session, plan, catalog, arguments, interprets)
        return explain(with_sql, what.seed_step, what.progress)

    def on_copy(cures: Cures) -> Rehearsal | NotRehearsed:
        return what.rehearse(cures, neighbours)

    # A walk takes as long as the plan: one is enough where no copy can follow it.
    found = explained(interprets=not what.rehearses)
    if _reaches(neighbours, Look(catalog, found, None)):
        return Look(catalog, found, None)
    rehearsal = _rehearsal(found, plan, arguments, on_copy, behind=not found.has_sql_by_hand)
    if not isinstance(rehearsal, Rehearsal) and found.has_sql_by_hand:
        # Where no copy is at hand, what PostgreSQL's grammar says of it decides.
        without = rehearsal
        found = explained(interprets=True)
        rehearsal = _rehearsal(found, plan, arguments, lambda cures: without or on_copy(cures))
    return Look(catalog, found, rehearsal)


def _reaches(neighbours: Neighbours, looked: Look) -> bool:
    """Return whether the plan reaches any of the schemas that were left out."""
    if not neighbours.schemas:
        return False
    # Loaded only where something is left out.
    from opsmigrate.preflight.reached_neighbours import reaches_neighbours

    ran: list[RehearsedStatement] = []
    if isinstance(looked.rehearsal, Rehearsal):
        ran += looked.rehearsal.statements
        ran += [each for run in looked.rehearsal.cured.runs for each in run.statements]
    return reaches_neighbours(neighbours, looked.found.ledger, looked.found.drifts, ran)


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
    error, something = left_to_prove(plan, arguments, found.ledger)
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


def left_to_prove(
    plan: Plan, arguments: MigrateArguments, ledger: Ledger
) -> tuple[Finding | None, bool]:
    """Return the first error of the plan, and whether only running decides what comes before it."""
    order = PlanOrder(plan)
    error = order.first_error(ledger.findings)
    if error is None:
        return None, bool(plan.steps) and not arguments.fake
    stop = order.of(error.migration, error.operation)
    return error, any(order.of_what(item.what) < stop for item in ledger.undecided)
