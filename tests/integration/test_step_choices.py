"""Which way the steps go: recorded is only what is there as a whole, and nothing is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist, alternatives

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
WEIGHT = 'migrations.AddField("cage", "weight", models.IntegerField(null=True)),'
TAG = """
migrations.CreateModel("Tag", [
    ("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=50)),
]),
"""
FILLS = 'migrations.RunPython(lambda apps, editor: print("filled")),'
RECORDS = "SELECT name FROM django_migrations WHERE app = 'zoo' ORDER BY name"
AGED = ("ALTER TABLE zoo_cage ADD COLUMN age integer", "UPDATE zoo_cage SET age = 40")

Prepare = Callable[..., None]


@pytest.fixture
def cages(empty_database: str, write_migrations: Write) -> Prepare:
    """Return a function that applies the first migrations, changes the database, writes the rest.

    `applied` is how many of the pending ones are applied before.
    """

    def prepare(*pending: str, drift: tuple[str, ...] = (), applied: int = 0) -> None:
        write_migrations(CAGE, *pending[:applied])
        assert migrate(empty_database, "zoo") is None
        execute(connections[empty_database], ROW)
        for each in drift:
            execute(connections[empty_database], each)
        write_migrations(CAGE, *pending)

    return prepare


def first_error(ops: Ops, alias: str) -> dict[str, Any]:
    """Return the first error of a preflight that says no."""
    answer = ops("preflight_migrate", "zoo", database=alias)
    assert answer.code == 1, answer.stdout
    errors = [each for each in answer.report["findings"] if each["severity"] == "error"]
    return dict(errors[0])


def texts(finding: dict[str, Any], alternative: int = 1) -> list[str]:
    """Return what one way says to type."""
    return [each["text"] for each in finding["steps"] if each["alternative"] == alternative]


def test_a_migration_that_begins_with_what_is_there_gets_its_rest_and_no_other_is_recorded(
    empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    cages(f"{AGE}\n{WEIGHT}", TAG, drift=AGED)

    finding = first_error(ops, empty_database)

    assert texts(finding) == [
        'ALTER TABLE "zoo_cage" ADD COLUMN "weight" integer NULL;',
        f"python manage.py migrate --database {empty_database} --fake zoo 0002_step",
    ]
    assert typist.type(empty_database, finding) == []
    assert query(empty_database, RECORDS) == [("0001_step",), ("0002_step",)]
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    assert migrate(empty_database, "zoo") is None
    assert query(empty_database, "SELECT age, weight FROM zoo_cage") == [(40, None)]
    assert query(empty_database, "SELECT FROM zoo_tag") == []


def test_before_a_later_migration_is_recorded_those_before_it_are_applied(
    empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    cages(TAG, AGE, drift=AGED)

    finding = first_error(ops, empty_database)

    assert texts(finding) == [
        f"python manage.py migrate --database {empty_database} zoo 0002_step",
        f"python manage.py migrate --database {empty_database} --fake zoo 0003_step",
    ]
    assert typist.type(empty_database, finding) == []
    assert query(empty_database, "SELECT FROM zoo_tag") == []
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0


NOT_THE_SAME = {
    "of another type": (AGE, ("ALTER TABLE zoo_cage ADD COLUMN age varchar(9) DEFAULT 'old'",)),
    "in the middle": (f"{WEIGHT}\n{AGE}", AGED),
    "with code that has not run": (f"{AGE}\n{FILLS}", AGED),
    "NOT NULL": (AGE, (*AGED, "ALTER TABLE zoo_cage ALTER COLUMN age SET NOT NULL")),
    "named by a view": (AGE, (*AGED[:1], "CREATE VIEW old AS SELECT age FROM zoo_cage")),
}


@pytest.mark.parametrize("name", NOT_THE_SAME)
def test_a_column_that_is_not_all_of_its_migration_gets_another_name_and_keeps_its_values(
    name: str, empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    pending, drift = NOT_THE_SAME[name]
    cages(pending, drift=drift)

    finding = first_error(ops, empty_database)

    last = max(alternatives(finding))
    assert texts(finding, last)[0] == (
        'ALTER TABLE "public"."zoo_cage" RENAME COLUMN "age" TO "age_before";'
    )
    assert (last == 1) == (name != "named by a view")
    assert typist.type(empty_database, finding, alternative=last) == []
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROW)


TABLES = {
    # Django's own identity is not there: recorded, the application could not insert.
    "without an identity": "CREATE TABLE zoo_tag "
    "(id bigint PRIMARY KEY, name varchar(50) NOT NULL)",
    "with another column": "CREATE TABLE zoo_tag (id bigint PRIMARY KEY, title text)",
    "a view": "CREATE VIEW zoo_tag AS SELECT 1 AS id, 'a' AS name",
    "a sequence": "CREATE SEQUENCE zoo_tag",
}


@pytest.mark.parametrize("name", TABLES)
def test_what_only_has_the_name_of_a_table_gets_another_one(
    name: str, empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    taken = "CREATE TABLE zoo_tag_before (id int)"
    cages(TAG, drift=(TABLES[name], taken))

    finding = first_error(ops, empty_database)

    assert (finding["id"], alternatives(finding)) == ("table-exists", [1])
    assert 'RENAME TO "zoo_tag_before_2"' in texts(finding)[0]
    assert typist.type(empty_database, finding) == []
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize(("pending", "recorded"), [(TAG, True), (TAG + FILLS, False)])
def test_a_table_that_is_there_as_a_whole_is_recorded_unless_code_belongs_to_it(
    pending: str,
    recorded: bool,
    empty_database: str,
    cages: Prepare,
    ops: Ops,
    typist: Typist,
) -> None:
    lost = "DELETE FROM django_migrations WHERE name = '0002_step'"
    cages(pending, applied=1, drift=("INSERT INTO zoo_tag (name) VALUES ('a')", lost))

    finding = first_error(ops, empty_database)

    assert ("--fake zoo 0002_step" in texts(finding)[0]) == recorded
    assert typist.type(empty_database, finding) == []
    assert migrate(empty_database, "zoo") is None


HISTORIES = {
    "a record was lost": ("DELETE FROM django_migrations WHERE name = '0002_step'",),
    "a record is too many": (
        "DELETE FROM django_migrations WHERE name = '0002_step'",
        "ALTER TABLE zoo_cage DROP COLUMN age",
        "DROP TABLE zoo_tag",
    ),
    "what it made is gone": (
        "DELETE FROM django_migrations WHERE name = '0002_step'",
        "ALTER TABLE zoo_cage DROP COLUMN age",
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_that_contradicts_itself_is_mended_by_what_is_there(
    name: str, empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    cages(AGE, TAG, applied=2, drift=HISTORIES[name])

    finding = first_error(ops, empty_database)

    assert finding["id"] == "inconsistent-history"
    if name == "what it made is gone":
        assert finding["steps"] == []
        assert "create it by hand" in finding["hint"]
        return
    gone = typist.type(empty_database, finding)
    assert bool(gone) == (name == "a record is too many")
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    assert migrate(empty_database, "zoo") is None
    assert query(empty_database, RECORDS) == [(f"000{number}_step",) for number in (1, 2, 3)]
    assert query(empty_database, "SELECT age FROM zoo_cage") == [(None,)]


GUARDED = """
migrations.AddConstraint("cage", models.CheckConstraint(
    condition=models.Q(size__gte=0), name="cage_size"
)),
"""
ORDERED = 'migrations.AlterModelOptions("cage", {"ordering": ["id"]}),'
LOST = "DELETE FROM django_migrations WHERE name = '0002_step'"
TOO_MANY = "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0003_step', now())"
WITHOUT_TRACES = {
    "a record was lost": ((GUARDED, AGE), 2, LOST, ["INSERT"]),
    "a record is too many": ((GUARDED, ORDERED), 0, TOO_MANY, ["DELETE"]),
    "nobody knows": ((ORDERED, ORDERED), 2, LOST, ["INSERT", "DELETE"]),
}


@pytest.mark.parametrize("name", WITHOUT_TRACES)
def test_a_history_without_traces_is_mended_as_the_database_looks_or_a_person_decides(
    name: str, empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    pending, applied, drift, said = WITHOUT_TRACES[name]
    cages(*pending, applied=applied, drift=(drift,))

    finding = first_error(ops, empty_database)

    assert [step["text"].split()[0] for step in finding["steps"]] == said
    assert finding["hint"].startswith("decide, as ") == (len(said) > 1)
    assert alternatives(finding) == list(range(1, len(said) + 1))
    typist.type(empty_database, finding, alternative=len(said))
    after = ops("preflight_migrate", "zoo", database=empty_database)
    assert (after.code, after.ids) == (0, [])
    assert migrate(empty_database, "zoo") is None
    assert query(empty_database, RECORDS) == [(f"000{number}_step",) for number in (1, 2, 3)]


def test_what_half_exists_and_code_that_needs_it_is_not_told_to_run_again(
    empty_database: str, cages: Prepare, ops: Ops
) -> None:
    """Without the records of both, migrate would run the code a second time."""
    there_in_part = AGE + TAG
    cages(there_in_part, FILLS, applied=2, drift=(LOST, "ALTER TABLE zoo_cage DROP COLUMN age"))

    finding = first_error(ops, empty_database)

    assert (finding["id"], finding["steps"]) == ("inconsistent-history", [])
    assert "create it by hand" in finding["hint"]


def test_of_two_that_need_a_renamed_column_neither_says_to_add_it(
    empty_database: str, cages: Prepare, ops: Ops
) -> None:
    """The second said: add the column. Then there were two, the new one without values."""
    again = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="cage_again")),'
    wider = 'migrations.AlterField("cage", "size", models.BigIntegerField()),'
    cages(again, wider, drift=("ALTER TABLE zoo_cage RENAME COLUMN size TO area",))

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    first, second = (each for each in answer.report["findings"] if each["severity"] == "error")
    assert [first["id"], second["id"]] == ["missing-column"] * 2
    assert texts(first) == ['ALTER TABLE "public"."zoo_cage" RENAME COLUMN "area" TO "size";']
    assert (second["hint"], second["steps"]) == (first["hint"], first["steps"])


def test_a_table_that_was_renamed_by_hand_is_named_back(
    empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    cages(AGE, drift=("ALTER TABLE zoo_cage RENAME TO pens",))

    finding = first_error(ops, empty_database)

    assert texts(finding) == ['ALTER TABLE "public"."pens" RENAME TO "zoo_cage";']
    assert typist.type(empty_database, finding) == []
    assert migrate(empty_database, "zoo") is None


INDEXED = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="cage_old")),'
RENAMED = 'migrations.RenameIndex("cage", new_name="cage_new", old_name="cage_old"),'


@pytest.mark.parametrize("there", [True, False], ids=["under another name", "not at all"])
def test_an_index_gets_the_name_that_the_model_has(
    there: bool, empty_database: str, cages: Prepare, ops: Ops, typist: Typist
) -> None:
    change = "ALTER INDEX cage_old RENAME TO mine" if there else "DROP INDEX cage_old"
    cages(INDEXED, RENAMED, applied=1, drift=(change,))

    finding = first_error(ops, empty_database)

    assert texts(finding) == (
        ['ALTER INDEX "public"."mine" RENAME TO "cage_old";']
        if there
        else ['CREATE INDEX "cage_old" ON "zoo_cage" ("size");']
    )
    assert typist.type(empty_database, finding) == []
    assert migrate(empty_database, "zoo") is None


def test_sql_is_cut_between_words_and_what_is_not_understood_is_not_called_harmless(
    empty_database: str, cages: Prepare, ops: Ops
) -> None:
    keys = "lower(name), " + "size, " * 9 + "id"
    # What a block composes is not understood.
    index = f"DO $$ BEGIN EXECUTE 'CREATE INDEX customer_email_lower ON zoo_cage ({keys})'; END $$"
    cages(f'{WEIGHT}\nmigrations.RunSQL("{index}"),')
    execute(connections[empty_database], ROW)

    [item] = ops("preflight_migrate", "zoo", database=empty_database).report["undecided"]
    text = ops("preflight_migrate", "zoo", database=empty_database, format="text").stdout

    shown = item["why"].partition(": ")[2]
    assert shown.endswith(" …")
    assert index.startswith(shown.removesuffix("…"))
    assert "Forecast: the part of the plan that was understood blocks no session for long" in text


def test_a_view_comes_back_with_the_rights_that_were_given(
    empty_database: str,
    cages: Prepare,
    ops: Ops,
    typist: Typist,
    role: Callable[..., dict[str, str]],
) -> None:
    longer = 'migrations.AlterField("cage", "name", models.CharField(max_length=40)),'
    user = role()["USER"]
    view = (
        "CREATE VIEW names AS SELECT id, name FROM zoo_cage",
        f'GRANT SELECT, INSERT ON names TO "{user}"',
        f'GRANT UPDATE (name) ON names TO "{user}" WITH GRANT OPTION',
        "GRANT SELECT (id) ON names TO PUBLIC",
    )
    cages(longer, drift=view)
    given = """
        SELECT c.relacl::text, array_agg(a.attacl::text ORDER BY a.attnum) FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relname = 'names' GROUP BY 1
    """
    before = query(empty_database, given)

    finding = first_error(ops, empty_database)

    assert finding["id"] == "view-in-the-way"
    assert typist.type(empty_database, finding) == []
    assert query(empty_database, given) == before


def test_who_owned_a_table_that_is_given_away_keeps_its_use(
    empty_database: str,
    cages: Prepare,
    ops: Ops,
    typist: Typist,
    role: Callable[..., dict[str, str]],
) -> None:
    cages(AGE)
    former, user = role()["USER"], role()
    for each in (
        f'ALTER TABLE zoo_cage OWNER TO "{former}"',
        f'GRANT ALL ON django_migrations TO "{user["USER"]}"',
        f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{user["USER"]}"',
    ):
        execute(connections[empty_database], each)
    uses = f"SELECT has_table_privilege('{former}', 'zoo_cage', 'INSERT, SELECT, UPDATE')"
    connections[empty_database].close()
    connections[empty_database].settings_dict.update(user)

    finding = first_error(ops, empty_database)

    assert finding["id"] == "missing-privilege"
    assert f'TO "{former}";' in texts(finding)[1]
    assert typist.type(empty_database, finding) == []
    assert query(empty_database, uses) == [(True,)]
    assert migrate(empty_database, "zoo") is None
