"""The folder of one run of a fleet: what it is about, and a report and an outcome per target."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.files import write_atomically
from opsmigrate.json_files import UnreadableError, read_object, shaped

REPORTS, OUTCOMES, ABOUT, LOCK = "reports", "outcomes", "run.json", "lock"
OURS_ONLY, OURS_ONLY_FOLDER = 0o600, 0o700
# On a file system that takes a and A for one name, too.
PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}")
LONGEST = 100


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a target: the last word of its command, after `attempts`.

    `report` is the path of its report within the run's folder, None where it wrote none.
    `exit_code` is one of the command's, 3 where it was killed.
    """

    label: str
    verdict: str
    exit_code: int
    attempts: int
    seconds: float
    summary: str
    report: str | None = None


class RunFolder:
    """The files of a run; only their owner may read them."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that may not exist yet."""
        self.folder = folder

    def make(self) -> None:
        """Make the folder where it does not exist, and the one that runs stand in."""
        # Of each call the mode is that of the last folder only: JOURNAL_DIR is not a fleet's own.
        folder = self.folder
        for each in (folder.parent, folder, folder / REPORTS, folder / OUTCOMES):
            each.mkdir(parents=True, exist_ok=True, mode=OURS_ONLY_FOLDER)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep others from this run while the block runs; raise RefusedError where one has it.

        The lock is gone with the process. Windows has no such lock: there it is not asked for.
        """
        self._require_nobody_elses()
        with open(self.folder / LOCK, "a", opener=_for_us_only) as file:
            if not _locked(file.fileno()):
                raise RefusedError(
                    f"another process works on the run of {self.folder}",
                    id="fleet-run-in-use",
                    hint="wait until it has ended, or stop it; then go on with this run",
                )
            yield

    def write_report(self, label: str, report: Mapping[str, Any]) -> str:
        """Write the report of a target; return its path within the folder."""
        path = f"{REPORTS}/{file_name(label)}.json"
        self._write(path, json.dumps(report, indent=2))
        return path

    def read_report(self, outcome: Outcome) -> Mapping[str, Any]:
        """Return the report of a target; empty where it has none that can be read."""
        if outcome.report is None:
            return {}
        try:
            return read_object(self.folder / REPORTS / Path(outcome.report).name)
        except (FileNotFoundError, UnreadableError):
            return {}

    def write_outcome(self, outcome: Outcome) -> None:
        """Write what became of a target; what stood there before is replaced."""
        path = f"{OUTCOMES}/{file_name(outcome.label)}.json"
        self._write(path, json.dumps(asdict(outcome)))

    def forget(self, label: str) -> None:
        """Remove what became of a target: it is begun again."""
        for folder in (OUTCOMES, REPORTS):
            (self.folder / folder / f"{file_name(label)}.json").unlink(missing_ok=True)

    def outcomes(self) -> dict[str, Outcome]:
        """Return what became of each target so far, by label.

        Raises UndecidedError where a file is not one of ours.
        """
        return {each.label: each for each in self._outcomes()}

    def write_about(self, body: Mapping[str, Any]) -> None:
        """Write what the run is about."""
        self._write(ABOUT, json.dumps(body, indent=2))

    def read_about(self) -> Mapping[str, Any]:
        """Return what the run is about; raise FileNotFoundError or UndecidedError."""
        file = self.folder / ABOUT
        self._require_nobody_elses()
        try:
            return read_object(file)
        except UnreadableError as error:
            raise _unreadable(file, error) from error

    def _require_nobody_elses(self) -> None:
        """Raise UndecidedError where others may have written: what passed is not run again."""
        for each in (self.folder, self.folder / REPORTS, self.folder / OUTCOMES):
            require_nobody_elses(each)

    def _outcomes(self) -> Iterator[Outcome]:
        for file in sorted((self.folder / OUTCOMES).glob("*.json")):
            try:
                yield shaped(Outcome, read_object(file))
            except UnreadableError as error:
                raise _unreadable(file, error) from error

    def _write(self, path: str, text: str) -> None:
        write_atomically(self.folder / path, text, mode=OURS_ONLY)


def _for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, OURS_ONLY)


def require_nobody_elses(folder: Path) -> None:
    """Raise UndecidedError where another user may have written what is in a folder."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise _unreadable(folder, "it is not a folder")
    if hasattr(os, "geteuid"):
        if about.st_uid != os.geteuid():
            raise _unreadable(folder, "it belongs to another user")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _unreadable(folder, "others may write to it")


def _locked(descriptor: int) -> bool:
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        return True
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def file_name(label: str) -> str:
    """Return a name for the files of a target: no other target of the fleet has the same."""
    if PLAIN.fullmatch(label):
        return label
    digest = sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    name = quote(label.encode("utf-8", "surrogatepass"), safe="").replace("%", "_")
    return f"{name[:LONGEST]}~{digest}"


def _unreadable(file: Path, why: Exception | str) -> UndecidedError:
    return UndecidedError(
        f"{file} cannot be used as one of a fleet's files: {why}",
        id="fleet-run-unreadable",
        hint="put it back as it was written, or begin a new run",
    )
