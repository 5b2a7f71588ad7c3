"""The findings about the old release: what it can no longer read, and no longer write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Model

from opsmigrate.counted import counted
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.old_release.causes import ChangeCause, cause_of_change
from opsmigrate.preflight.old_release.changes import CERTAIN, READS, Change, Kind, Walked
from opsmigrate.preflight.old_release.comparison import find_changes
from opsmigrate.preflight.old_release.remedies import OTHERWISE, hint_for
from opsmigrate.preflight.old_release.trial import READING, Failure, Trial
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.report import Finding, Severity

NOT_NULL_VIOLATION, CHECK_VIOLATION = "23502", "23514"
SHOWN = 4


@dataclass(frozen=True)
class _Told:
    """What is said of a model, of its reads or of its writes, and how much it weighs."""

    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]
    doubt: str | None

    @property
    def is_information(self) -> bool:
        return not self.failures and (
            self.doubt is not None or {each.kind for each in self.changes} == {Kind.NEW_CHOICE}
        )


@dataclass(frozen=True, kw_only=True)
class OldRelease:
    """The release whose models are those of the applied migrations, against the plan.

    `trial` is what its models met on the migrated copy, None where there was none.
    """

    walked: Walked
    walk: SchemaWalk
    plan: Plan
    trial: Trial | None

    @cached_property
    def _before(self) -> Simulation:
        return Simulation(self.walk.catalog)

    def judge(self, ledger: Ledger, *, as_error: bool) -> dict[str, Any]:
        """Add what it can no longer do to the ledger, and return the facts of it.

        A warning, or an error where `as_error`; where nobody knows, because of SQL written by
        hand, information or an open question.
        """
        by_model: dict[str, list[Change]] = {}
        for change in find_changes(self.walked, self.walk, self._before):
            by_model.setdefault(change.model._meta.label, []).append(change)
        found = []
        for model in self.walked.models:
            label = model._meta.label
            for reading in (True, False):
                told = self._told(label, by_model.get(label, []), ledger, reading=reading)
                if told.changes or told.failures:
                    found.append(_Finder(model, told, self.plan, self._before, reading))
        for each in found:
            each.add_to(ledger, as_error=as_error)
        return {
            "models": len(self.walked.models),
            "models_tried_on_copy": None if self.trial is None else len(self.trial.used),
            "reads_differently": [each.label for each in found if each.reading],
            "writes_differently": [each.label for each in found if not each.reading],
        }

    def _told(self, label: str, changes: list[Change], ledger: Ledger, *, reading: bool) -> _Told:
        mine = [each for each in changes if (each.kind in READS) is reading]
        left = [each for each in mine if not self._refuted(label, each)]
        failures = () if self.trial is None else self.trial.of(label, reading=reading)
        new = tuple(each for each in failures if not self._was_so(each))
        if not reading and self.trial is not None and self.trial.of(label, reading=True):
            # What cannot be read is not written either, and that is told.
            new = ()
        doubts = [None if new else self._doubt(each, ledger) for each in left]
        # One that is sure is told as such.
        doubt = next(filter(None, doubts), None) if doubts and all(doubts) else None
        sure = [each for each, why in zip(left, doubts, strict=True) if doubt or not why]
        return _Told(tuple(sure), new, doubt)

    def _refuted(self, label: str, change: Change) -> bool:
        """Return whether the copy showed that a change is none, as after SQL written by hand."""
        does = READING if change.kind in READS else "INSERT"
        return self.trial is not None and change.kind in CERTAIN and self.trial.passed(label, does)

    def _doubt(self, change: Change, ledger: Ledger) -> str | None:
        if self.walked.unknown_since:
            return self.walked.unknown_since
        table = change.model._meta.db_table
        named = next(
            (each for each in (change.name, change.column, table) if each and ledger.wrote(each)),
            None,
        )
        return f"hand-written SQL of the plan names {named}" if named else None

    def _was_so(self, failure: Failure) -> bool:
        """Return whether the same failed before the plan as well."""
        table = next(
            (
                each
                for each in self._before.tables
                if (each.schema, each.name) == (failure.schema, failure.table)
            ),
            None,
        )
        if table is None:
            return False
        if failure.sqlstate == NOT_NULL_VIOLATION and failure.column is not None:
            gives = table.defaults | table.identities
            return failure.column in table.not_null - gives
        return failure.constraint is not None and failure.constraint in table.constraints


@dataclass(frozen=True)
class _Finder:
    """Makes the finding about one model."""

    model: type[Model]
    told: _Told
    plan: Plan
    before: Simulation
    reading: bool

    @property
    def label(self) -> str:
        return self.model._meta.label

    def add_to(self, ledger: Ledger, *, as_error: bool) -> None:
        told = self.told
        message = self._message()
        if told.doubt is not None and not told.failures:
            message += f"; but {told.doubt}"
            if as_error:
                ledger.mark_undecided(message)
                return
        severity = Severity.ERROR if as_error else Severity.WARNING
        if told.is_information:
            severity = Severity.INFO
        causes = [(each, cause_of_change(each, self.plan)) for each in told.changes]
        places = {(it.migration, it.operation) for _, it in causes if it is not None}
        one = next(iter(places)) if len(places) == 1 and all(it for _, it in causes) else None
        columns = {each.column for each in told.changes}
        ledger.add(
            _finding(
                self.reading,
                severity=severity,
                message=message,
                hint=hint_for(causes) if causes else OTHERWISE,
                migration=one[0] if one else None,
                operation=one[1] if one else None,
                table=self.before.label(self.model._meta.db_table),
                column=next(iter(columns)) if len(columns) == 1 else None,
                evidence=_evidence(self.label, told, causes),
            )
        )

    def _message(self) -> str:
        words = [each.words for each in self.told.changes][:SHOWN]
        more = len(self.told.changes) - len(words)
        words += [f"{counted(more, 'more change')}"] if more else []
        failed = [f"on the copy {each.shown}" for each in self.told.failures][:SHOWN]
        does = "reads" if self.reading else "writes"
        return f"the release that runs now {does} {self.label}, but {'; '.join([*words, *failed])}"


def _finding(reading: bool, **parts: Any) -> Finding:
    if reading:
        return Finding(id="old-release-reads", **parts)
    return Finding(id="old-release-writes", **parts)


def _evidence(
    label: str, told: _Told, causes: list[tuple[Change, ChangeCause | None]]
) -> Mapping[str, Any]:
    return {
        "model": label,
        "changes": [
            {
                "kind": change.kind.name.lower(),
                "column": change.column,
                "name": change.name,
                "migration": cause.migration if cause else None,
                "operation": cause.operation if cause else None,
            }
            for change, cause in causes
        ],
        "on_the_copy": [
            {"statement": each.does, "words": each.words, "sqlstate": each.sqlstate}
            for each in told.failures
        ],
    }
