"""The finding about one model of the old release: what it reads, or what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from opsmigrate.counted import counted
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.old_release.causes import ChangeCause, cause_of_change
from opsmigrate.preflight.old_release.changes import Change, Kind
from opsmigrate.preflight.old_release.remedies import OTHERWISE, hint_for
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.rehearsal.old_models_trial import Failure
from opsmigrate.report import Finding, Severity

SHOWN = 4
Causes = Sequence[tuple[Change, ChangeCause | None]]


@dataclass(frozen=True, kw_only=True)
class ModelFinding:
    """What the plan changes for the reads of a model, or for its writes, and what failed.

    `doubts` say of changes why they may be none; `label` is that of the table.
    """

    model: type[Model]
    reading: bool
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]
    doubts: Mapping[Change, str]
    label: str

    @property
    def _relevant(self) -> tuple[Change, ...]:
        """Return the changes that are certain; where there are none, and nothing failed, all."""
        certain = tuple(each for each in self.changes if each not in self.doubts)
        return certain if certain or self.failures else self.changes

    @property
    def _doubt(self) -> str | None:
        return next((self.doubts[each] for each in self._relevant if each in self.doubts), None)

    def add_to(self, ledger: Ledger, plan: Plan, *, as_error: bool) -> None:
        """Add it to the ledger; in doubt it is information, or an open question if `as_error`."""
        message = self._message()
        if self._doubt and as_error:
            ledger.mark_undecided(message)
            return
        causes = [(each, cause_of_change(each, plan)) for each in self._relevant]
        places = {(it.migration, it.operation) for _, it in causes if it is not None}
        one = next(iter(places)) if len(places) == 1 and all(it for _, it in causes) else None
        columns = {each.column for each in self._relevant}
        parts: dict[str, Any] = {
            "message": message,
            "hint": hint_for(_applying(causes, ledger)) if causes else OTHERWISE,
            "migration": one[0] if one else None,
            "operation": one[1] if one else None,
            "table": self.label,
            "column": next(iter(columns)) if len(columns) == 1 else None,
            "evidence": self._evidence(causes),
        }
        severity = Severity.ERROR if as_error else Severity.WARNING
        severity = Severity.INFO if self._is_information else severity
        if self.reading:
            ledger.add(Finding(id="old-release-reads", severity=severity, **parts))
        else:
            ledger.add(Finding(id="old-release-writes", severity=severity, **parts))

    @property
    def _is_information(self) -> bool:
        kinds = {each.kind for each in self._relevant}
        return not self.failures and (self._doubt is not None or kinds == {Kind.NEW_CHOICE})

    def _message(self) -> str:
        words = [each.words for each in self._relevant[:SHOWN]]
        more = len(self._relevant) - len(words)
        words += [f"{counted(more, 'more change')}"] if more else []
        words += [f"on the copy {each.shown}" for each in self.failures[:SHOWN]]
        words += [f"but {self._doubt}"] if self._doubt else []
        does = "reads" if self.reading else "writes"
        return f"the release that runs now {does} {self.model._meta.label}: {'; '.join(words)}"

    def _evidence(self, causes: Causes) -> dict[str, Any]:
        return {
            "model": self.model._meta.label,
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
                for each in self.failures
            ],
        }


def _applying(causes: Causes, ledger: Ledger) -> Causes:
    """Return them without operations that fail: what is written like these fails, too."""
    failing = {
        (each.migration, each.operation)
        for each in ledger.findings
        if each.severity is Severity.ERROR and not each.id.startswith("old-release")
    }
    return [
        (change, None if it and (it.migration, it.operation) in failing else it)
        for change, it in causes
    ]
