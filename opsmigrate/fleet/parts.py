"""The parts of a run, each done somewhere else, as one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opsmigrate.errors import UsageError
from opsmigrate.fleet.about import About, read_about
from opsmigrate.fleet.merged import Fleet, merged, worst
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.report import Result


def merged_parts(folders: Sequence[Path]) -> Result:
    """Return the result of a run whose parts stand in these folders.

    A folder may be that of a part, or one that holds the folders of parts. What no part tells of
    is not done, and never passed. Raises UsageError where the folders are of several runs.
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
    return merged(
        fleet,
        facts=_facts(first, list(found)),
        again=f"python manage.py fleet --merge {shlex.join(map(str, folders))}",
    )


def _folders(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for each in given:
        inner = sorted(file.parent for file in each.glob("*/run.json"))
        found += [each] if (each / "run.json").is_file() or not inner else inner
    return list(dict.fromkeys(each.resolve() for each in found))


def _require_one_run(abouts: Sequence[About]) -> None:
    first = abouts[0]
    for each in abouts[1:]:
        same = (first.run_id, first.command, first.arguments, first.release, first.fleet)
        if (each.run_id, each.command, each.arguments, each.release, each.fleet) != same:
            raise UsageError(
                "the folders are not the parts of one run: they differ in their run's id, command, "
                "release or targets",
                id="no-such-run",
                hint="give each part the same OPSMIGRATE_RUN_ID and the same targets, and name the "
                "folders of one run",
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
