"""One process of a fleet's run: what is left of it, who does it, and what came of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opsmigrate.conf import Settings
from opsmigrate.counted import counted
from opsmigrate.fleet.about import About
from opsmigrate.fleet.class_engine import ClassEngine, ClassFound
from opsmigrate.fleet.merged import Fleet, merged
from opsmigrate.fleet.progress import FleetProgress
from opsmigrate.fleet.run import Bounds, Engine, play
from opsmigrate.fleet.run_folder import RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit
from opsmigrate.management.fleet_arguments import require_command, typed_to_go_on
from opsmigrate.management.fleet_engines import bring_back, engine_for
from opsmigrate.management.fleet_pending import KNOWS_PENDING, find_pending, outcome_of_nothing
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result, Severity, Verdict


class FleetRun:
    """A run, or what is left of it."""

    def __init__(
        self,
        about: About,
        folder: Path,
        settings: Settings,
        options: dict[str, Any],
        progress: Progress,
    ) -> None:
        """Take what the run is about, and where it stands."""
        self.about, self.folder, self.settings = about, folder, settings
        self.options, self.progress = options, progress
        self.files = RunFolder(folder)
        self._command_options = require_command(about.command, about.arguments)
        self._engines: list[Engine] = []
        self._begun = time.monotonic()
        self._done = self._failed = self._every = 0

    def result(self, *, resumed: bool) -> Result:
        """Run what is left, and return what is known of all targets then."""
        left = self._resumed() if resumed else list(self.about.targets)
        for each in left:
            self.files.forget(each.label)
        try:
            stopped = self._play(left)
        except KeyboardInterrupt:
            # What is done stays done, and stands in the folder: the report says how to go on.
            return replace(self._merged("interrupted"), verdict=Verdict.PARTIAL)
        return self._merged(stopped)

    def _resumed(self) -> list[Target]:
        bring_back(self.about, self.folder, self.settings)
        before = self.files.outcomes()
        left = [
            each
            for each in self.about.targets
            if each.label not in before or before[each.label].exit_code
        ]
        self.progress.phase(
            f"Going on with the run {self.about.run_id}: {counted(len(left), 'target')} of "
            f"{len(self.about.targets):,} left"
        )
        return left

    def _play(self, left: list[Target]) -> str | None:
        engine = engine_for(
            self.about,
            self.folder,
            settings=self.settings,
            options=self.options,
            progress=self.progress,
            tell=self._tell,
        )
        if self.about.command == KNOWS_PENDING and not self._command_options["run_syncdb"]:
            left = self._without_nothing_pending(left)
        units = [
            Unit(
                command=self.about.command,
                arguments=self.about.arguments,
                target=each,
                run_id=self.about.run_id,
            )
            for each in left
        ]
        self._every, self._begun = len(units), time.monotonic()
        return play(
            self.about.targets,
            units,
            Bounds(canary=self.options["canary"], most_failures=self.options["max_failures"]),
            engine=lambda some: self._kept(engine(some)),
            ended=self._count,
            say=self.progress.phase,
        )

    def _without_nothing_pending(self, targets: list[Target]) -> list[Target]:
        """Write down those that have nothing pending, and return the others."""
        self.progress.phase(f"Reading the histories of {counted(len(targets), 'target')}")
        found = find_pending(targets, self._command_options)
        nothing = {label for label, each in found.items() if each.nothing}
        for each in targets:
            if each.label in nothing:
                self.files.write_outcome(outcome_of_nothing(each))
        self.progress.phase(
            f"{len(targets) - len(nothing):,} of {counted(len(targets), 'target')} with something "
            "pending"
        )
        return [each for each in targets if each.label not in nothing]

    def _kept(self, engine: Engine) -> Engine:
        self._engines.append(engine)
        return engine

    def _count(self, passed: bool) -> None:
        self._done += 1
        self._failed += not passed

    def _tell(self, seen: FleetProgress) -> None:
        # An engine knows of a part of the run only.
        whole = replace(
            seen,
            done=self._done,
            every=self._every,
            failed=self._failed,
            seconds=time.monotonic() - self._begun,
        )
        self.progress.update(str(whole), share=whole.share)

    def _merged(self, stopped: str | None) -> Result:
        again = self.about.goes_on(typed_to_go_on(self.options))
        fleet = Fleet(
            targets=self.about.targets,
            outcomes=self.files.outcomes(),
            report_of=self.files.read_report,
            stopped=stopped,
        )
        facts = {
            "run": self.about.run_id,
            "folder": str(self.folder),
            "command": shlex.join([self.about.command, *self.about.arguments]),
            "release": self.about.release,
        }
        found = [
            each
            for engine in self._engines
            if isinstance(engine, ClassEngine)
            for each in engine.classes
        ]
        result = merged(fleet, facts=facts, again=again)
        return _with_classes(result, found) if found else result


def _with_classes(result: Result, classes: Sequence[ClassFound]) -> Result:
    """Return the result with the classes, the smallest first, and what makes one of one another."""
    ordered = sorted(classes, key=lambda each: len(each.members))
    findings = [_unlike(each, ordered[-1]) for each in ordered if each.different is not None]
    return result.with_findings(*findings).with_facts(classes=[each.as_json() for each in ordered])


def _unlike(one: ClassFound, largest: ClassFound) -> Finding:
    found = one.different
    assert found is not None  # noqa: S101 - the caller's condition
    parts = [
        *found.words,
        *(f"only here: {line}" for line in found.only_here),
        *(f"missing here: {line}" for line in found.missing_here),
        *([f"and {found.more:,} more"] if found.more else []),
    ]
    return Finding(
        id="target-unlike-others",
        severity=Severity.INFO,
        message=f"{one.members[0]} differs from the {counted(len(largest.members), 'target')} that "
        f"are equal, {largest.members[0]} for one: {'; '.join(parts)}",
        hint="check_drift says whether it is as its applied migrations describe it",
        evidence={"targets": list(one.members)},
    )
