"""What SQL and code that people wrote change for the old release, as the migrated copy shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration import test_old_release
from tests.integration.pairs import CAGE, ROW
from tests.integration.test_old_release import about_old_release, each_its_own

zoo = test_old_release.zoo

# A statement that may reject what the old release writes or reads, the kind that it must be told
# as, and one that does not.
STATEMENTS = (
    (
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL",
        "became_not_null",
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL; "
        "ALTER TABLE zoo_cage ALTER size DROP NOT NULL",
    ),
    (
        "ALTER TABLE zoo_cage ALTER name TYPE varchar(10)",
        "narrowed",
        "ALTER TABLE zoo_cage ALTER name TYPE varchar(30)",
    ),
    (
        "ALTER TABLE zoo_cage ALTER size TYPE text",
        "other_type",
        "ALTER TABLE zoo_cage ALTER size TYPE bigint",
    ),
    (
        "CREATE UNIQUE INDEX one_cage ON zoo_cage (name)",
        "unique",
        "CREATE UNIQUE INDEX one_cage ON zoo_cage (name, code)",
    ),
    (
        "ALTER TABLE zoo_cage ADD CONSTRAINT some_cage CHECK (size > 0) NOT VALID",
        "check",
        "ALTER TABLE zoo_cage ADD COLUMN depth integer CHECK (depth > 0)",
    ),
    (
        "CREATE TABLE cage_of (id int PRIMARY KEY); "
        "ALTER TABLE zoo_cage ADD FOREIGN KEY (size) REFERENCES cage_of NOT VALID",
        "foreign_key",
        "CREATE TABLE cage_of (id int PRIMARY KEY); ALTER TABLE zoo_cage ADD COLUMN of_it int "
        "REFERENCES cage_of",
    ),
)
BY_HAND = "migrations.RunSQL({!r}),"
BY_CODE = "migrations.RunPython(lambda apps, editor: editor.execute({!r})),"


@pytest.mark.parametrize("written", [BY_HAND, BY_CODE])
def test_a_rehearsal_tells_what_values_decide_though_its_own_statements_passed(
    written: str, zoo: Callable[..., str], ops: Ops
) -> None:
    numbered = list(enumerate(STATEMENTS))
    good = len(STATEMENTS)
    models = [each_its_own(CAGE, number) for number in range(2 * good)]
    rows = [each_its_own(ROW, number) for number in range(2 * good)]
    bad = [each_its_own(written.format(sql), number) for number, (sql, *_) in numbered]
    fine = [each_its_own(written.format(sql), good + n) for n, (*_, sql) in numbered]
    alias = zoo("".join(models), "".join(bad + fine), *rows)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="warn")

    found = {
        each["evidence"]["model"]: [change["kind"] for change in each["evidence"]["changes"]]
        for each in about_old_release(answer)
    }
    assert found == {f"zoo.Cage{number}": [kind] for number, (_, kind, _) in numbered}
    assert {each["severity"] for each in about_old_release(answer)} == {"warning"}
    assert answer.report["verdict"] == "passed"


def test_what_sql_by_hand_takes_back_is_not_told_after_a_rehearsal(
    zoo: Callable[..., str], ops: Ops
) -> None:
    strict = 'migrations.AlterField("cage", "size", models.IntegerField(default=0)),'
    alias = zoo(CAGE, strict + BY_HAND.format("ALTER TABLE zoo_cage ALTER size DROP NOT NULL"))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="error")

    assert (about_old_release(answer), answer.code) == ([], 0)


def test_a_foreign_key_to_a_table_that_is_renamed_behind_a_view_is_as_it_was(
    zoo: Callable[..., str], ops: Ops
) -> None:
    nest = """migrations.CreateModel("Nest", [("id", models.BigAutoField(primary_key=True)),
        ("cage", models.ForeignKey("zoo.Cage", models.CASCADE))]),"""
    renamed = BY_HAND.format(
        "ALTER TABLE zoo_cage RENAME TO pens; CREATE VIEW zoo_cage AS SELECT * FROM pens"
    )
    alias = zoo(CAGE + nest, renamed, ROW, "INSERT INTO zoo_nest (cage_id) SELECT id FROM zoo_cage")

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="warn")

    assert about_old_release(answer) == []


# Written by a plan, and of a table that says so before.
RAISES = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$; "
    "CREATE TRIGGER no BEFORE {} ON zoo_cage FOR EACH ROW EXECUTE FUNCTION no()"
)
VIEW = "ALTER TABLE zoo_cage RENAME TO pens; CREATE VIEW zoo_cage AS SELECT {} FROM pens"
NOTHING = "CREATE RULE no AS ON INSERT TO zoo_cage DO INSTEAD NOTHING"


@pytest.mark.parametrize(
    ("written", "sqlstate"),
    [
        (RAISES.format("INSERT"), "P0001"),
        (RAISES.format("UPDATE"), "P0001"),
        (RAISES.format("DELETE"), "P0001"),
        (VIEW.format("DISTINCT id, code, name, size"), "55000"),
        (VIEW.format("id, code, name, size + 0 AS size"), "0A000"),
        (NOTHING, "0A000"),
        (VIEW.format("*"), None),
        (RAISES.format("TRUNCATE").replace("ROW", "STATEMENT"), None),
    ],
)
def test_what_a_table_newly_does_by_itself_is_tried(
    written: str, sqlstate: str | None, zoo: Callable[..., str], ops: Ops
) -> None:
    alias = zoo(CAGE, BY_HAND.format(written), ROW)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="warn")

    tried = [each["evidence"]["on_the_copy"] for each in about_old_release(answer)]
    assert {each["sqlstate"] for them in tried for each in them} == ({sqlstate} - {None})


def test_what_a_table_did_by_itself_before_the_plan_is_not_of_the_plan(
    zoo: Callable[..., str], ops: Ops
) -> None:
    added = 'migrations.AddField("cage", "depth", models.IntegerField(null=True)),'
    alias = zoo(CAGE, added, ROW, RAISES.format("INSERT OR UPDATE OR DELETE"))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="warn")

    assert about_old_release(answer) == []
