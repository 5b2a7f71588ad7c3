"""A project's own `migrate`, and its own database engine, may do what Django does not."""

from collections.abc import Callable

import pytest
from django.core.management import get_commands
from django.db import connections

from opsmigrate.preflight.rehearsal.current_operation import CurrentOperation
from opsmigrate.preflight.rehearsal.recording import OperationRef
from tests.conftest import Ops, execute, query
from tests.engine.base import Several
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
LABEL = (
    'migrations.AddField("keeper", "label", type("Label", (models.TextField,), '
    '{"db_type": lambda self, connection: "label"})(null=True)),'
)
GONE = 'migrations.AddField("cat", "age", models.IntegerField(null=True)),'
CAT = 'migrations.CreateModel("Cat", [("id", models.BigAutoField(primary_key=True))]),'


def test_what_the_projects_own_migrate_does_is_left_open(
    empty_database: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate(empty_database) is None
    assert ops("preflight_migrate", database=empty_database).code == 0
    monkeypatch.setitem(get_commands(), "migrate", "tests.engine")

    answer = ops("preflight_migrate", database=empty_database)

    assert migrate(empty_database) == "no tenant is there"
    assert answer.code == 3
    assert "tests.engine.management.commands.migrate" in answer.report["undecided"][0]["why"]


def test_sql_of_the_engines_own_is_left_open(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(ENGINE="tests.engine")
    write_migrations(CAGE, AGE)
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], ROW)

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert "big" in (migrate(alias, "zoo") or "")
    assert answer.code == 3
    opened = {item["what"]: item["why"] for item in answer.report["undecided"]}
    assert "ADD CONSTRAINT big" in opened["zoo.0002_step 0: AddField"]


@pytest.mark.parametrize(("field", "words"), [("size", "TRUNCATE"), ("name", "WITH gone")])
def test_an_engine_that_goes_past_its_editor_changes_nothing(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops, field: str, words: str
) -> None:
    alias = new_database(ENGINE="tests.engine")
    write_migrations(CAGE, f'migrations.RemoveField("cage", "{field}"),')
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], ROW)

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert query(alias, "SELECT count(*) FROM zoo_cage") == [(1,)]
    assert answer.code == 3
    assert any(words in item["why"] for item in answer.report["undecided"]), answer.stdout
    assert query(alias, "SHOW default_transaction_read_only") == [("off",)]


def test_statements_without_a_text_do_not_end_the_walk(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(ENGINE="tests.engine")
    write_migrations(CAGE + CAT, KEEPER, GONE)
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], "DROP TABLE zoo_cat")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert migrate(alias, "zoo") is not None
    assert answer.code == 1, answer.stdout
    assert answer.report["findings"][0]["id"] == "missing-table"
    assert answer.report["findings"][0]["migration"] == "zoo.0003_step"


def test_what_the_engine_prepares_is_not_missed(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(ENGINE="tests.engine")
    write_migrations(CAGE + KEEPER, LABEL)
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], "DROP DOMAIN label")
    execute(connections[alias], "ALTER TABLE zoo_keeper ADD COLUMN size int")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert migrate(alias, "zoo") is None
    assert answer.code == 3, answer.stdout
    assert any("prepare_database" in item["why"] for item in answer.report["undecided"])


def test_a_rehearsal_follows_statements_without_a_text() -> None:
    current = CurrentOperation()
    current.place = OperationRef("zoo.0001_step")
    current._deferred = [
        (Several(["SELECT 1"]), OperationRef("zoo.0001_step", "0: Odd")),
        ("SELECT 2", OperationRef("zoo.0001_step", "1: Plain")),
    ]

    assert current.of("SELECT 2").operation == "1: Plain"


SKIPPED = """
def apply(self, project_state, schema_editor, collect_sql=False):
    return self.mutate_state(project_state, preserve=False)

operations = [migrations.AddField("cage", "age", models.IntegerField(null=True))]
"""
OLDER = 'migrations.AlterField("cage", "age", models.BigIntegerField(null=True)),'


@pytest.mark.parametrize(("rehearse", "code"), [("off", 3), ("clone", 0)])
def test_a_migration_with_an_apply_of_its_own_may_skip_its_operations(
    rehearse: str,
    code: int,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias = new_database("own ")
    write_migrations(CAGE, SKIPPED, OLDER)
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], "ALTER TABLE zoo_cage ADD COLUMN age int")

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse=rehearse)

    assert migrate(alias, "zoo") is None
    assert answer.code == code, answer.stdout


def test_what_such_a_migration_skipped_is_missed_by_the_rehearsal(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, SKIPPED, OLDER)
    assert migrate(empty_database, "zoo", "0001") is None

    plain = ops("preflight_migrate", "zoo", database=empty_database)
    rehearsed = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    assert migrate(empty_database, "zoo") is not None
    assert (plain.code, rehearsed.code) == (3, 1), rehearsed.stdout
    assert rehearsed.report["findings"][0]["migration"] == "zoo.0003_step"
