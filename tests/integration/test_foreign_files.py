"""What others left in the folder of the backups is passed over and named, and never waited for."""

import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from opsmigrate import manifest as manifests
from opsmigrate.backup.properties import _statements
from opsmigrate.manifest import manifest_path, read_manifest, read_manifests, read_shelf
from opsmigrate.scratch_statements import _locale
from tests.backups import backup
from tests.conftest import Ops
from tests.foreign_files import KINDS, WRONG_VALUES

pytestmark = pytest.mark.adversary

SECONDS = 20
MOST_GROWN_KB = 300_000


@pytest.fixture
def soon() -> Iterator[None]:
    """See that a test neither waits nor takes much memory."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWN_KB


def resealed(path: Path, **changes: object) -> None:
    """Change a manifest, and seal it anew, as who means it could."""
    body = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    body.pop("seal")
    body["seal"] = manifests._seal(body)
    path.write_text(json.dumps(body), encoding="utf-8")


def test_every_kind_of_foreign_file_is_passed_over_and_named(
    staging: str, ops: Ops, tmp_path: Path, soon: None
) -> None:
    for name, make in KINDS.items():
        make(tmp_path / f"foreign {name}.json")
    (tmp_path / "line\nbreak.json").write_text("{}")

    answer, file = backup(ops, staging, tmp_path, keep=1)
    assert answer.ids == ["unreadable-manifest"]
    listed = ops("backup_db", database=staging, directory=str(tmp_path), list=True)
    text = ops("backup_db", database=staging, directory=str(tmp_path), list=True, format="text")

    expected = {f"foreign {name}.json" for name in KINDS} | {"line\nbreak.json"}
    [finding] = listed.report["findings"]
    assert set(finding["evidence"]["passed_over"]) == expected
    assert listed.report["facts"]["backups"] == [file.name]
    assert (listed.code, text.code) == (0, 0)
    assert "ignored in" in text.stdout


def test_commands_that_look_for_a_backup_find_it_beside_them(
    staging: str, ops: Ops, tmp_path: Path, soon: None
) -> None:
    backup(ops, staging, tmp_path)
    for name, make in KINDS.items():
        make(tmp_path / f"foreign {name}.json")

    with override_settings(
        OPSMIGRATE={
            "ENVIRONMENT": "production",
            "BACKUP_DIR": str(tmp_path),
            "SEED": {"model": "treasury.Payment", "field": "payment_id"},
        }
    ):
        seeded = ops("seed_payment_id", database=staging, approval="A")
        looked = ops("preflight_migrate", database=staging, require_backup=24.0, rehearse="off")

    assert seeded.code == 0
    assert not {"internal-error", "backup-missing"} & set(looked.ids)


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "folder", "link to itself"])
def test_a_backup_that_is_no_file_is_said_to_be_none(
    staging: str, ops: Ops, tmp_path: Path, kind: str, soon: None
) -> None:
    _, file = backup(ops, staging, tmp_path)
    for size in (file.stat().st_size, 0):
        resealed(manifest_path(file), bytes=size)
        file.unlink(missing_ok=True)
        KINDS[kind](file)
        answer = ops("verify_backup", str(file), database=staging)
        assert answer.ids in (["archive-changed"], ["unknown-backup"])
        assert read_manifests(tmp_path) == ()
        if kind == "folder":
            break


@pytest.fixture
def shelved(staging: str, ops: Ops, tmp_path: Path) -> tuple[Path, str]:
    """Return the manifest of a backup, and its text."""
    _, file = backup(ops, staging, tmp_path)
    path = manifest_path(file)
    return path, path.read_text(encoding="utf-8")


@pytest.mark.faults
def test_a_value_of_the_wrong_type_under_a_good_seal_makes_no_manifest(
    staging: str, ops: Ops, shelved: tuple[Path, str]
) -> None:
    path, good = shelved
    for name, value in json.loads(good).items():
        if name in ("seal", "schema"):
            continue
        fine = [wrong for wrong in WRONG_VALUES if wrong != value and _fits(shelved, name, wrong)]
        # What is of the right type, or allowed to be empty, may have any value.
        assert len(fine) < len(WRONG_VALUES) / 2, (name, fine)
        inner = [wrong for wrong in _inner(value) if _fits(shelved, name, wrong)]
        for wrong in [*fine, *inner]:
            path.write_text(good, encoding="utf-8")
            resealed(path, **{name: wrong})
            _require_answers(ops, staging, path, (name, wrong))


def _fits(shelved: tuple[Path, str], name: str, value: object) -> bool:
    path, good = shelved
    path.write_text(good, encoding="utf-8")
    resealed(path, **{name: value})
    return len(read_shelf(path.parent).manifests) == 1


def _require_answers(ops: Ops, alias: str, path: Path, what: object) -> None:
    """Require an answer in a sentence of each command that reads the manifest."""
    folder = path.parent
    settings = {"ENVIRONMENT": "test", "BACKUP_DIR": str(folder)}
    with override_settings(OPSMIGRATE=settings):
        for command, given in (
            ("backup_db", {"list": True}),
            ("run_uat", {"check": ["migrations-on-disk"], "report_dir": str(folder / "reports")}),
        ):
            answer = ops(command, database=alias, **given)
            assert "internal-error" not in answer.ids, (what, answer.stdout)
        answer = ops("verify_backup", path.stem + ".dump", database=alias)
        assert "internal-error" not in answer.ids, (what, answer.stdout)
    manifest = read_manifest(path.with_suffix(".dump"))
    if manifest.properties:
        # What a rollback would do with it, up to the point of making another database.
        assert _locale(manifest.properties["locale"])
        for _, statement in _statements("x", manifest.properties):
            assert statement.as_string(connections[alias].connection)


def _inner(value: Any) -> Iterator[Any]:
    """Yield the value with each of its entries taken out, or of another type."""
    if isinstance(value, dict):
        for key in list(value)[:12]:
            yield {name: each for name, each in value.items() if name != key}
            for wrong in (None, [], {"x": 1}, "x", [["x", "CREATE; DROP", False]]):
                yield {**value, key: wrong}


def test_what_is_no_manifest_is_told_with_the_reason(tmp_path: Path) -> None:
    for name, make in KINDS.items():
        make(tmp_path / f"{name}.json")

    why = {item.name: item.why for item in read_shelf(tmp_path).passed_over}
    assert "it is not a regular file" in why["fifo.json"]
    assert "1,074 MB" in why["sparse gigabyte.json"]
    assert all(why.values())
