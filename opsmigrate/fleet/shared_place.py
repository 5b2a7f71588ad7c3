"""Where a fleet's workers find their units and put what came of them: a folder, or a storage.

Through a broker goes no more than the id of the run and the label of a target. Everything else
stands here, in files:

    units/LABEL.json      what is to be done: written by the command, before it is sent
    starts/LABEL.N.json   who began it, and when: one for each time
    reports/, outcomes/   what came of it, as in the folder of a run that used no broker
    stopped.json          nothing more is to be begun
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol, TypeVar

from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, Storage, storages

from opsmigrate.errors import SettingsError, UndecidedError
from opsmigrate.files import write_atomically
from opsmigrate.fleet.run_folder import (
    OURS_ONLY,
    OURS_ONLY_FOLDER,
    OUTCOMES,
    REPORTS,
    Outcome,
    RunFolder,
    file_name,
    require_nobody_elses,
)
from opsmigrate.fleet.unit import Unit, why_none
from opsmigrate.json_files import UnreadableError, parse_object, read_text, shaped

Kind = TypeVar("Kind")
TRIES_TO_READ, SECONDS_BETWEEN_TRIES = 5, 0.2
UNITS, STARTS, STOPPED = "units", "starts", "stopped.json"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A unit, of which release it is, and how many seconds it may take; None: as many as it takes.

    `starts_before` are those of an earlier part of the run, which was resumed.
    """

    unit: Unit
    release: str | None
    seconds: float | None
    starts_before: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """That a worker began a unit: which one, and when, in seconds since 1970."""

    label: str
    worker: str
    at: float


class Files(Protocol):
    """Files of a run, by their paths in it, as "outcomes/a.json"."""

    seconds_between_looks: float

    def require_ours(self) -> None:
        """Raise UndecidedError where it can be seen that another user may have written them."""

    def read(self, path: str) -> str | None:
        """Return what the file holds, None where there is none."""

    def write(self, path: str, text: str) -> None:
        """Write the file whole, or not at all."""

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the files in a folder; none where it does not exist."""


class FolderFiles:
    """Files in the run's folder, which every machine must see."""

    seconds_between_looks = 0.2

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def require_ours(self) -> None:
        """Raise UndecidedError where another user may have written the files of the run."""
        for each in (self.folder, self.folder / UNITS):
            if each.exists():
                require_nobody_elses(each)

    def read(self, path: str) -> str | None:
        """Return what the file holds, None where there is none."""
        with suppress(FileNotFoundError):
            return read_text(self.folder / path)
        return None

    def write(self, path: str, text: str) -> None:
        """Write the file whole, or not at all; only its owner may read it."""
        file = self.folder / path
        for each in (self.folder, file.parent):
            each.mkdir(parents=True, exist_ok=True, mode=OURS_ONLY_FOLDER)
        write_atomically(file, text, mode=OURS_ONLY)

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""
        (self.folder / path).unlink(missing_ok=True)

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the files in a folder; none where it does not exist."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return [each.name for each in (self.folder / folder).iterdir() if _whole(each.name)]
        return []


class StorageFiles:
    """Files in an alias of STORAGES, under the name of the run's folder."""

    # It may cost money to ask.
    seconds_between_looks = 2.0

    def __init__(self, storage: Storage, run: str) -> None:
        self.storage = storage
        self.run = run

    def require_ours(self) -> None:
        """Raise UndecidedError where the storage is a folder that another user may write to.

        Who may write into any other storage only its owner knows.
        """
        for each in (self._folder(""), self._folder(UNITS)):
            if each is not None and each.exists():
                require_nobody_elses(each)

    def read(self, path: str) -> str | None:
        """Return what the file holds, None where there is none."""
        name = f"{self.run}/{path}"
        if not self.storage.exists(name):
            return None
        with self.storage.open(name, "rb") as file:
            return str(file.read().decode("utf-8"))

    def write(self, path: str, text: str) -> None:
        """Write the file; one that is there already is replaced."""
        name = f"{self.run}/{path}"
        # Django's own FileSystemStorage lets everybody read what it makes.
        folders = [self._folder(each) for each in ("", path.rpartition("/")[0])]
        for folder in folders:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True, mode=OURS_ONLY_FOLDER)
        if self.storage.exists(name):
            self.storage.delete(name)
        saved = self.storage.save(name, ContentFile(text.encode("utf-8")))
        if None not in folders:
            Path(self.storage.path(saved)).chmod(OURS_ONLY)

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""
        self.storage.delete(f"{self.run}/{path}")

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the files in a folder; none where it does not exist."""
        with suppress(FileNotFoundError):
            return [str(name) for name in self.storage.listdir(f"{self.run}/{folder}")[1]]
        return []

    def _folder(self, name: str) -> Path | None:
        """Return a folder of the run where the storage is one of a file system, else None."""
        # So Django's Storage.path() says that there are no local files (documentation, Storages).
        with suppress(NotImplementedError):
            return Path(self.storage.path(f"{self.run}/{name}".rstrip("/")))
        return None


def files_of(folder: Path, storage: str | None) -> Files:
    """Return the files of a run: in its folder, or in the alias `storage` of STORAGES.

    Raises SettingsError where STORAGES has no such alias.
    """
    if storage is None:
        return FolderFiles(folder)
    try:
        return StorageFiles(storages[storage], folder.name)
    except InvalidStorageError as error:
        raise SettingsError(
            f"OPSMIGRATE['FLEET_STORAGE'] cannot be used: {error}",
            id="bad-setting",
            hint="name an alias of STORAGES, or remove the key: then it is the run's folder",
        ) from error


class SharedPlace:
    """What stands in the files of a run, for the command and for its workers."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def assign(self, assignment: Assignment) -> None:
        """Write down what is to be done on a target, whatever came of it earlier."""
        label = assignment.unit.target.label
        body = {
            "unit": assignment.unit.as_json(),
            "release": assignment.release,
            "seconds": assignment.seconds,
            "starts_before": assignment.starts_before,
        }
        self.files.remove(_path(OUTCOMES, label))
        self.files.write(_path(UNITS, label), json.dumps(body))

    def assignment(self, label: str) -> Assignment:
        """Return what is to be done on a target.

        Raises FileNotFoundError where nothing says so, UndecidedError where it is none of a fleet's
        units, or stands where another user may have written it.
        """
        self.files.require_ours()
        body = self._object(_path(UNITS, label))
        if body is None:
            # For the log of a worker.
            raise FileNotFoundError(
                f"{_path(UNITS, label)} of the run is not where this worker looks: let the command "
                "and all workers see one JOURNAL_DIR, or set OPSMIGRATE['FLEET_STORAGE']"
            )
        unit = Unit.from_json(body["unit"])
        why = why_none(unit, label)
        if why is not None:
            raise UndecidedError(
                f"{_path(UNITS, label)} of the run is no unit of a fleet: {why}",
                id="fleet-run-unreadable",
                hint="see who may write there, and begin a new run",
            )
        return Assignment(
            unit=unit,
            release=body["release"],
            seconds=body["seconds"],
            starts_before=body["starts_before"],
        )

    def start(self, label: str, worker: str, at: float) -> None:
        """Write down that a worker begins; it is one file more each time."""
        start = Start(label=label, worker=worker, at=at)
        path = f"{STARTS}/{file_name(label)}.{token_hex(4)}.json"
        self.files.write(path, json.dumps(asdict(start)))

    def starts(self, label: str) -> int:
        """Return how many times the unit was begun."""
        return sum(_is_start_of(label, name) for name in self.files.names(STARTS))

    def every_start(self, known: Mapping[str, Start]) -> dict[str, Start]:
        """Return all starts by the names of their files; those of `known` are not read again."""
        return {
            name: start
            for name in self.files.names(STARTS)
            if (start := known.get(name) or self._read(Start, f"{STARTS}/{name}"))
        }

    def outcome(self, label: str) -> Outcome | None:
        """Return what became of a target, None as long as that is open."""
        return self._read(Outcome, _path(OUTCOMES, label))

    def finished(self, labels: Iterable[str]) -> list[str]:
        """Return those of the labels that have an outcome."""
        names = set(self.files.names(OUTCOMES))
        return [each for each in labels if f"{file_name(each)}.json" in names]

    def report(self, outcome: Outcome) -> Mapping[str, Any]:
        """Return the report of a target; empty where it has none."""
        return (self._object(_path(REPORTS, outcome.label)) if outcome.report else None) or {}

    def publish(self, outcome: Outcome, report: Mapping[str, Any]) -> None:
        """Write what became of a target; the outcome last: where it stands, the report does."""
        if outcome.report:
            self.files.write(_path(REPORTS, outcome.label), json.dumps(report, indent=2))
        self.files.write(_path(OUTCOMES, outcome.label), json.dumps(asdict(outcome)))

    def bring(self, labels: Iterable[str], folder: RunFolder) -> None:
        """Write what came of targets into the run's folder, where it came elsewhere."""
        if isinstance(self.files, FolderFiles):
            return
        for label in self.finished(labels):
            outcome = self.outcome(label)
            if outcome is not None:
                if outcome.report:
                    folder.write_report(label, self.report(outcome))
                folder.write_outcome(outcome)

    def stop(self) -> None:
        """Let no unit be begun any more; those that run come to their end."""
        self.files.write(STOPPED, "{}")

    def go_on(self) -> None:
        """Let units be begun again, where an earlier part of the run was stopped."""
        self.files.write(STOPPED, '{"resumed": true}')

    def is_stopped(self) -> bool:
        """Return whether no unit is to be begun any more."""
        body = self._object(STOPPED)
        return body is not None and not body.get("resumed")

    def _object(self, path: str) -> dict[str, Any] | None:
        return self._patiently(path, lambda body: body)

    def _read(self, kind: type[Kind], path: str) -> Kind | None:
        return self._patiently(path, lambda body: shaped(kind, body))

    def _patiently(self, path: str, made: Callable[[dict[str, Any]], Kind]) -> Kind | None:
        """Return what is made of a file, None where there is none.

        Not every storage writes a file whole or not at all: what cannot be read is read again.
        """
        for tries_left in reversed(range(TRIES_TO_READ)):
            try:
                text = self.files.read(path)
                return None if text is None else made(parse_object(text))
            except UnreadableError as error:
                if not tries_left:
                    raise UndecidedError(
                        f"{path} of the run is none of a fleet's files: {error}",
                        id="fleet-run-unreadable",
                        hint="put the file back as it was written, or begin a new run",
                    ) from error
                time.sleep(SECONDS_BETWEEN_TRIES)
        raise AssertionError


def _path(folder: str, label: str) -> str:
    return f"{folder}/{file_name(label)}.json"


def _is_start_of(label: str, name: str) -> bool:
    return name.removesuffix(".json").rpartition(".")[0] == file_name(label)


def _whole(name: str) -> bool:
    # What begins with a dot is being written.
    return not name.startswith(".")
