"""What lies outside the plan: the server, its settings, and the other sessions."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.environment import look_around
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.moment import look_at_the_moment
from opsmigrate.preflight.rehearsal import NotRehearsed, Rehearsal
from opsmigrate.preflight.timeouts import (
    estimated_times,
    measured_times,
    read_limits,
    require_time,
)


def look_outside(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    ledger: Ledger,
    rehearsal: Rehearsal | NotRehearsed | None,
) -> dict[str, Any]:
    """Note what the server, its settings and other sessions do to the plan; return the facts."""
    statements = ledger.statements
    facts = look_around(connection, catalog, statements, ledger)
    limits = read_limits(connection)
    expected = (
        measured_times(rehearsal.statements)
        if isinstance(rehearsal, Rehearsal)
        else estimated_times(connection, catalog, statements)
    )
    require_time(limits, expected, ledger)
    look_at_the_moment(connection, catalog, statements, ledger)
    timeouts = {limit.name: limit.seconds for limit in limits.values()}
    return {"timeouts_seconds": timeouts, **facts}
