"""An engine that examines one target of each class, and asks the others about their rows only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from opsmigrate.fleet.members import Told
from opsmigrate.fleet.reports import said_of
from opsmigrate.fleet.run import Engine
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit

WITH_QUESTIONS = "--with-questions"


class Classes(Protocol):
    """What knows which targets are equal."""

    def groups(self, targets: Sequence[Target]) -> Sequence[Sequence[Target]]:
        """Return the targets in groups of equal ones, in the order in which they are examined."""

    def told_by(self, report: Mapping[str, Any], first: Target, others: Sequence[Target]) -> Told:
        """Return of which others the report of the first says what one of their own would."""


@dataclass(frozen=True)
class _Group:
    """Units of equal targets; the first of them is run."""

    units: Sequence[Unit]

    @property
    def to_run(self) -> Unit:
        """Return the first one; where others follow, it tells what it asked of the rows."""
        first = self.units[0]
        if len(self.units) == 1:
            return first
        return replace(first, arguments=(*first.arguments, WITH_QUESTIONS))


class ClassedEngine:
    """One run of units, by classes; where a member differs from the first, it is run as well."""

    def __init__(
        self,
        units: Sequence[Unit],
        files: RunFolder,
        *,
        classes: Classes,
        engine: Callable[[Sequence[Unit]], Engine],
    ) -> None:
        """Take what is to be done; `engine` returns what runs some of the units."""
        self._units = {each.target.label: each for each in units}
        self._files, self._classes, self._make = files, classes, engine
        self._running: Engine | None = None
        self._stopped = False

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each unit; those that are said of others come after these."""
        targets = [each.target for each in self._units.values()]
        groups = self._grouped(self._classes.groups(targets))
        while groups and not self._stopped:
            following: list[_Group] = []
            by_label = {each.units[0].target.label: each for each in groups}
            self._running = self._make([each.to_run for each in groups])
            for outcome in self._running.outcomes():
                yield outcome
                others = by_label[outcome.label].units[1:]
                if others:
                    told = self._told(outcome, [each.target for each in others])
                    yield from self._said(outcome, told)
                    following += self._grouped(told.groups)
            groups = following

    def stop(self) -> None:
        """Begin no more units; outcomes() goes on until those that run have come to their end."""
        self._stopped = True
        if self._running is not None:
            self._running.stop()

    def _grouped(self, groups: Sequence[Sequence[Target]]) -> list[_Group]:
        return [_Group([self._units[each.label] for each in some]) for some in groups]

    def _told(self, outcome: Outcome, others: Sequence[Target]) -> Told:
        first = self._units[outcome.label].target
        return self._classes.told_by(self._files.read_report(outcome), first, others)

    def _said(self, outcome: Outcome, told: Told) -> Iterator[Outcome]:
        """Write down and yield what the report of the first says of those that are equal."""
        first = self._units[outcome.label].target
        report = self._files.read_report(outcome)
        for member in told.equal:
            if member.label == first.label:
                continue
            own = said_of(report, first, member)
            said = replace(
                outcome,
                label=member.label,
                attempts=0,
                seconds=0.0,
                summary=str(own.get("facts", {}).get("summary", outcome.summary)),
                report=self._files.write_report(member.label, own),
            )
            self._files.write_outcome(said)
            yield said
