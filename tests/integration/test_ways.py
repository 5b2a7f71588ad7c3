"""Each way that a report offers about rows is typed: it keeps them, and what is pending applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist, alternatives, contents, kept_nowhere, unannounced

LOOSE = """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, to_field="code", db_constraint=False,
        null=%s)),
]),
"""
TIED = """
migrations.AlterField("keeper", "cage",
    models.ForeignKey("zoo.Cage", models.CASCADE, to_field="code", null=%s)),
"""
ROWS = """
INSERT INTO zoo_cage (code, name, size) VALUES (gen_random_uuid(), 'Ada', 1),
(gen_random_uuid(), 'Ada', 1), (gen_random_uuid(), 'ada', 1), (gen_random_uuid(), 'Bee', NULL),
(gen_random_uuid(), 'Bee', 70000), (gen_random_uuid(), 'a longer name', -3)
"""
EXCLUDING = """
migrations.AddConstraint("cage", ExclusionConstraint(name="apart", index_type="spgist",
    expressions=[("name", "=")])),
"""
ORPHANS = """
INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage;
INSERT INTO zoo_keeper (cage_id) VALUES (gen_random_uuid()), (gen_random_uuid())
"""
POINTED_AT = "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage"
NO_KEY = "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey"
TRIGGERED = """
CREATE TABLE zoo_cage_kept (id int);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER no BEFORE DELETE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION no()
"""
NULL, DELETE, CUT = "= NULL", "DELETE FROM", "= left("


@dataclass(frozen=True)
class Case:
    """What is pending, and which ways are offered, each with the number of rows that it changes."""

    pending: str
    ways: tuple[str, ...]
    changed: int
    first: str = CAGE
    sql: tuple[str, ...] = (ROWS,)


def altered(column: str, field: str) -> str:
    return f'migrations.AlterField("cage", "{column}", models.{field}),'


def constrained(constraint: str) -> str:
    return f'migrations.AddConstraint("cage", models.{constraint}),'


CASES = {
    "duplicates": Case(altered("size", "IntegerField(null=True, unique=True)"), (NULL, DELETE), 2),
    "duplicates, required": Case(
        altered("name", "CharField(max_length=20, unique=True)"), (DELETE,), 2
    ),
    "duplicates of two columns": Case(
        constrained('UniqueConstraint(fields=["name", "size"], name="both")'), (NULL, DELETE), 1
    ),
    "duplicates where a condition holds": Case(
        constrained('UniqueConstraint(fields=["name"], condition=models.Q(size=1), name="of_one")'),
        (DELETE,),
        1,
    ),
    "duplicates of an expression": Case(
        constrained('UniqueConstraint(Lower("name"), name="lower")'), (DELETE,), 3
    ),
    "duplicates of a renamed column": Case(
        'migrations.RenameField("cage", "size", "width"),'
        + altered("width", "IntegerField(null=True, unique=True)"),
        (NULL, DELETE),
        2,
    ),
    "duplicates of what a cast makes": Case(
        'migrations.RenameField("cage", "size", "width"),'
        + altered("width", "CharField(max_length=9, null=True)")
        + altered("width", "CharField(max_length=9, null=True, unique=True)"),
        (DELETE,),
        2,
    ),
    "duplicates without a primary key": Case(
        altered("size", "IntegerField(null=True, unique=True)"),
        (NULL, DELETE),
        2,
        sql=(ROWS, NO_KEY),
    ),
    "orphans": Case(TIED % True, (NULL, DELETE), 2, CAGE + LOOSE % True, (ROWS, ORPHANS)),
    "orphans, required": Case(TIED % False, (DELETE,), 2, CAGE + LOOSE % False, (ROWS, ORPHANS)),
    "NULLs": Case(altered("size", "IntegerField()"), (DELETE,), 1),
    "too long": Case(altered("name", "CharField(max_length=5)"), (CUT, DELETE), 1),
    "out of range": Case(altered("size", "SmallIntegerField(null=True)"), (NULL, DELETE), 1),
    "a check": Case(
        constrained('CheckConstraint(condition=models.Q(size__gte=0), name="some")'),
        (NULL, DELETE),
        1,
    ),
    "a check that no NULL satisfies": Case(
        constrained('CheckConstraint(condition=models.Q(size__isnull=False), name="some")'),
        (DELETE,),
        1,
    ),
    "rows that exclude each other": Case(EXCLUDING, (DELETE,), 2),
    "rows that others point to": Case(
        altered("size", "IntegerField(null=True, unique=True)"),
        (NULL,),
        2,
        CAGE + KEEPER,
        (ROWS, POINTED_AT),
    ),
}
QUICK = ("duplicates", "orphans", "too long", "rows that others point to")
DROP = """
DO $$ DECLARE named text; BEGIN
    SELECT conname INTO named FROM pg_constraint
    WHERE conrelid = '{0}'::regclass AND contype = '{1}'
        AND pg_get_constraintdef(oid) LIKE '%({2})%';
    EXECUTE format('ALTER TABLE {0} DROP CONSTRAINT %I', named);
END $$
"""
UNIQUE_SIZE = CASES["duplicates"].pending
TIED_KEEPER = LOOSE % True + TIED % True
DRIFTS = {
    "drift-unique": (
        CAGE + UNIQUE_SIZE,
        (DROP.format("zoo_cage", "u", "size"), ROWS),
        (NULL, DELETE),
        2,
    ),
    "drift-foreign-key": (
        CAGE + TIED_KEEPER,
        (DROP.format("zoo_keeper", "f", "cage_id"), ROWS, ORPHANS),
        (NULL, DELETE),
        2,
    ),
    "drift-null": (
        CAGE,
        (
            "ALTER TABLE zoo_cage ALTER name DROP NOT NULL",
            ROWS,
            "UPDATE zoo_cage SET name = NULL WHERE size = -3",
        ),
        (DELETE,),
        1,
    ),
}
KEPT = """
SELECT c.oid::regclass::text FROM pg_class c WHERE c.relname LIKE '%\\_kept%' AND c.relkind = 'r'
"""


def first_error(ops: Ops, alias: str) -> dict[str, Any]:
    """Return the first error of a preflight that says no."""
    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    assert answer.code == 1, answer.stdout
    return dict(next(each for each in answer.report["findings"] if each["severity"] == "error"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in QUICK else pytest.mark.long) for each in CASES],
)
def test_each_way_keeps_the_rows_as_they_were_and_what_is_pending_applies(
    name: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    case = CASES[name]
    template = new_database("ways ")
    write_migrations(case.first)
    assert migrate(template, "zoo") is None
    for each in case.sql:
        execute(connections[template], each)
    connections[template].close()
    write_migrations(case.first, case.pending)

    for number, way in enumerate(case.ways, start=1):
        alias = new_database("way ", connections[template].settings_dict["NAME"])
        before = contents(alias)
        finding = first_error(ops, alias)
        assert alternatives(finding) == list(range(1, len(case.ways) + 1)), finding
        steps = [each for each in finding["steps"] if each["alternative"] == number]
        assert [way in each["text"] for each in steps[-2:]] == [True, False], finding
        shown = query(alias, finding["steps"][0]["text"])
        assert 0 < len(shown) <= case.changed

        gone = typist.type(alias, finding, alternative=number)

        assert gone
        assert unannounced(finding, gone, alternative=number) == []
        assert kept_nowhere(before, contents(alias)) == []
        ((kept,),) = query(alias, KEPT)
        assert query(alias, f"SELECT count(*) FROM {kept}") == [(case.changed,)]
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        assert answer.code == 0, answer.stdout
        assert migrate(alias, "zoo") is None


def test_a_way_that_fails_changes_nothing_and_the_name_of_what_is_kept_is_free(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    for each in (ROWS, TRIGGERED):
        execute(connections[empty_database], each)
    case = CASES["duplicates"]
    write_migrations(CAGE, case.pending)
    before = contents(empty_database)
    finding = first_error(ops, empty_database)

    with pytest.raises(AssertionError, match="no"):
        typist.type(empty_database, finding, alternative=2)

    assert contents(empty_database) == before
    assert typist.type(empty_database, finding)
    assert query(empty_database, "SELECT count(*) FROM zoo_cage_kept_2") == [(2,)]


def test_who_may_not_make_a_table_beside_is_shown_the_rows_only(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROWS)
    account = role()
    execute(
        connections[empty_database],
        f'ALTER TABLE zoo_cage OWNER TO "{account["USER"]}";'
        f'GRANT ALL ON django_migrations TO "{account["USER"]}";'
        # Up to PostgreSQL 14 everybody may.
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    connections[empty_database].close()
    connections[empty_database].settings_dict.update(account)
    write_migrations(CAGE, CASES["NULLs"].pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    (finding,) = [each for each in answer.report["findings"] if each["id"] == "null-values"]
    assert len(finding["steps"]) == 1
    assert 'UPDATE "public"."zoo_cage" SET "size" = … WHERE "size" IS NULL' in finding["hint"]


def test_what_a_rehearsal_proves_has_the_ways_of_the_rows_too(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROWS)
    code = "migrations.RunPython(lambda apps, editor: exec('')),"
    write_migrations(CAGE, code, CASES["duplicates"].pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    (finding,) = [each for each in answer.report["findings"] if each["severity"] == "error"]
    assert finding["id"] == "rehearsal-failed"
    assert "1 value of public.zoo_cage (size) is in more than one row" in finding["hint"]
    before = contents(empty_database)
    gone = typist.type(empty_database, finding)
    assert unannounced(finding, gone) == []
    assert kept_nowhere(before, contents(empty_database)) == []
    assert ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone").code == 0
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize("id", DRIFTS)
def test_what_drifted_is_made_again_after_each_way_about_the_rows(
    id: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    first, damage, ways, changed = DRIFTS[id]
    template = new_database("drifted ")
    write_migrations(first)
    assert migrate(template, "zoo") is None
    for each in damage:
        execute(connections[template], each)
    connections[template].close()

    for number, way in enumerate(ways, start=1):
        alias = new_database("way ", connections[template].settings_dict["NAME"])
        before = contents(alias)
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        (finding,) = [each for each in answer.report["findings"] if each["id"] == id]
        assert alternatives(finding) == list(range(1, len(ways) + 1)), finding
        assert any(
            way in each["text"] for each in finding["steps"] if each["alternative"] == number
        )

        gone = typist.type(alias, finding, alternative=number)

        assert gone
        assert unannounced(finding, gone, alternative=number) == []
        assert kept_nowhere(before, contents(alias)) == []
        ((kept,),) = query(alias, KEPT)
        assert query(alias, f"SELECT count(*) FROM {kept}") == [(changed,)]
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        assert id not in answer.ids


@pytest.mark.parametrize(
    ("pending", "column", "id"),
    [
        (altered("size", "IntegerField()"), "size", "null-values"),
        (altered("size", "BigIntegerField(null=True)"), "name", "drift-null"),
    ],
    ids=["pending", "drift"],
)
def test_rows_of_which_a_table_beside_would_keep_a_part_only_are_not_deleted(
    pending: str,
    column: str,
    id: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    for each in (
        f"ALTER TABLE zoo_cage ALTER {column} DROP NOT NULL",
        "CREATE TABLE kid (its_own text) INHERITS (zoo_cage)",
        "INSERT INTO kid (id, code, name, its_own) VALUES (100, gen_random_uuid(), 'a', 'x')",
        f"UPDATE kid SET {column} = NULL",
    ):
        execute(connections[empty_database], each)
    write_migrations(CAGE, pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    (finding,) = [each for each in answer.report["findings"] if each["id"] == id]
    assert not any(DELETE in step["text"] for step in finding["steps"]), finding
