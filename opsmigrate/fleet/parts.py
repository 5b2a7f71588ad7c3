"""The parts of a run, each done somewhere else, as one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.fleet.about import About, folder_of, read_about
from opsmigrate.fleet.merged import Fleet, merged, worst
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.report import Finding, Result, Severity
from opsmigrate.steps import command

SHOWN_PARTS = 20


@dataclass(frozen=True, kw_only=True)
class _Left:
    """A part (None: the run, where it has none) that is left, why, and the command that runs it."""

    part: tuple[int, int] | None
    why: str
    command: str
    missing: bool

    @property
    def name(self) -> str:
        return "the run" if self.part is None else "part {}/{}".format(*self.part)


def merged_parts(folders: Sequence[Path], journal_dir: Path) -> Result:
    """Return the result of a run whose parts stand in these folders.

    A folder may be that of a part, or one that holds the folders of parts; those of parts that are
    missing will stand in `journal_dir`. What no part tells of is not done, and never passed. Raises
    UsageError where the folders are of several runs.
    """
    found = {each: read_about(each) for each in _folders(folders)}
    abouts = list(found.values())
    _require_one_run(abouts)
    outcomes: dict[str, Outcome] = {}
    homes: dict[str, RunFolder] = {}
    targets: dict[str, Target] = {}
    for folder, about in found.items():
        files = RunFolder(folder)
        targets.update({each.label: each for each in about.targets})
        for label, outcome in files.outcomes().items():
            # Of two that tell of one target, the worse is believed.
            if label not in outcomes or worst([outcome, outcomes[label]]).value == outcome.verdict:
                outcomes[label], homes[label] = outcome, files
    first = abouts[0]
    fleet = Fleet(
        targets=[targets.get(each) or _unknown(each) for each in first.fleet],
        outcomes=outcomes,
        report_of=lambda outcome: homes[outcome.label].read_report(outcome),
    )
    left = list(_left(abouts, outcomes))
    every = [
        *folders,
        *(folder_of(journal_dir, first.run_id, each.part) for each in left if each.missing),
    ]
    again = f"python manage.py fleet --merge {shlex.join(map(str, every))}"
    result = merged(fleet, facts=_facts(first, list(found)), again=again)
    return result.with_findings(_finding(first, left)) if left else result


def _folders(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for each in given:
        inner = sorted(file.parent for file in each.glob("*/run.json"))
        found += [each] if (each / "run.json").is_file() or not inner else inner
    return list(dict.fromkeys(each.resolve() for each in found))


def _require_one_run(abouts: Sequence[About]) -> None:
    first = abouts[0]
    for each in abouts[1:]:
        if _run_of(each) != _run_of(first):
            raise UsageError(
                "the folders are not the parts of one run: they differ in their run's id, command, "
                "release, targets or number of parts",
                id="no-such-run",
                hint="give each part the same OPSMIGRATE_RUN_ID and the same targets, and name the "
                "folders of one run",
            )


def _run_of(about: About) -> tuple[object, ...]:
    parts = about.part and about.part[1]
    return about.run_id, about.command, about.arguments, about.release, about.fleet, parts


def _left(abouts: Sequence[About], outcomes: Mapping[str, Outcome]) -> Iterator[_Left]:
    """Yield the parts that are missing, or have targets that are not done or did not pass."""
    here = {each.part: each for each in abouts}
    first = abouts[0]
    number = 0 if first.part is None else first.part[1]
    parts: list[tuple[int, int] | None] = [(each, number) for each in range(1, number + 1)]
    for part in parts or [None]:
        about = here.get(part)
        if about is None:
            yield _Left(part=part, why="missing", command=first.begins(part), missing=True)
            continue
        found = [outcomes.get(each.label) for each in about.targets]
        not_done = found.count(None)
        not_passed = sum(1 for each in found if each is not None and each.exit_code)
        why = [
            *([f"{counted(not_done, 'target')} not done"] if not_done else []),
            *([f"{counted(not_passed, 'target')} that did not pass"] if not_passed else []),
        ]
        if why:
            again = about.goes_on(about.options)
            yield _Left(part=part, why=", ".join(why), command=again, missing=False)


def _finding(about: About, left: Sequence[_Left]) -> Finding:
    named = "; ".join(f"{each.name}: {each.why}" for each in left[:SHOWN_PARTS])
    more = f"; and {len(left) - SHOWN_PARTS:,} more parts" if len(left) > SHOWN_PARTS else ""
    return Finding(
        id="fleet-part-left",
        severity=Severity.ERROR,
        message=f"left of the run {about.run_id}: {named}{more}",
        hint="put right what is said of its targets, if anything is; then run what is left, where "
        "the folders of the parts are, and merge again",
        steps=tuple(command(each.command) for each in left[:SHOWN_PARTS]),
        evidence={"parts": [each.name for each in left]},
    )


def _unknown(label: str) -> Target:
    """Return a target of a part that is not there: nothing but its name is known."""
    return Target(alias="", schema=None, label=label, server="")


def _facts(about: About, folders: Sequence[Path]) -> Mapping[str, Any]:
    return {
        "run": about.run_id,
        "folder": ", ".join(map(str, folders)),
        "command": shlex.join([about.command, *about.arguments]),
        "release": about.release,
    }
