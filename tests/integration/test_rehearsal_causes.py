"""A rehearsal that failed says what PostgreSQL said besides, and what to type fits the cause."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import prepared, rehearse
from tests.remedies import Typist, contents, losses

CLOSED = """
CREATE FUNCTION "no more"() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'cages are closed'; END $$;
CREATE TRIGGER closed BEFORE UPDATE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION "no more"();
"""
UPDATE = 'migrations.RunSQL("UPDATE zoo_cage SET size = size + 1"),'


def failed(answer: Any) -> dict[str, Any]:
    """Return the finding."""
    (finding,) = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "rehearsal-failed"), answer.stdout
    found: dict[str, Any] = finding
    return found


@pytest.mark.major
def test_a_trigger_that_refuses_is_named_and_switched_off_as_long_as_migrate_runs(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    alias = prepared(empty_database, write_migrations, UPDATE, CLOSED)

    finding = failed(rehearse(ops, alias))

    # The drivers differ in the class of the error.
    assert finding["message"].endswith(
        'Error: cages are closed (P0001); CONTEXT:  PL/pgSQL function "no more"() line 1 at RAISE'
    )
    assert finding["hint"].startswith("decide about the trigger closed of public.zoo_cage: ")
    assert [(step["text"], bool(step["risk"])) for step in finding["steps"]] == [
        ('ALTER TABLE "public"."zoo_cage" DISABLE TRIGGER "closed";', True),
        (f"python manage.py preflight_migrate --database {alias} zoo", False),
        (f"python manage.py migrate --database {alias} zoo", False),
        ('ALTER TABLE "public"."zoo_cage" ENABLE TRIGGER "closed";', False),
    ]
    assert len(typist.type(alias, finding)) == 1  # the size, which the migration changes
    assert rehearse(ops, alias).code == 0
    with pytest.raises(Exception, match="cages are closed"):
        execute(connections[alias], "UPDATE zoo_cage SET size = 3")


@pytest.mark.parametrize(
    ("there", "pending", "step"),
    [
        (
            "CREATE INDEX zoo_lower ON zoo_cage (lower(name))",
            "CREATE INDEX zoo_lower ON zoo_cage (lower(name))",
            'DROP INDEX "public"."zoo_lower";',
        ),
        (
            "CREATE UNIQUE INDEX zoo_lower ON zoo_cage (lower(name))",
            "CREATE INDEX zoo_lower ON zoo_cage (lower(name))",
            'ALTER INDEX "public"."zoo_lower" RENAME TO "zoo_lower_former";',
        ),
        (
            "CREATE TABLE tag AS SELECT 1 AS id",
            "CREATE TABLE tag (id int)",
            'ALTER TABLE "public"."tag" RENAME TO "tag_former";',
        ),
        (
            "ALTER TABLE zoo_cage ADD CONSTRAINT small CHECK (size < 9)",
            "ALTER TABLE zoo_cage ADD CONSTRAINT small CHECK (size < 8)",
            'ALTER TABLE "public"."zoo_cage" RENAME CONSTRAINT "small" TO "small_former";',
        ),
    ],
    ids=["index", "unique index", "table", "constraint"],
)
def test_what_is_in_the_way_of_sql_by_hand_makes_room_without_losing_anything(
    there: str,
    pending: str,
    step: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    alias = prepared(empty_database, write_migrations, f'migrations.RunSQL("{pending}"),', there)
    before = contents(alias)

    finding = failed(rehearse(ops, alias))

    assert [each["text"] for each in finding["steps"]] == [step]
    assert typist.type(alias, finding) == []
    assert rehearse(ops, alias).code == 0
    assert migrate(alias, "zoo") is None
    after = contents(alias)
    assert [each for each in losses(before, after) if "django_migrations" not in each] == []


def test_rows_that_a_constraint_refuses_are_told_with_table_and_constraint(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    add = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD CONSTRAINT small CHECK (size < 0)"),'
    alias = prepared(empty_database, write_migrations, add)

    finding = failed(rehearse(ops, alias))

    assert finding["hint"] == (
        "correct the rows of public.zoo_cage, which small refuses, or the migration that writes "
        "them"
    )
    evidence = finding["evidence"]
    assert (evidence["schema"], evidence["table"], evidence["constraint"]) == (
        "public",
        "zoo_cage",
        "small",
    )


def test_words_of_the_database_are_data(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    acting = CLOSED.replace("cages are closed", "\x1b[2Jgone").replace("no more", "n\x1b[2J")
    alias = prepared(empty_database, write_migrations, UPDATE, acting)

    text = rehearse(ops, alias, format="text").stdout

    assert "\x1b" not in text
    assert "\\x1b[2J" in text
    assert "decide about the trigger closed of public.zoo_cage" in " ".join(text.split())


@pytest.mark.major
def test_a_sequence_that_is_behind_is_the_cause_and_no_row_is_wrong(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    pending = f'migrations.RunSQL("{ROW}"),'
    behind = "SELECT setval(pg_get_serial_sequence('zoo_cage', 'id'), 1, false)"
    alias = prepared(empty_database, write_migrations, pending, behind)

    finding = failed(rehearse(ops, alias))

    assert finding["hint"].startswith("public.zoo_cage_id_seq of public.zoo_cage.id gives keys")
    assert ["setval" in step["text"] for step in finding["steps"]] == [True]
    assert typist.type(alias, finding) == []
    assert rehearse(ops, alias).code == 0
    assert migrate(alias, "zoo") is None
