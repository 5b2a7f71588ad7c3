"""The rehearsal runs the project's migrate on a copy, inside a fence, and leaves nothing behind."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Answer, Ops, environment_for, execute, query, start, url_of
from tests.integration.pairs import CAGE, ROW
from tests.integration.test_preflight_story import dump
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major

SCRATCH = "SELECT datname FROM pg_database WHERE datname LIKE 'opsmigrate_scratch%%'"
DOUBLE = """
migrations.RunPython(lambda apps, editor: [
    cage.save() for cage in apps.get_model("zoo", "Cage").objects.using(editor.connection.alias)
    if not setattr(cage, "size", 100 // cage.size)
]),
"""


def prepared(alias: str, write: Write, pending: str, *statements: str) -> str:
    """Give the database one cage and the pending operations; return its alias."""
    write(CAGE)
    assert migrate(alias, "zoo") is None
    for statement in (ROW, *statements):
        execute(connections[alias], statement)
    write(CAGE, pending)
    return alias


def rehearse(ops: Ops, alias: str, **options: Any) -> Answer:
    return ops("preflight_migrate", "zoo", database=alias, rehearse="clone", **options)


def test_code_that_runs_on_the_copy_is_passed(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    before = dump(alias)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids, answer.report["unexamined"]) == (0, [], [])
    facts = answer.report["facts"]["rehearsal"]
    assert facts["applied"] is True
    assert "RunPython calls" in facts["answered"][0]["why"]
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


BEYOND = {
    "a socket": "__import__('socket').create_connection(('127.0.0.1', 9))",
    "a process": "__import__('subprocess').run(['true'])",
    "a shell": "__import__('os').system('true')",
    "a file": "open('/tmp/opsmigrate-nothing', 'w')",
    "a file's end": "__import__('os').remove('/tmp/opsmigrate-nothing')",
    "a role": "editor.execute('CREATE ROLE opsmigrate_nobody')",
    "another database": "__import__('psycopg').connect(host='127.0.0.1', dbname='postgres')",
}


def test_settings_of_the_database_that_a_copy_lacks_leave_the_question_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    [(name,)] = query(alias, "SELECT quote_ident(current_database())")
    execute(connections[alias], f"ALTER DATABASE {name} SET work_mem = '5MB'")

    answer = rehearse(ops, alias)

    assert answer.code == 3
    assert any("which a copy lacks" in item["why"] for item in answer.report["unexamined"])


@pytest.mark.parametrize("attempt", BEYOND.values(), ids=BEYOND.keys())
def test_what_reaches_beyond_the_copy_is_refused_and_leaves_the_question_open(
    attempt: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    if "psycopg" in attempt and connections[empty_database].Database.__name__ == "psycopg2":
        attempt = attempt.replace("psycopg", "psycopg2")
    pending = f"migrations.RunPython(lambda apps, editor: {attempt}),"
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.report["verdict"]) == (3, "undecided")
    refused = [item for item in answer.report["unexamined"] if "it may not" in item["why"]]
    assert [item["what"] for item in refused] == ["zoo.0002_step 0: RunPython"]


def test_what_is_refused_does_not_happen(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    attempt = f"__import__('subprocess').run(['touch', {str(trace)!r}])"
    pending = f"migrations.RunPython(lambda apps, editor: {attempt}),"
    alias = prepared(empty_database, write_migrations, pending)

    assert rehearse(ops, alias).code == 3
    assert not trace.exists()
    assert migrate(alias, "zoo") is None
    assert trace.exists()


def test_mail_stays_in_memory(empty_database: str, write_migrations: Write, ops: Ops) -> None:
    mail = "__import__('django.core.mail').core.mail.send_mail('s', 'b', 'a@x.org', ['b@x.org'])"
    pending = f"migrations.RunPython(lambda apps, editor: {mail}),"
    alias = prepared(empty_database, write_migrations, pending)

    assert rehearse(ops, alias).code == 0


def test_an_error_that_is_known_needs_no_rehearsal(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = 'migrations.AddField("cage", "age", models.IntegerField()),'
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (1, ["not-null-without-default"])
    assert answer.report["facts"]["rehearsal"] is None


def test_in_production_a_copy_needs_approval_and_is_never_made_unasked(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "production", "REHEARSE": "auto"}

    unasked = ops("preflight_migrate", "zoo", database=alias)
    refused = rehearse(ops, alias)
    approved = rehearse(ops, alias, approval="CAB-7, Grace")

    assert (unasked.code, unasked.report["facts"]["rehearsal"]) == (3, None)
    [finding] = unasked.report["findings"]
    assert (finding["id"], finding["severity"]) == ("not-rehearsed", "info")
    assert "without approval" in finding["message"]
    assert (refused.code, refused.ids) == (4, ["approval-needed"])
    assert approved.code == 0


def test_unasked_it_rehearses_what_is_small_and_allowed(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE": "auto"}
    small = ops("preflight_migrate", "zoo", database=alias)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE": "auto", "REHEARSE_MAX_BYTES": 1000}
    large = ops("preflight_migrate", "zoo", database=alias)

    assert (small.code, small.report["facts"]["rehearsal"]["applied"]) == (0, True)
    assert (large.code, large.report["facts"]["rehearsal"]) == (3, None)


def test_a_role_that_may_not_make_databases_is_told_so_where_a_copy_was_asked_for(
    empty_database: str, role: Callable[..., dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    user = role()
    for statement in (
        f"""ALTER TABLE zoo_cage OWNER TO "{user["USER"]}" """,
        f"""GRANT ALL ON django_migrations TO "{user["USER"]}" """,
    ):
        execute(connections[alias], statement)
    connections.settings["guest"] = {**connections[alias].settings_dict, **user}
    try:
        answer = rehearse(ops, "guest")
    finally:
        connections["guest"].close()
        del connections["guest"], connections.settings["guest"]

    assert (answer.code, answer.ids) == (3, ["cannot-create-database"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_leaves_nothing_after_the_next_run(
    number: signal.Signals, staging: str, ops: Ops, tmp_path: Path
) -> None:
    ops("seed_payment_id", database=staging)
    before = dump(staging)
    env = environment_for(url_of(staging))
    process = start("manage.py", "preflight_migrate", "--rehearse=clone", env=env)
    deadline = time.monotonic() + 20
    while query(staging, SCRATCH) == [] and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=30)

    deadline = time.monotonic() + 20
    while query(staging, SCRATCH) != []:
        assert time.monotonic() < deadline
        ops("preflight_migrate", database=staging)
        time.sleep(0.2)
    assert dump(staging) == before


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
