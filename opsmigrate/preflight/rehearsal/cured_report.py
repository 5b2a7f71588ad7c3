"""What the runs after a cure have met, as findings that say so."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.causes import Cause
from opsmigrate.preflight.rehearsal.proof import add_failure, counts_after_all
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_rehearsed_privileges


def report_cured(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    rehearsal: Rehearsal,
    ledger: Ledger,
    why: Callable[[Mapping[str, Any]], Cause],
) -> None:
    """Add what each run after a cure met, marked as such."""
    with _marked(ledger):
        for run in rehearsal.cured.runs:
            check_rehearsed_privileges(connection, catalog, run.statements, ledger)
            if run.failure is not None and not run.refused:
                counts = counts_after_all(run.failure, rehearsal)
                add_failure(run.failure, ledger, why if counts else None)


@contextmanager
def _marked(ledger: Ledger) -> Iterator[None]:
    before = {id(finding) for finding in ledger.findings}
    yield
    for finding in ledger.findings:
        if id(finding) not in before:
            ledger.replace(finding, replace(finding, after_cure=True))
