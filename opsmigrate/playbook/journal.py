"""The journal: what each run of the playbook did, a line at a time, each on the disk at once."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from opsmigrate.errors import UndecidedError
from opsmigrate.json_files import UnreadableError, parse_object, read_text
from opsmigrate.playbook.journal_lines import (
    About,
    JournalLine,
    RunBegun,
    RunEnded,
    StepBegun,
    StepEnd,
    StepEnded,
    line_of,
)
from opsmigrate.steps import command

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(kw_only=True)
class JournalRun:
    """One run as the journal tells it."""

    run_id: str
    started: str
    about: About
    first: str
    begun: list[str] = field(default_factory=list)
    ends: dict[str, StepEnd] = field(default_factory=dict)
    passed: bool = False

    def has_done(self, step: str) -> bool:
        """Return whether the step was completed, or there was nothing for it to do."""
        return step in self.ends and self.ends[step].exit_code == 0

    def fact(self, step: str, name: str) -> Any:
        """Return what a step has left for later ones; None where it has not."""
        return self.ends[step].facts.get(name) if step in self.ends else None


class Journal:
    """The file of one alias; only its owner may read it."""

    def __init__(self, folder: Path, alias: str) -> None:
        """Keep it in `folder`, which is made if it does not exist."""
        self.file = folder / f"playbook_{re.sub(r'[^A-Za-z0-9_.-]', '_', alias)}.jsonl"

    def runs(self) -> list[JournalRun]:
        """Return the runs that the file tells of, the oldest first; empty where there is no file.

        A last line that is not whole was being written when the machine failed: it never was.
        Raises UndecidedError where the file is no journal, and where somebody else may have written
        it: what it says is done is not done again.
        """
        try:
            self._require_nobody_elses(self.file.lstat())
            text = read_text(self.file)
        except FileNotFoundError:
            return []
        except UnreadableError as error:
            raise self._unreadable(str(error)) from error
        found: list[JournalRun] = []
        for number, line in enumerate(text.split("\n")[:-1], 1):
            try:
                _tell(found, line_of(parse_object(line)))
            except (UnreadableError, KeyError, IndexError, TypeError) as error:
                raise self._unreadable(f"line {number} cannot be read") from error
        return found

    def begin(self, run_id: str, about: About, first: str) -> JournalRun:
        """Write that a run begins with the step `first`, and return it."""
        line = RunBegun(run_id=run_id, at=_now(), first=first, about=about)
        self._write(line)
        return JournalRun(run_id=run_id, started=line.at, about=about, first=first)

    def step_begins(self, run: JournalRun, step: str) -> None:
        """Write that a step begins: from here on it may have done something."""
        self._write(StepBegun(run_id=run.run_id, at=_now(), step=step))
        run.begun.append(step)

    def step_ends(self, run: JournalRun, end: StepEnd) -> None:
        """Write how a step ended."""
        self._write(StepEnded(run_id=run.run_id, at=_now(), end=end))
        run.ends[end.step] = end

    def end(self, run: JournalRun, verdict: str, *, passed: bool, rollback: str | None) -> None:
        """Write how this process of the run ended; one that has `passed` is not continued."""
        line = RunEnded(
            run_id=run.run_id, at=_now(), verdict=verdict, passed=passed, rollback=rollback
        )
        self._write(line)
        run.passed = passed

    def _write(self, line: JournalLine) -> None:
        try:
            self._append(asdict(line))
        except OSError as error:
            raise UndecidedError(
                f"{self.file}, the journal, cannot be written: "
                f"{error.strerror or type(error).__name__}; nothing is begun that is not in it",
                id="journal-not-written",
                hint="make room, or give the right to write there; then run it again, and it goes "
                "on from the last step that the journal has",
                steps=(command("python manage.py run_playbook"),),
            ) from error

    def _append(self, body: Mapping[str, Any]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = not self.file.exists()
        descriptor = os.open(
            self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_FOLLOW, stat.S_IRUSR | stat.S_IWUSR
        )
        try:
            self._require_ours(descriptor)
            if _is_torn(descriptor):
                _cut_torn(descriptor)
            left = (json.dumps(body, default=str) + "\n").encode()
            # On a full disk it takes a part, and says nothing before it is asked to take the rest.
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.file.parent)

    def _require_ours(self, descriptor: int) -> None:
        about = os.fstat(descriptor)
        self._require_nobody_elses(about)
        if hasattr(os, "fchmod") and stat.S_IMODE(about.st_mode) != stat.S_IRUSR | stat.S_IWUSR:
            os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)

    def _require_nobody_elses(self, about: os.stat_result) -> None:
        if not stat.S_ISREG(about.st_mode):
            raise self._unreadable("it is not a regular file")
        if hasattr(os, "geteuid"):
            if about.st_uid != os.geteuid():
                raise self._unreadable("it belongs to another user")
            if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise self._unreadable("others may write to it")

    def _unreadable(self, why: str) -> UndecidedError:
        return UndecidedError(
            f"{self.file} cannot be used as the journal: {why}",
            id="journal-unreadable",
            hint="move it away if no run of it is to be continued; then begin anew",
        )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _is_torn(descriptor: int) -> bool:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if not size:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"


def _cut_torn(descriptor: int) -> None:
    """Take away the last line, which is not whole."""
    size = os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as stream:
        size = stream.read().rfind(b"\n") + 1
    os.ftruncate(descriptor, size)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file on the disk too; Windows opens no folders."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _tell(runs: list[JournalRun], line: JournalLine) -> None:
    """Add one line to the runs."""
    if isinstance(line, RunBegun):
        run = JournalRun(run_id=line.run_id, started=line.at, about=line.about, first=line.first)
        runs.append(run)
    elif isinstance(line, StepBegun):
        runs[-1].begun.append(line.step)
    elif isinstance(line, StepEnded):
        runs[-1].ends[line.end.step] = line.end
    else:
        runs[-1].passed = line.passed


def seconds_of(runs: Sequence[JournalRun]) -> dict[str, float]:
    """Return how long each step took when it was last completed."""
    return {step: seconds for run in runs for step, seconds in _completed(run)}


def _completed(run: JournalRun) -> Iterator[tuple[str, float]]:
    for step, end in run.ends.items():
        if end.exit_code == 0 and not end.skipped:
            yield step, end.seconds
