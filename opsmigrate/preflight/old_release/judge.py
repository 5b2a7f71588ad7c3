"""What the old release can no longer read, and no longer write: by the schema, and by trying it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.old_release.changes import (
    CERTAIN,
    NOT_OF_THE_CATALOG,
    READS,
    Change,
    Walked,
)
from opsmigrate.preflight.old_release.comparison import SchemaPair, find_changes
from opsmigrate.preflight.old_release.copied_schema import schemas_of_copy
from opsmigrate.preflight.old_release.model_finding import ModelFinding
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.rehearsal.migrated_schema import MigratedSchema
from opsmigrate.preflight.rehearsal.old_models_trial import READING, Failure, Trial
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation

NOT_NULL_VIOLATION = "23502"


@dataclass(frozen=True, kw_only=True)
class OldRelease:
    """The release whose models are those of the applied migrations, against the plan.

    `trial` is what its models met on the migrated copy, None where there was none; `schema` is what
    the copy was before and after.
    """

    walked: Walked
    walk: SchemaWalk
    plan: Plan
    trial: Trial | None
    schema: MigratedSchema | None

    @cached_property
    def _before(self) -> Simulation:
        return Simulation(self.walk.catalog)

    def judge(self, ledger: Ledger, *, as_error: bool) -> dict[str, Any]:
        """Add a finding for each model to the ledger, and return the facts.

        It is a warning, or an error where `as_error`. Where SQL written by hand may have seen to
        it, it is information, or an open question where `as_error`.
        """
        changes: dict[str, list[Change]] = {}
        for change in self._changes():
            changes.setdefault(change.model._meta.label, []).append(change)
        found = []
        for model in self.walked.models:
            for reading in (True, False):
                mine = changes.get(model._meta.label, [])
                each = ModelFinding(
                    model=model,
                    reading=reading,
                    changes=self._standing(mine, reading=reading),
                    failures=self._failures(model._meta.label, reading=reading),
                    doubts={it: why for it in mine if (why := self._doubt(it, ledger))},
                    label=self._before.label(model._meta.db_table),
                )
                if each.changes or each.failures:
                    each.add_to(ledger, self.plan, as_error=as_error)
                    found.append(each)
        return {
            "models": len(self.walked.models),
            "models_tried": None if self.trial is None else len(self.trial.used),
            "reads": [each.model._meta.label for each in found if each.reading],
            "writes": [each.model._meta.label for each in found if not each.reading],
        }

    def _changes(self) -> list[Change]:
        """Return what the walk tells; of what only the catalog does, that of the copy is right.

        The walk does not follow SQL written by hand where a rehearsal does, and never follows code.
        """
        schemas, connection = SchemaPair(self._before, self.walk.schema), self.walk.connection
        found = find_changes(self.walked, schemas, connection)
        if not self._is_seen:
            return found
        assert self.schema is not None  # noqa: S101 - it is seen
        seen = find_changes(self.walked, schemas_of_copy(self.schema), connection)
        return [
            *(each for each in found if each.kind in NOT_OF_THE_CATALOG),
            *(each for each in seen if each.kind not in NOT_OF_THE_CATALOG),
        ]

    @property
    def _is_seen(self) -> bool:
        """Return whether the walk has not followed all that the copy shows."""
        if self.schema is None:
            return False
        passed_over = self.walk.interpretation.passed_over or self.walk.ledger.code_runs > 0
        return passed_over or self.walked.unknown_since is not None

    def _standing(self, changes: list[Change], *, reading: bool) -> tuple[Change, ...]:
        """Return the changes that the copy has not shown to be none."""
        return tuple(
            each
            for each in changes
            if (each.kind in READS) is reading and not self._is_refuted(each)
        )

    def _is_refuted(self, change: Change) -> bool:
        if self.trial is None or change.kind not in CERTAIN:
            return False
        does = READING if change.kind in READS else "INSERT"
        return self.trial.passed(change.model._meta.label, does)

    def _failures(self, label: str, *, reading: bool) -> tuple[Failure, ...]:
        """Return what failed on the copy, but for what failed before the plan as well."""
        if self.trial is None or (not reading and self.trial.of(label, reading=True)):
            # What cannot be read is not written either, and that is told.
            return ()
        failures = self.trial.of(label, reading=reading)
        return tuple(each for each in failures if not self._was_so(each))

    def _was_so(self, failure: Failure) -> bool:
        table = self._table(failure)
        if table is None:
            return False
        if failure.sqlstate == NOT_NULL_VIOLATION and failure.column is not None:
            gives = table.defaults | table.identities
            return failure.column in table.not_null - gives
        return failure.constraint is not None and failure.constraint in table.constraints

    def _table(self, failure: Failure) -> SimulatedTable | None:
        named = (failure.schema, failure.table)
        return next(
            (each for each in self._before.tables if (each.schema, each.name) == named), None
        )

    def _doubt(self, change: Change, ledger: Ledger) -> str | None:
        """Return why SQL written by hand may have seen to it, None where it has not."""
        if self._is_seen and change.kind not in NOT_OF_THE_CATALOG:
            return None
        if self.walked.unknown_since:
            return self.walked.unknown_since
        names = (change.name, change.column, change.model._meta.db_table)
        named = next((each for each in names if each and ledger.wrote(each)), None)
        return f"hand-written SQL of the plan names {named}" if named else None
