"""Old backups go only where newer, verified ones of the same database are there."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.test import override_settings

from opsmigrate.backup.retention import remove_old
from opsmigrate.manifest import Manifest, write_manifest
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

    removed = remove_old(tmp_path, newest, 2)

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

    assert remove_old(tmp_path, newest, 2) == ("1-3.dump", "1-4.dump")
    assert left(tmp_path) == ["1-0.dump", "1-1.dump", "1-2.dump"]


def test_too_few_verified_ones_and_nothing_goes(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    make(1, verified=None)
    make(2, verified=None)

    assert remove_old(tmp_path, newest, 2) == ()
    assert len(left(tmp_path)) == 3


def test_a_backup_that_is_not_verified_removes_nothing(make: Make, tmp_path: Path) -> None:
    newest = make(0, verified=None)
    make(1)
    make(2)

    assert remove_old(tmp_path, newest, 1) == ()


def test_one_with_rows_left_out_outlives_no_whole_one(make: Make, tmp_path: Path) -> None:
    newest = make(0, excluded=("public.log",))
    make(1, excluded=("public.log",))
    make(2, excluded=("public.log", "public.session"))
    make(3)
    make(4)

    assert remove_old(tmp_path, newest, 1) == ("1-1.dump", "1-2.dump", "1-4.dump")
    assert left(tmp_path) == ["1-0.dump", "1-3.dump"]


def test_those_of_another_database_stay(make: Make, tmp_path: Path) -> None:
    newest = make(0)
    make(5)
    make(6, oid=2)
    write_manifest(
        tmp_path,
        replace(make(7), database={"name": "treasury", "oid": 1, "system_identifier": "8"}),
    )

    assert remove_old(tmp_path, newest, 1) == ("1-5.dump",)
    assert left(tmp_path) == ["1-0.dump", "1-7.dump", "2-6.dump"]


def test_a_backup_with_keep_removes_the_older_ones(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, first = backup(ops, staging, tmp_path)
    _, second = backup(ops, staging, tmp_path, jobs=2)
    _, uncertain = backup(ops, staging, tmp_path, verify="none", keep=1)
    assert len(left(tmp_path)) == 3

    answer, third = backup(ops, staging, tmp_path, keep=2)
    assert answer.report["facts"]["removed"] == [first.name]
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "test", "BACKUP_KEEP": 1}):
        answer, fourth = backup(ops, staging, tmp_path)

    assert answer.report["facts"]["removed"] == [third.name, uncertain.name, second.name]
    assert left(tmp_path) == [fourth.name]
