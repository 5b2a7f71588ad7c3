"""The rehearsal runs the project's migrate on a copy, inside a fence, and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.conftest import Answer, Ops, environment_for, query, start, url_of
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, SCRATCH, dump, prepared, rehearse

pytestmark = pytest.mark.major


def test_code_that_runs_on_the_copy_is_passed(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    before = dump(alias)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids, answer.report["undecided"]) == (0, [], [])
    facts = answer.report["facts"]["rehearsal"]
    assert facts["applied"] is True
    assert "RunPython calls" in facts["undecided_before"][0]["why"]
    updates = [item for item in facts["statements"] if item["sql"].startswith("UPDATE")]
    assert [(item["migration"], item["operation"], item["rows"]) for item in updates] == [
        ("zoo.0002_step", "0: RunPython", 1)
    ]
    assert dump(alias) == before
    assert query(alias, SCRATCH) == []
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize(
    ("pending", "statement", "words", "sqlstate"),
    [
        (DOUBLE, "UPDATE zoo_cage SET size = 0", "ZeroDivisionError", None),
        ('migrations.RunSQL("ALTER TABLE nowhere ADD x int"),', "SELECT 1", "nowhere", "42P01"),
        (
            'migrations.RunSQL("SELECT 1 / size FROM zoo_cage"),',
            "UPDATE zoo_cage SET size = 0",
            "division by zero",
            "22012",
        ),
    ],
    ids=["code", "sql", "sql-on-data"],
)
def test_what_fails_on_the_copy_fails_for_migrate_too(
    pending: str,
    statement: str,
    words: str,
    sqlstate: str | None,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias = prepared(empty_database, write_migrations, pending, statement)

    answer = rehearse(ops, alias)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "rehearsal-failed")
    assert words in finding["message"]
    assert finding["migration"] == "zoo.0002_step"
    assert finding["operation"].startswith("0: Run")
    assert finding["evidence"]["sqlstate"] == sqlstate
    assert query(alias, SCRATCH) == []
    assert migrate(alias, "zoo") is not None


def test_an_error_that_is_known_needs_no_rehearsal(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = 'migrations.AddField("cage", "age", models.IntegerField()),'
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (1, ["not-null-without-default"])
    assert answer.report["facts"]["rehearsal"] is None


def test_an_app_that_asks_the_database_while_it_loads_does_not_lead_the_copy_astray(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    ops("seed_payment_id", database=staging)
    app = tmp_path / "eager"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "apps.py").write_text(
        "from django.apps import AppConfig\n"
        "class Eager(AppConfig):\n"
        "    name = 'eager'\n"
        "    def ready(self):\n"
        "        from django.db import connection\n"
        "        connection.ensure_connection()\n"
    )
    (tmp_path / "eager_settings.py").write_text(
        "from staging_settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'eager']\n"
    )
    env = environment_for(url_of(staging), PYTHONPATH=str(tmp_path))
    command = ("manage.py", "preflight_migrate", "--rehearse=clone", "--format=json")
    before = dump(staging)

    process = start(*command, "--settings=eager_settings", env=env)
    stdout, stderr = process.communicate(timeout=60)

    assert Answer(process.returncode, stdout, stderr).code == 0, stdout
    assert dump(staging) == before
