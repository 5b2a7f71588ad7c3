"""Old backups go only where newer, verified ones of the same database are there."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.test import override_settings

from opsmigrate.backup.retention import remove_old
from opsmigrate.manifest import Manifest, read_manifests, write_manifest
from tests.backups import backup, names
from tests.conftest import Ops

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
Make = Callable[..., Manifest]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that puts a backup in the folder, so many days old."""

    def put(
        days: int,
        *,
        verified: str | None = "archive",
        oid: int = 1,
        excluded: tuple[str, ...] = (),
    ) -> Manifest:
        taken = (NOW - timedelta(days=days)).isoformat()
        manifest = Manifest(
            file=f"{oid}-{days}.dump",
            bytes=1,
            sha256="0" * 64,
            taken=taken,
            finished=taken,
            run_id="r",
            release=None,
            database={"name": "treasury", "oid": oid, "system_identifier": "7"},
            client_version="16.4",
            lsn=None,
            migrations=(),
            tables={},
            excluded=excluded,
            verified=verified,
        )
        backup_file = tmp_path / manifest.file
        backup_file.write_bytes(b"x")
        # The time of the file says the contrary, as after a copy.
        os.utime(backup_file, (days * 1000, days * 1000))
        write_manifest(tmp_path, manifest)
        return manifest

    return put


def left(folder: Path) -> list[str]:
    assert {Path(name).stem for name in names(folder)} == {
        Path(name).stem for name in names(folder) if name.endswith(".json")
    }
    return sorted(name for name in names(folder) if name.endswith(".dump"))


def test_what_is_older_than_the_newest_verified_ones_goes(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    for days in (1, 2, 3, 4):
        make(days)

    removed = remove_old(tmp_path, newest, 2).removed

    assert removed == ("1-2.dump", "1-3.dump", "1-4.dump")
    assert left(tmp_path) == ["1-0.dump", "1-1.dump"]


def test_one_that_is_not_verified_does_not_count_and_goes_only_when_it_is_old(
    make: Make, tmp_path: Path
) -> None:
    newest = make(0)
    make(1, verified=None)
    make(2)
    make(3, verified=None)
    make(4)

    assert remove_old(tmp_path, newest, 2).removed == ("1-3.dump", "1-4.dump")
    assert left(tmp_path) == ["1-0.dump", "1-1.dump", "1-2.dump"]


def test_too_few_verified_ones_and_nothing_goes(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    make(1, verified=None)
    make(2, verified=None)

    assert remove_old(tmp_path, newest, 2).removed == ()
    assert len(left(tmp_path)) == 3


def test_a_backup_that_is_not_verified_removes_nothing(make: Make, tmp_path: Path) -> None:
    newest = make(0, verified=None)
    make(1)
    make(2)

    assert remove_old(tmp_path, newest, 1).removed == ()


def test_one_with_rows_left_out_outlives_no_whole_one(make: Make, tmp_path: Path) -> None:
    newest = make(0, excluded=("public.log",))
    make(1, excluded=("public.log",))
    make(2, excluded=("public.log", "public.session"))
    make(3)
    make(4)

    assert remove_old(tmp_path, newest, 1).removed == ("1-1.dump", "1-2.dump", "1-4.dump")
    assert left(tmp_path) == ["1-0.dump", "1-3.dump"]


def test_those_of_another_database_stay(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    make(5)
    make(6, oid=2)
    write_manifest(
        tmp_path,
        replace(make(7), database={"name": "treasury", "oid": 1, "system_identifier": "8"}),
    )

    assert remove_old(tmp_path, newest, 1).removed == ("1-5.dump",)
    assert left(tmp_path) == ["1-0.dump", "1-7.dump", "2-6.dump"]


def test_a_backup_with_keep_removes_the_older_ones(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, first = backup(ops, staging, tmp_path)
    _, second = backup(ops, staging, tmp_path, jobs=2)
    _, operation_unknown = backup(ops, staging, tmp_path, verify="none", keep=1)
    assert len(left(tmp_path)) == 3

    answer, third = backup(ops, staging, tmp_path, keep=2)
    assert answer.report["facts"]["removed"] == [first.name]
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "test", "BACKUP_KEEP": 1}):
        answer, fourth = backup(ops, staging, tmp_path)

    assert answer.report["facts"]["removed"] == [third.name, operation_unknown.name, second.name]
    assert left(tmp_path) == [fourth.name]


def test_the_one_just_taken_stays_whatever_another_says_of_its_time(
    make: Make, tmp_path: Path
) -> None:
    newest = make(0)
    make(-3)
    make(-800)
    make(1)

    kept = remove_old(tmp_path, newest, 1)

    assert kept.removed == ("1-1.dump",)
    assert left(tmp_path) == ["1--3.dump", "1--800.dump", "1-0.dump"]
    assert [item.id for item in kept.findings] == ["backup-from-future"] * 2


def test_what_is_of_the_future_outlives_nothing(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    make(-1)
    make(-2)
    make(1)

    assert remove_old(tmp_path, newest, 2).removed == ()


def test_a_clock_that_was_wrong_costs_no_backup(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, wrong = backup(ops, staging, tmp_path)
    ahead = datetime.now(timezone.utc) + timedelta(days=2)
    manifest = read_manifests(tmp_path)[0]
    write_manifest(tmp_path, replace(manifest, taken=ahead.isoformat()))

    answer, first = backup(ops, staging, tmp_path, keep=1)
    assert answer.report["facts"]["removed"] == []
    assert answer.ids == ["backup-from-future"]
    said = ops("backup_db", database=staging, directory=str(tmp_path), keep=1, format="text")

    assert f"  removed: {first.name}" in said.stdout
    assert wrong.name in left(tmp_path)
    assert len(left(tmp_path)) == 2


def test_no_seed_in_production_rests_on_a_backup_of_the_future(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    backup(ops, staging, tmp_path)
    manifest = read_manifests(tmp_path)[0]
    settings = {
        "ENVIRONMENT": "production",
        "BACKUP_DIR": str(tmp_path),
        "SEED": {"model": "treasury.Payment", "field": "payment_id"},
    }
    for taken, expected in (("9999-01-01T00:00:00+00:00", 4), (manifest.taken, 0)):
        write_manifest(tmp_path, replace(manifest, taken=taken))
        with override_settings(OPSMIGRATE=settings):
            answer = ops("seed_payment_id", database=staging, approval="A")
        assert (answer.code, "backup-from-future" in answer.ids) == (expected, expected == 4)


def test_a_link_to_a_folder_goes_and_the_folder_stays(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_bytes(b"x")
    newest, old = make(0), make(5)
    for name in names(tmp_path):
        if name.startswith("1-"):
            (tmp_path / name).rename(folder / name)
    (folder / old.file).unlink()
    (folder / old.file).symlink_to(elsewhere)

    assert remove_old(folder, newest, 1).removed == (old.file,)
    assert names(folder) == ["1-0.dump", "1-0.json"]
    assert names(elsewhere) == ["mine"]


def test_what_cannot_be_removed_is_a_warning(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, old = make(0), make(5)
    (tmp_path / old.file).unlink()
    (tmp_path / old.file).mkdir()
    (tmp_path / old.file / "x").write_bytes(b"x")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # As root, no mode of a folder forbids anything.
    monkeypatch.setattr("shutil.rmtree", refuse)
    kept = remove_old(tmp_path, newest, 1)

    assert (kept.removed, [item.id for item in kept.findings]) == ((), ["backup-not-removed"])
