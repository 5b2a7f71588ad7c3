"""The manifest beside a backup."""

import json
import os
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opsmigrate.manifest import Manifest, manifest_path, read_manifests, write_manifest

FORMER = Path(__file__).resolve().parents[1] / "golden" / "schema1"
TAKEN = datetime(2025, 3, 1, 12, 0, tzinfo=timezone.utc)
MANIFEST = Manifest(
    file="treasury_20250301_120000.dump",
    bytes=4,
    sha256="0" * 64,
    taken=TAKEN.isoformat(),
    finished=(TAKEN + timedelta(minutes=1)).isoformat(),
    run_id="0123456789ab",
    release="2025.3",
    database={"name": "treasury ü", "oid": 16384, "system_identifier": "74"},
    client_version="16.4",
    lsn="0/16B3748",
    migrations=("auth.0001_initial", "treasury.0001_initial"),
    tables={"public.treasury_payment": 500},
)


def written(folder: Path, manifest: Manifest = MANIFEST) -> Path:
    """Write a manifest, and a backup of the size that it says."""
    (folder / manifest.file).write_bytes(b"x" * manifest.bytes)
    return write_manifest(folder, manifest)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path)

    assert path == manifest_path(tmp_path / MANIFEST.file)
    assert path.name == "treasury_20250301_120000.json"
    assert read_manifests(tmp_path) == (MANIFEST,)
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 2


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_its_owner_can_read_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = written(tmp_path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_verification_is_noted_with_its_level_and_time(tmp_path: Path) -> None:
    verified = MANIFEST.with_verification("restore")

    assert (verified.verified, MANIFEST.verified) == ("restore", None)
    assert verified.verified_at is not None
    age = datetime.now(timezone.utc) - datetime.fromisoformat(verified.verified_at)
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_the_age_is_that_of_the_snapshot_in_any_time_zone() -> None:
    elsewhere = replace(MANIFEST, taken="2025-03-01T14:00:00+02:00")

    for manifest in (MANIFEST, elsewhere):
        assert manifest.age_hours(TAKEN + timedelta(hours=3)) == 3


def test_the_newest_comes_first_also_across_time_zones(tmp_path: Path) -> None:
    older = replace(MANIFEST, file="a.dump", taken="2025-03-01T12:30:00+02:00")
    newer = replace(MANIFEST, file="b.dump", taken="2025-03-01T12:15:00+01:00")
    written(tmp_path, older)
    written(tmp_path, newer)

    assert [manifest.file for manifest in read_manifests(tmp_path)] == ["b.dump", "a.dump"]


def test_a_manifest_whose_backup_is_gone_or_of_another_size_is_passed_over(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path, replace(MANIFEST, file="gone.dump"))
    written(tmp_path, replace(MANIFEST, file="short.dump"))
    (tmp_path / "gone.dump").unlink()
    (tmp_path / "short.dump").write_bytes(b"xxx")

    assert read_manifests(tmp_path) == (MANIFEST,)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", '"schema"', '{"schema": 1}', '{"schema": 2}', '{"schema": 2, "x": 1}'],
)
def test_other_json_files_are_passed_over(tmp_path: Path, text: str) -> None:
    written(tmp_path)
    (tmp_path / "other.json").write_text(text)

    assert read_manifests(tmp_path) == (MANIFEST,)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 3},
        {"taken": "yesterday"},
        {"taken": "2025-03-01T12:00:00"},
        {"taken": 5},
        {"migrations": None},
        {"verified": "surely"},
        {"file": None},
        {"file": "../elsewhere.dump"},
        {"bytes": "4"},
        {"extra": 1},
    ],
)
def test_a_damaged_manifest_is_passed_over(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (tmp_path / "elsewhere.dump").write_bytes(b"xxxx")
    edit(written(folder), **changes)

    assert read_manifests(folder) == ()


def test_a_folder_that_is_not_there_holds_no_backup(tmp_path: Path) -> None:
    assert read_manifests(tmp_path / "missing") == ()


def test_a_manifest_of_version_0_1_0_is_still_read(tmp_path: Path) -> None:
    """A literal file, as that version wrote it."""
    former = FORMER / manifest_path(Path(MANIFEST.file)).name
    (tmp_path / former.name).write_bytes(former.read_bytes())
    (tmp_path / MANIFEST.file).write_bytes(b"x" * MANIFEST.bytes)

    assert read_manifests(tmp_path) == (MANIFEST,)
