"""What the interpretation of the plan says against it, where nothing else has found anything."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten

from opsmigrate.preflight.forecast.forecast import StatementCost
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.report import Severity

SHOWN = 100
# Undefined schema, column, object, function and table: what the plan makes by code is not in the
# statements, and the walk asks the server itself whether something is there.
UNDEFINED = ("3F000", "42703", "42704", "42883", "42P01")


def doubt_refused(
    costs: Iterable[StatementCost], rehearsal: Rehearsal | None, ledger: Ledger
) -> None:
    """Mark as undecided the first statement that PostgreSQL is expected to refuse.

    The walk asks about what it knows of. The interpretation is a second opinion on every statement;
    only a copy that has everything, and on which `migrate` applied, knows better than both.
    """
    if any(each.severity is Severity.ERROR for each in ledger.findings):
        return
    if rehearsal is not None and _knows_better(rehearsal):
        return
    first = next((each for each in costs if each.refusal is not None), None)
    if first is None or first.refusal is None or first.refusal.sqlstate in UNDEFINED:
        return
    refusal, shown = first.refusal, shorten(" ".join(first.sql.split()), SHOWN, placeholder=" …")
    with ledger.at(first.migration, first.operation):
        ledger.mark_undecided(
            f"whether PostgreSQL accepts this ({refusal.kind.replace('-', ' ')}; SQLSTATE "
            f"{refusal.sqlstate}): {shown}"
        )


def _knows_better(rehearsal: Rehearsal) -> bool:
    whole = not (rehearsal.gaps or rehearsal.selection.absent or rehearsal.differing)
    return whole and rehearsal.succeeded
