"""backup_db takes a whole backup, proves it, and leaves nothing when it cannot."""

import errno
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings

from opsmigrate.backup import take
from opsmigrate.backup.files import new_backup
from opsmigrate.backup.take import LOCK_SPACE
from opsmigrate.postgres.session import read_session, second_connection
from opsmigrate.schema.history import applied_migrations
from tests.backups import backup, manifest_of, mode_of, names, scratch_databases
from tests.conftest import (
    Ops,
    environment_for,
    execute,
    query,
    run,
    start,
    url_of,
)
from tests.json_reports import parsed
from tests.seeding import old_release_writing

pytestmark = pytest.mark.major


@pytest.mark.parametrize(
    ("level", "said", "verified"),
    [
        ("none", "not verified", None),
        ("archive", "verified by archive", "archive"),
        ("restore", "verified by restore", "restore"),
    ],
)
def test_each_level_of_verification_is_said_and_written_down(
    staging: str, ops: Ops, tmp_path: Path, level: str, said: str, verified: str | None
) -> None:
    answer, file = backup(ops, staging, tmp_path, verify=level)

    summary = answer.report["facts"]["summary"]
    assert re.fullmatch(
        rf"{re.escape(str(file))}: [\d.]+ MB, \d+ tables, [\d,]+ rows, {said}", summary
    )
    assert answer.report["facts"]["verified"] == verified
    manifest = manifest_of(file)
    assert manifest["verified"] == verified
    assert (manifest["verified_at"] is None) == (verified is None)
    assert names(tmp_path) == sorted([file.name, file.with_suffix(".json").name])
    assert scratch_databases(staging) == []


def test_without_an_option_the_archive_is_verified(staging: str, ops: Ops, tmp_path: Path) -> None:
    answer, _ = backup(ops, staging, tmp_path)

    assert answer.report["facts"]["verified"] == "archive"


def test_the_manifest_says_what_it_is_a_backup_of(
    staging: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSMIGRATE_RUN_ID", "playbook-7")
    answer, file = backup(ops, staging, tmp_path)

    manifest, database = manifest_of(file), answer.report["database"]
    assert manifest["schema"] == 2
    assert manifest["file"] == file.name
    assert manifest["bytes"] == file.stat().st_size
    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["run_id"] == answer.report["run_id"] == "playbook-7"
    assert manifest["release"] == "test-release"
    assert manifest["database"] == {
        key: database[key] for key in ("name", "oid", "system_identifier", "server_version")
    }
    assert tuple(manifest["migrations"]) == applied_migrations(connections[staging])
    assert "treasury.0001_initial" in manifest["migrations"]
    assert manifest["tables"]["public.treasury_payment"] == 500
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", manifest["lsn"])
    assert re.fullmatch(r"\d+(\.\d+)+.*", manifest["client_version"])
    taken, finished = (datetime.fromisoformat(manifest[key]) for key in ("taken", "finished"))
    assert timedelta(0) <= finished - taken < timedelta(minutes=1)
    assert datetime.now(timezone.utc) - finished < timedelta(minutes=1)


def test_the_name_is_the_databases_and_the_utc_time(staging: str, ops: Ops, tmp_path: Path) -> None:
    name = connections[staging].settings_dict["NAME"]
    assert name.startswith("dbname=")  # what pg_dump --dbname would take for a connection string

    _, file = backup(ops, staging, tmp_path)

    plain = re.escape(re.sub(r"[^\w.-]", "_", name))
    assert re.fullmatch(plain + r"_\d{8}_\d{6}(_\d+)?\.dump", file.name)
    assert query(staging, "SELECT current_database()") == [(name,)]


@pytest.mark.parametrize("prefix", ["postgresql://nobody@nowhere/", "service=x host=nowhere "])
def test_a_name_that_looks_like_a_connection_string_is_a_name(
    new_database: Callable[..., str], ops: Ops, tmp_path: Path, prefix: str
) -> None:
    alias = new_database(prefix=prefix)
    execute(connections[alias], "CREATE TABLE t AS SELECT 1")

    answer, _ = backup(ops, alias, tmp_path, verify="restore")

    assert answer.report["facts"]["tables"] == {"public.t": 1}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_its_owner_can_read_it_whatever_the_umask(
    staging: str, ops: Ops, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        _, file = backup(ops, staging, tmp_path / "backups")
    finally:
        os.umask(before)

    assert mode_of(file.parent) == 0o700
    assert mode_of(file) == 0o600
    assert mode_of(file.with_suffix(".json")) == 0o600


def test_a_second_backup_leaves_the_first_one_alone(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, first = backup(ops, staging, tmp_path)
    content = first.read_bytes()
    _, second = backup(ops, staging, tmp_path)

    assert first != second
    assert first.read_bytes() == content
    assert len(names(tmp_path)) == 4


def test_of_backups_taken_at_the_same_moment_one_is_taken_and_whole(
    staging: str, tmp_path: Path
) -> None:
    argv = ["manage.py", "backup_db", "--directory", str(tmp_path), "--format", "json"]
    env = environment_for(url_of(staging))
    processes = [start(*argv, env=env) for _ in range(3)]
    reports = [parsed(process.communicate(timeout=60)[0]) for process in processes]

    taken = [report for report in reports if report["exit_code"] == 0]
    refused = [report for report in reports if report["exit_code"] == 4]
    assert len(taken) >= 1
    assert len(taken) + len(refused) == 3
    assert {report["findings"][0]["id"] for report in refused} <= {"already-running"}
    for report in taken:
        file = Path(report["facts"]["file"])
        assert manifest_of(file)["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(names(tmp_path)) == 2 * len(taken)


def test_while_another_backup_of_it_runs_it_is_refused(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    with second_connection(connections[staging]) as other:
        execute(other, "SELECT pg_advisory_lock(%s, 0)", [LOCK_SPACE])
        answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (4, ["already-running"])
    name = connections[staging].settings_dict["NAME"]
    assert answer.report["facts"]["summary"].startswith(
        f"another backup of database {name} is running: process "
    )
    assert names(tmp_path) == []


def test_list_names_the_backups_newest_first(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, first = backup(ops, staging, tmp_path)
    _, second = backup(ops, staging, tmp_path, verify="none")
    (tmp_path / "other.json").write_text("{}")

    listed = ops("backup_db", database=staging, directory=str(tmp_path), list=True)
    assert listed.code == 0
    assert listed.report["facts"]["backups"] == [second.name, first.name]
    assert listed.report["facts"]["summary"] == f"2 backups in {tmp_path}"

    text = ops(
        "backup_db", database=staging, directory=str(tmp_path), list=True, format="text"
    ).stdout
    assert re.search(rf"  {second.name}  [\d.]+ MB  taken [-\dT:]{{19}}  not verified\n", text)
    assert re.search(rf"  {first.name}  [\d.]+ MB  taken [-\dT:]{{19}}  verified by archive", text)


def test_list_makes_no_folder(staging: str, ops: Ops, tmp_path: Path) -> None:
    answer = ops("backup_db", database=staging, directory=str(tmp_path / "none"), list=True)

    assert (answer.code, answer.report["facts"]["backups"]) == (0, [])
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_usage_error(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    answer = ops("backup_db", database=staging, directory=str(tmp_path / "file"))

    assert (answer.code, answer.ids) == (2, ["cannot-write-output"])
    assert answer.report["findings"][0]["hint"] == (
        "name a folder that can be written with --directory"
    )


def test_a_compression_that_pg_dump_does_not_know_leaves_nothing(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    answer = ops("backup_db", database=staging, directory=str(tmp_path), compress="nonsense")

    assert (answer.code, answer.ids) == (2, ["bad-compress"])
    assert "nonsense" in answer.report["findings"][0]["message"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.long)])
def test_a_backup_under_a_writer_is_of_one_instant_and_its_restore_agrees(
    staging: str, ops: Ops, tmp_path: Path, times: int
) -> None:
    with (
        old_release_writing(staging, "--pause-ms", "0") as one,
        old_release_writing(staging, "--pause-ms", "0") as other,
    ):
        counted = []
        for _ in range(times):
            answer, _ = backup(ops, staging, tmp_path, verify="restore")
            counted.append(answer.report["facts"]["tables"]["public.treasury_payment"])

    assert counted[0] > 500
    assert counted == sorted(set(counted))
    assert one["errors"] == other["errors"] == []


def test_production_seeds_after_a_verified_backup_of_this_very_state(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    production = {
        "ENVIRONMENT": "production",
        "BACKUP_DIR": tmp_path,
        "SEED": {"model": "treasury.Payment", "field": "payment_id"},
    }
    with override_settings(OPSMIGRATE=production):
        refused = ops("seed_payment_id", database=staging, approval="Ada")
        assert (refused.code, refused.ids) == (4, ["backup-missing"])
        assert ops("backup_db", database=staging, verify="none").code == 0
        assert ops("seed_payment_id", database=staging, approval="Ada").ids == ["backup-missing"]
        taken = ops("backup_db", database=staging)
        seeded = ops("seed_payment_id", database=staging, approval="Ada")

    assert seeded.code == 0
    assert seeded.report["facts"]["backup"] == Path(taken.report["facts"]["file"]).name
    assert seeded.report["facts"]["approval"] == "Ada"


def test_a_backup_can_be_taken_from_the_shell(staging: str, tmp_path: Path) -> None:
    argv = ["manage.py", "backup_db", "--verify", "restore", "--directory", str(tmp_path)]
    answer = run(*argv, "--settings=staging_settings", env=environment_for(url_of(staging)))

    assert answer.code == 0
    assert answer.stdout.startswith("PASSED:")
    assert f"{tmp_path}/" in answer.stdout
    assert "Dumping" in answer.stderr
    assert "Verifying the archive: SHA-256, then every row" in answer.stderr
    assert "Restoring into the scratch database opsmigrate_scratch_" in answer.stderr


def test_backups_of_two_databases_of_one_name_never_have_one_name(
    staging: str, tmp_path: Path
) -> None:
    session = read_session(connections[staging])
    elsewhere = replace(session, system_identifier=session.system_identifier + 1)
    finals = set()
    for _ in range(3):  # so that two of them are of the same second
        with (
            new_backup(tmp_path, session, as_folder=False) as (_, one),
            new_backup(tmp_path, elsewhere, as_folder=False) as (_, other),
        ):
            finals.add(one != other)
    assert finals == {True}


def test_a_manifest_that_cannot_be_written_leaves_no_backup_without_one(
    staging: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(take, "write_manifest", full)
    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert answer.code == 3
    assert names(tmp_path) == []
