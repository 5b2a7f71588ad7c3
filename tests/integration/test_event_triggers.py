"""Event triggers: only those that the plan fires, and what they say is what `migrate` says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import EventTrigger
from opsmigrate.preflight.walk.event_triggers import fired
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import owner_of_zoo, prepared, reasons, rehearse

pytestmark = pytest.mark.major

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
# It does nothing, and nobody can tell.
NOTHING = "migrations.RunPython(lambda apps, editor: exec('')),"
RAISES = (
    "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS"
    " 'BEGIN RAISE ''no DDL today''; END'"
)


def watching(words: str) -> tuple[str, str]:
    """Return what makes an event trigger that raises."""
    return RAISES, f"CREATE EVENT TRIGGER guard ON {words} EXECUTE FUNCTION no()"


@pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "owner"])
@pytest.mark.parametrize("how", ["off", "clone"])
def test_only_an_event_trigger_that_the_plan_fires_counts(
    superuser: bool,
    how: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    alias = prepared(
        empty_database,
        write_migrations,
        AGE,
        *watching("ddl_command_end WHEN TAG IN ('CREATE EXTENSION', 'DROP TABLE')"),
    )
    user = {"USER": connections[alias].settings_dict["USER"]} if superuser else role("CREATEDB")
    with owner_of_zoo(alias, user) as asking:
        others = rehearse(ops, asking, rehearse=how)
        execute(connections[alias], "DROP EVENT TRIGGER guard")
        execute(connections[alias], watching("ddl_command_end WHEN TAG IN ('ALTER TABLE')")[1])
        ours = rehearse(ops, asking, rehearse=how)
        failure = migrate(asking, "zoo")

    execute(connections[alias], "DROP EVENT TRIGGER guard")
    assert (others.code, reasons(others)) == (0, []), others.stdout
    assert "no DDL today" in str(failure)
    assert ours.code == (1 if superuser and how == "clone" else 3), ours.stdout
    if ours.code == 3:
        [why] = reasons(ours)
        assert "the event trigger guard runs with it and may refuse it" in why


AMONG_SUPERUSERS = (
    "CREATE FUNCTION ours() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN"
    " IF current_setting(''is_superuser'')::bool OR current_user <> session_user"
    " THEN RAISE ''a superuser ran it''; END IF; END'",
    "CREATE EVENT TRIGGER ours ON ddl_command_end WHEN TAG IN ('ALTER TABLE')"
    " EXECUTE FUNCTION ours()",
)


def test_a_server_of_our_own_has_those_that_a_superuser_made(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    settings: Any,
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    alias = prepared(empty_database, write_migrations, AGE)
    with owner_of_zoo(alias, role("CREATEDB")) as asking:
        for statement in AMONG_SUPERUSERS:
            execute(connections[alias], statement)
        passes = rehearse(ops, asking)
        for statement in (
            *watching("ddl_command_end WHEN TAG IN ('ALTER TABLE')"),
            "ALTER EVENT TRIGGER guard DISABLE",
        ):
            execute(connections[alias], statement)
        disabled = rehearse(ops, asking)
        execute(connections[alias], "ALTER EVENT TRIGGER guard ENABLE")
        refused = rehearse(ops, asking)
        failure = migrate(asking, "zoo")
        execute(connections[alias], "ALTER EVENT TRIGGER guard DISABLE")
        assert migrate(asking, "zoo") is None
        execute(connections[alias], "DROP EVENT TRIGGER guard")
        execute(connections[alias], "DROP EVENT TRIGGER ours")

    assert passes.report["facts"]["rehearsal"]["isolation"]["server"] == "embedded"
    for answer in (passes, disabled):
        assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    assert refused.code == 1, refused.stdout
    assert "no DDL today" in str(failure)
    assert "no DDL today" in refused.report["findings"][0]["message"]


def test_code_that_fires_no_event_trigger_on_the_copy_fires_none(
    empty_database: str, write_migrations: Write, ops: Ops, role: Callable[..., dict[str, str]]
) -> None:
    alias = prepared(empty_database, write_migrations, NOTHING)
    with owner_of_zoo(alias, role("CREATEDB")) as asking:
        for statement in watching("ddl_command_start"):
            execute(connections[alias], statement)
        without = rehearse(ops, asking, rehearse="off")
        answer = rehearse(ops, asking)
        assert migrate(asking, "zoo") is None
        write_migrations(CAGE, NOTHING, 'migrations.RunSQL("DO $$ BEGIN NULL; END $$"),')
        block = rehearse(ops, asking)
    execute(connections[alias], "DROP EVENT TRIGGER guard")

    assert without.code == 3
    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    assert (block.code, len(reasons(block))) == (3, 1)


@pytest.mark.parametrize(
    ("tag", "statement", "fires"),
    [
        ("ALTER TABLE", "ALTER TABLE a ADD b int", True),
        ("ALTER TABLE", "/* why */ alter  table a add b int", True),
        ("CREATE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY i ON a (b)", True),
        ("CREATE TABLE", "CREATE TEMP TABLE a ()", True),
        ("CREATE VIEW", "CREATE OR REPLACE RECURSIVE VIEW v AS SELECT 1", True),
        (
            "CREATE TRIGGER",
            "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
            True,
        ),
        ("CREATE TABLE AS", "CREATE TABLE a AS SELECT 1", True),
        ("SELECT INTO", "SELECT 1 AS a INTO b", True),
        ("COMMENT", "COMMENT ON TABLE a IS 'b'", True),
        ("DROP TABLE", "SET LOCAL lock_timeout = 1; DROP TABLE a", True),
        ("DROP TABLE", "DO $$ BEGIN DROP TABLE a; END $$", True),
        ("DROP TABLE", "SELECT drops('a')", True),
        ("DROP TABLE", "SELECT '--'; DROP TABLE a", True),
        ("DROP TABLE", "SELECT count(*), drops('a') FROM b", True),
        ("DROP TABLE", "WITH a AS (SELECT drops('a')) SELECT 1 FROM a", True),
        ("DROP TABLE", "DROP TABLE a WHERE", True),
        ("CREATE MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW a AS SELECT 1", True),
        ("DROP TABLE", "SELECT count(*) FROM a", False),
        ("DROP TABLE", "INSERT INTO a VALUES ('b;drop table c')", False),
        ("DROP TABLE", "UPDATE a SET b = '; drop table c', d = %s", False),
        ("SELECT INTO", "SELECT 1 AS a WHERE 'b' = ' into '", False),
        ("CREATE TABLE", "CREATE TABLE a AS SELECT 1", False),
        ("DROP TABLE", "INSERT INTO a VALUES (1)", False),
        ("DROP TABLE", "ALTER TABLE a ADD b int", False),
        ("CREATE EXTENSION", "CREATE TABLE a ()", False),
    ],
)
def test_the_tag_of_a_command(tag: str, statement: str, fires: bool) -> None:
    assert fired(EventTrigger("t", "ddl_command_start", (tag,)), statement) == fires
    assert fired(EventTrigger("t", "ddl_command_start", None), statement) or not fires
