"""What lies outside the plan: the server, its settings, and the other sessions."""

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.forecast.forecast import StatementCost
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.blockers import find_blockers
from opsmigrate.preflight.live.server_settings import check_server_settings
from opsmigrate.preflight.live.timeouts import (
    LOCK,
    STATEMENT,
    Limit,
    estimated_times,
    measured_times,
    read_limits,
    require_time,
)
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal


def check_server(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    ledger: Ledger,
    costs: Sequence[StatementCost],
    rehearsal: Rehearsal | None,
) -> tuple[dict[str, Any], dict[str, Limit]]:
    """Report what the server, its settings and other sessions would do to the plan.

    Returns the facts, and the time-outs of this session.

    `costs` are the statements of the plan with their locks and seconds.
    """
    facts = check_server_settings(connection, catalog, ledger.statements, ledger)
    limits = read_limits(connection)
    require_time(
        limits,
        measured_times(rehearsal.statements) if rehearsal else estimated_times(costs),
        ledger,
    )
    # Who waits for a lock is in the midst of a statement.
    ending = [limits[name].seconds for name in (LOCK, STATEMENT) if name in limits]
    find_blockers(connection, catalog, costs, min(ending, default=None), ledger)
    timeouts = {limit.name: limit.seconds for limit in limits.values()}
    return {"timeouts_seconds": timeouts, **facts}, limits
