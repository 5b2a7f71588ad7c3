"""What else leads a migrate astray: another one under way, an empty database, half a squash."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import rehearse_project
from tests.remedies import Typist
from tests.sessions import held

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
RECORD = "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0002_step', now())"


@pytest.mark.parametrize("rehearse", ["off", "clone"])
def test_another_migrate_under_way_leaves_it_open_and_is_named(
    rehearse: str, empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, AGE)

    def ask() -> Any:
        return ops("preflight_migrate", "zoo", database=empty_database, rehearse=rehearse)

    with held(empty_database, "CREATE TABLE zoo_pen (id int)", RECORD) as other:
        answer = ask()
        pid = other.connection.info.backend_pid
        [finding] = answer.report["findings"]
        assert (answer.code, finding["id"], finding["severity"]) == (
            3,
            "migrate-under-way",
            "warning",
        )
        assert f"process {pid} (role postgres, till, idle in transaction)" in finding["message"]
        assert f"process {pid}, another migrate, has" in answer.report["undecided"][0]["why"]
        typist.type(empty_database, finding)
    assert (ask().code, ask().ids) == (0, [])
    with held(empty_database, "SELECT * FROM django_migrations", "CREATE TABLE zoo_pen (id int)"):
        assert (ask().code, ask().ids) == (0, [])


def test_a_migrate_under_way_is_no_matter_where_nothing_is_pending(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    with held(empty_database, RECORD):
        answer = ops("preflight_migrate", "zoo", database=empty_database)
    assert (answer.code, answer.ids) == (0, [])


@pytest.mark.parametrize(
    ("environment", "odd"),
    [("production", True), ("staging", True), ("test", False), ("development", False)],
)
def test_a_database_without_a_migration_is_odd_but_where_that_is_daily(
    environment: str,
    odd: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "ENVIRONMENT": environment}
    write_migrations(CAGE, AGE)

    def ask() -> Any:
        return ops("preflight_migrate", "zoo", database=empty_database)

    answer = ask()

    assert (answer.code, answer.ids) == (0, ["empty-database"] if odd else [])
    if odd:
        [finding] = answer.report["findings"]
        assert finding["severity"] == "warning"
        assert "no migration is applied in this database" in finding["message"]
        assert environment in finding["message"]
    assert migrate(empty_database, "zoo", "0001") is None
    assert ask().ids == []


def test_a_database_of_which_a_backup_knows_migrations_is_odd_without_one(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any, tmp_path: Path
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "BACKUP_DIR": str(tmp_path / "backups")}
    write_migrations(CAGE, AGE)
    assert migrate(empty_database, "zoo", "0001") is None
    backup = ops("backup_db", database=empty_database)
    assert backup.code == 0, backup.stdout
    assert ops("preflight_migrate", "zoo", database=empty_database).ids == []
    execute(connections[empty_database], "DROP TABLE zoo_cage, django_migrations")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (0, "empty-database")
    file = Path(backup.report["facts"]["file"]).name
    assert f"the backup {file} of a database of this name has 1 migr" in finding["message"]


SQUASHED = (
    """
replaces = [("zoo", "0001_gone"), ("zoo", "0002_gone"), ("zoo", "0003_gone")]
operations = [
"""
    + CAGE
    + "]"
)


def apply_what_is_gone(alias: str, write: Write) -> None:
    """Apply two migrations, and record them under names of which there is no file."""
    write(CAGE, AGE)
    assert migrate(alias, "zoo") is None
    for number in (1, 2):
        rename = f"UPDATE django_migrations SET name = '000{number}_gone'"
        execute(connections[alias], f"{rename} WHERE name = '000{number}_step'")


@pytest.mark.parametrize("pending", [False, True])
def test_a_squash_that_is_applied_in_part_and_whose_rest_is_gone_is_told(
    pending: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    apply_what_is_gone(empty_database, write_migrations)
    write_migrations(SQUASHED, *([AGE] if pending else []))

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    finding = answer.report["findings"][0]
    assert (answer.code, finding["id"]) == (int(pending), "squash-partly-applied")
    assert "these 2 of 3 are applied: zoo.0001_gone, zoo.0002_gone;" in finding["message"]
    assert "no files here: zoo.0003_gone" in finding["message"]
    assert (migrate(empty_database, "zoo") is not None) == pending


def test_a_squash_that_does_not_say_what_it_replaces_is_told_to_be_there_already(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    apply_what_is_gone(empty_database, write_migrations)
    write_migrations(CAGE + AGE)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, [*["missing-on-disk"] * 2, "table-exists"])
    *others, first = answer.report["findings"]
    assert "everything that the migration creates already exists as it creates it" in first["hint"]
    assert [item["migration"] for item in others] == ["zoo.0001_gone", "zoo.0002_gone"]
    typist.type(empty_database, first)
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    assert migrate(empty_database, "zoo") is None


SENDS = """
import socket
from django.db.models.signals import post_migrate
def sends(**kwargs):
    {how}
sends.__module__ = "eager.signals"
sends.__qualname__ = "sends"
post_migrate.connect(sends, weak=False)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("socket.create_connection(('203.0.113.9', 5672), timeout=1)", 3, "eager.signals.sends"),
        ("raise ValueError('no')", 1, "the receiver eager.signals.sends failed: ValueError: no"),
    ],
)
def test_a_receiver_that_sends_or_fails_is_named_by_a_rehearsal(
    how: str, code: int, words: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    alias = new_database("eager ")

    answer = rehearse_project(alias, tmp_path, code="pass", ready=SENDS.format(how=how))

    assert answer.code == code, answer.stdout
    told = [item["why"] for item in answer.report["undecided"]]
    told += [finding["message"] for finding in answer.report["findings"]]
    assert any(words in each for each in told), told
