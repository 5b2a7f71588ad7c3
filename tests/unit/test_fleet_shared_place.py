"""Where a fleet's command and its workers meet: a folder, or a storage."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

import pytest

from opsmigrate.errors import SettingsError, UndecidedError
from opsmigrate.fleet.delivery import AnotherReleaseError, deliver
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.shared_place import Assignment, Files, SharedPlace, files_of
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit

LABEL = "Tenant/ä one"
UNIT = Unit(
    command="check_drift",
    arguments=("--fail-on", "warning"),
    target=Target(alias="default", schema="t", label=LABEL, server="s:1"),
    run_id="run",
)


@pytest.fixture(params=[None, "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Files:
    """Return the files of a run: in a folder, and in a storage."""
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": tmp_path / "bucket"},
    }
    settings.STORAGES = {**settings.STORAGES, "bucket": storage}
    return files_of(tmp_path / "run", request.param)


def test_what_one_side_writes_the_other_reads(files: Files, tmp_path: Path) -> None:
    """The unit, its starts, its outcome and report, and that nothing more is begun."""
    place = SharedPlace(files)
    with pytest.raises(FileNotFoundError, match="JOURNAL_DIR"):
        place.assignment(LABEL)
    place.assign(Assignment(unit=UNIT, release="r", seconds=7.5, starts_before=2))
    found = place.assignment(LABEL)
    assert found == Assignment(unit=UNIT, release="r", seconds=7.5, starts_before=2)

    assert (place.starts(LABEL), place.every_start({})) == (0, {})
    place.start(LABEL, "w@host:1", 5.0)
    place.start("Tenant", "w@host:1", 6.0)
    assert place.starts(LABEL) == 1
    starts = place.every_start({})
    assert sorted((each.label, each.at) for each in starts.values()) == [
        ("Tenant", 6.0),
        (LABEL, 5.0),
    ]
    assert place.every_start(starts) == starts

    assert place.outcome(LABEL) is None
    outcome = Outcome(
        label=LABEL,
        verdict="failed",
        exit_code=1,
        attempts=1,
        seconds=2.0,
        summary="no",
        report="reports/x.json",
    )
    place.publish(outcome, {"findings": ["ü"]})
    place.publish(outcome, {"findings": ["ü"]})
    assert place.finished([LABEL, "another"]) == [LABEL]
    assert place.outcome(LABEL) == outcome
    assert place.report(outcome) == {"findings": ["ü"]}
    RunFolder(tmp_path / "run").make()
    place.bring([LABEL], RunFolder(tmp_path / "run"))
    assert RunFolder(tmp_path / "run").outcomes().keys() == {LABEL}

    assert not place.is_stopped()
    place.stop()
    assert place.is_stopped()
    place.go_on()
    assert not place.is_stopped()
    place.assign(found)
    assert place.outcome(LABEL) is None


def test_a_file_of_another_making_is_refused(files: Files) -> None:
    """After some patience: not every storage writes a file whole or not at all."""
    place = SharedPlace(files)
    files.write("outcomes/a.json", "[]")
    with pytest.raises(UndecidedError) as refused:
        place.outcome("a")
    assert refused.value.id == "fleet-run-unreadable"
    files.write("outcomes/b.json", "{")
    body = '{"label": "b", "verdict": "passed", "exit_code": 0, "attempts": 1, "seconds": 1, '
    later = Timer(0.3, files.write, ["outcomes/b.json", f'{body}"summary": "well"}}'])
    later.start()
    found = place.outcome("b")
    later.join()
    assert found is not None
    assert found.summary == "well"


def test_only_their_owner_reads_the_files(files: Files, tmp_path: Path) -> None:
    """They may quote rows; a storage that is a folder is no exception."""
    place = SharedPlace(files)
    place.assign(Assignment(unit=UNIT, release=None, seconds=None, starts_before=0))
    place.stop()
    [file] = tmp_path.rglob("stopped.json")
    every = [file.parent, *file.parent.rglob("*")]
    modes = {(each.is_dir(), stat.S_IMODE(each.stat().st_mode)) for each in every}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_storage_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As FLEET_STORAGE says it."""
    with pytest.raises(SettingsError, match=r"FLEET_STORAGE.*'nowhere'"):
        files_of(tmp_path, "nowhere")


def test_a_worker_of_another_release_begins_nothing(files: Files) -> None:
    """Its models and migrations are others."""
    place = SharedPlace(files)
    place.assign(Assignment(unit=UNIT, release="this", seconds=None, starts_before=0))
    with pytest.raises(AnotherReleaseError, match="has the release other, and the run has this"):
        deliver(LABEL, place=place, connection_of=_never, release="other", worker="w")
    assert place.starts(LABEL) == 0


def _never(alias: str) -> NoReturn:
    raise AssertionError(alias)


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        ({"command": "shell"}, "'shell' is no command that a fleet runs"),
        ({"arguments": ("--settings", "evil")}, "no fleet hands --settings"),
        ({"arguments": ("--pythonp=/tmp",)}, "no fleet hands --pythonp"),
        ({"target": replace(UNIT.target, label="another")}, "it is of the target 'another'"),
    ],
)
def test_a_worker_begins_nothing_that_no_fleet_runs(
    files: Files, forged: dict[str, Any], why: str
) -> None:
    """Whoever wrote the unit: a command that runs anything, or other settings."""
    place = SharedPlace(files)
    place.assign(Assignment(unit=UNIT, release=None, seconds=None, starts_before=0))
    (name,) = files.names("units")
    body = {"unit": replace(UNIT, **forged).as_json(), "release": None}
    files.write(f"units/{name}", json.dumps({**body, "seconds": None, "starts_before": 0}))
    with pytest.raises(UndecidedError, match=why):
        deliver(LABEL, place=place, connection_of=_never, release=None, worker="w")
    assert place.starts(LABEL) == 0


@pytest.mark.parametrize("folder", [".", "units"])
def test_a_worker_takes_nothing_from_where_others_may_write(
    files: Files, folder: str, tmp_path: Path
) -> None:
    """A message may name any run; its files say what runs here."""
    place = SharedPlace(files)
    place.assign(Assignment(unit=UNIT, release=None, seconds=None, starts_before=0))
    [run] = {each.parent for each in tmp_path.rglob("units")}
    (run / folder).chmod(0o777)
    with pytest.raises(UndecidedError, match="others may write to it"):
        deliver(LABEL, place=place, connection_of=_never, release=None, worker="w")
    assert place.starts(LABEL) == 0
