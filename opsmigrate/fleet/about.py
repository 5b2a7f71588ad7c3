"""What a run of a fleet is about, as it stands in its folder; where that is another, it is new."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opsmigrate.errors import RefusedError, UndecidedError, UsageError
from opsmigrate.fleet.run_folder import RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.json_files import UnreadableError, shaped
from opsmigrate.steps import command

FLEETS = "fleet"
FLEET = ("python", "manage.py", "fleet")
# It names a folder, and may come from elsewhere.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class About:
    """What a run does: a command with its arguments, on these targets, with this release.

    `targets` are those of this `part` (I of N), `fleet` the labels of all parts. `chosen`
    are the words that were typed of which targets they are (--only, --exclude), `options` those of
    how the run goes on (--canary, --engine and the like).
    """

    run_id: str
    command: str
    arguments: tuple[str, ...]
    release: str | None
    targets: tuple[Target, ...]
    fleet: tuple[str, ...]
    part: tuple[int, int] | None = None
    chosen: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    def begins(self, part: tuple[int, int] | None = None) -> str:
        """Return the command that begins this run anew, or a part of it under the run's id."""
        words = [*FLEET, self.command, *self.arguments, *self.chosen, *self.options]
        if part is None:
            return shlex.join(words)
        typed = shlex.join([*words, "--part", "{}/{}".format(*part)])
        return f"OPSMIGRATE_RUN_ID='{self.run_id}' {typed}"

    def goes_on(self, options: Sequence[str]) -> str:
        """Return the command that goes on with this run or part, with options of how."""
        part = [] if self.part is None else ["--part", "{}/{}".format(*self.part)]
        return shlex.join([*FLEET, "--resume", self.run_id, *part, *options])


def folder_of(journal_dir: Path, run_id: str, part: tuple[int, int] | None = None) -> Path:
    """Return the folder of a run, or of a part of one; raise UsageError where the id is none."""
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            "the id of the run is no name of a folder",
            id="no-such-run",
            hint="use letters, digits, dots, dashes and underscores only, 100 at most",
        )
    name = run_id if part is None else f"{run_id}.part-{part[0]}-of-{part[1]}"
    return journal_dir / FLEETS / name


def read_about(folder: Path) -> About:
    """Return what the run of a folder is about.

    Raises UsageError where there is none, UndecidedError where it cannot be read.
    """
    try:
        return shaped(About, dict(RunFolder(folder).read_about()))
    except FileNotFoundError as error:
        parts = sorted(each.name for each in folder.parent.glob(f"{folder.name}.part-*-of-*"))
        found = f"name the part, as in --part 1/2: there are {', '.join(parts[:5])}"
        raise UsageError(
            f"there is no run of a fleet in {folder}",
            id="no-such-run",
            hint=found if parts else f"see what there is in {folder.parent}",
        ) from error
    except UnreadableError as error:
        raise UndecidedError(
            f"{folder} is no folder of a fleet's run: {error}",
            id="fleet-run-unreadable",
            hint="put its files back as they were written, or begin a new run",
        ) from error


def require_same(
    before: About,
    *,
    command_: str | None,
    arguments: Sequence[str],
    release: str | None,
    options: Sequence[str],
) -> None:
    """Raise RefusedError where what is resumed is not what was begun.

    `options` of the fleet are those that were typed now, for the command that goes on with it.
    """
    again = shlex.join([before.command, *before.arguments])
    if command_ is not None and (command_, tuple(arguments)) != (before.command, before.arguments):
        raise RefusedError(
            f"the run {before.run_id} is one of {again}",
            id="fleet-changed",
            hint="resume it without naming a command, or begin a new run",
            steps=(command(before.goes_on(options)),),
        )
    if release != before.release:
        raise RefusedError(
            f"the run {before.run_id} was begun with the release {before.release}, and this is "
            f"{release}",
            id="fleet-changed",
            hint="begin a new run: what passed before says nothing of this release"
            + ("" if before.part is None else "; so must all other parts, or they are not merged"),
            steps=(command(before.begins(before.part)),),
        )
