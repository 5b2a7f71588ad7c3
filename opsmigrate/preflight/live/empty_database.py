"""Whether it is odd that no migration is applied: the wrong database, or one that lost its data."""

from __future__ import annotations

from collections.abc import Callable

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.report import Severity


def note_empty_database(plan: Plan, ledger: Ledger, why_odd: Callable[[], str | None]) -> None:
    """Report if nothing was ever applied; `why_odd` says why that is unexpected, if it is."""
    if not plan.steps or plan.executor is None or plan.executor.loader.applied_migrations:
        return
    odd = why_odd()
    if odd is None:
        return
    ledger.find(
        "empty-database",
        f"no migration is applied in this database, as if it were new; but {odd}",
        hint="if it is not meant to be new: check host, port and name in DATABASES, and the "
        "server's data directory; or restore the database from a backup",
        severity=Severity.WARNING,
    )
