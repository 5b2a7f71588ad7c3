"""What the release that runs while `migrate` does can no longer read or write after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Answer, Ops, execute
from tests.integration.old_release_kinds import (
    KINDS,
    OLD_RELEASE_IDS,
    READS,
    WITH_MIGRATIONS,
    WRITES,
)
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate


def about_old_release(answer: Answer) -> list[dict[str, Any]]:
    """Return what is found about the old release."""
    return [each for each in answer.report["findings"] if each["id"] in OLD_RELEASE_IDS]


def each_its_own(text: str, number: int) -> str:
    """Return operations or SQL about a model that no other kind has."""
    return text.replace("Cage", f"Cage{number}").replace("cage", f"cage{number}")


@pytest.fixture
def zoo(new_database: Callable[..., str], write_migrations: Write) -> Callable[..., str]:
    """Return a function that makes a database with the first migration, and its alias."""

    def make(first: str, pending: str, *setup: str) -> str:
        alias = new_database("old ")
        write_migrations(first)
        assert migrate(alias, "zoo") is None
        for statement in setup:
            execute(connections[alias], statement)
        write_migrations(first, pending)
        return alias

    return make


def every_kind(zoo: Callable[..., str], *, good: bool) -> str:
    """Return a database where all kinds are pending, each with a model of its own."""
    numbered = list(enumerate(KINDS))
    return zoo(
        "".join(each_its_own(kind.first, number) for number, kind in numbered),
        "".join(each_its_own(kind.good if good else kind.bad, number) for number, kind in numbered),
        *(each_its_own(each, number) for number, kind in numbered for each in kind.setup),
    )


@pytest.mark.parametrize("how", ["off", "clone"])
def test_what_the_old_release_does_not_survive_is_told(
    how: str, zoo: Callable[..., str], ops: Ops
) -> None:
    alias = every_kind(zoo, good=False)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse=how, old_release="warn")

    found = {each["evidence"]["model"].lower(): each for each in about_old_release(answer)}
    assert len(found) == len(about_old_release(answer)) == len(KINDS), answer.stdout
    for number, kind in enumerate(KINDS):
        model = "cagenest" if "CageNest" in kind.first else "cage"
        finding = found[each_its_own(f"zoo.{model}", number)]
        assert (finding["id"], finding["severity"]) == (kind.id, kind.severity), kind.name
        assert [each["kind"] for each in finding["evidence"]["changes"]] == [kind.found]
        assert "restore_db" in finding["hint"]
        on_the_copy = finding["evidence"]["on_the_copy"]
        met = {each["sqlstate"] for each in on_the_copy}
        assert met == ({kind.fails} if kind.fails and how == "clone" else set()), kind.name
        assert all(
            each["words"] in finding["message"] for each in finding["evidence"]["on_the_copy"]
        )
    assert answer.report["verdict"] == "passed"


@pytest.mark.parametrize("how", ["off", "clone"])
def test_what_comes_to_the_same_and_leaves_the_old_release_alone_is_not_told(
    how: str, zoo: Callable[..., str], ops: Ops
) -> None:
    alias = every_kind(zoo, good=True)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse=how, old_release="warn")

    assert about_old_release(answer) == []
    assert answer.report["verdict"] == "passed"


@pytest.mark.parametrize("how", ["off", "clone"])
def test_plans_that_only_add_are_silent(
    how: str, new_database: Callable[..., str], ops: Ops
) -> None:
    alias = new_database("old ")
    for app in ("contenttypes", "auth", "admin", "treasury"):
        assert migrate(alias, app, "0001") is None

    answer = ops("preflight_migrate", database=alias, rehearse=how, old_release="warn")

    # The one thing that is dropped between the first and the last migrations of these apps.
    (finding,) = about_old_release(answer)
    assert finding["id"] == READS
    assert finding["migration"] == "contenttypes.0002_remove_content_type_name"
    assert (finding["table"], finding["column"]) == ("public.django_content_type", "name")
    assert answer.code == 0
    facts = answer.report["facts"]["old_release"]
    assert facts["reads"] == ["contenttypes.ContentType"]
    assert facts["writes"] == []
    assert facts["models_tried"] == (facts["models"] if how == "clone" else None)


PASTED = re.compile(
    r"^# instead of [^\n]+\n# migration 1 [^\n]+\noperations = \[\n(.+?)^\]", re.M | re.S
)


def test_the_migrations_of_the_hint_leave_the_old_release_alone(
    zoo: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    kinds = [kind for kind in KINDS if kind.name in WITH_MIGRATIONS]
    first = "".join(each_its_own(kind.first, number) for number, kind in enumerate(kinds))
    bad = "".join(each_its_own(kind.bad, number) for number, kind in enumerate(kinds))
    alias = zoo(first, bad)
    answer = ops("preflight_migrate", "zoo", database=alias, old_release="warn")
    pasted = [text for each in about_old_release(answer) for text in PASTED.findall(each["hint"])]
    assert len(pasted) == len(about_old_release(answer)) == len(kinds)

    write_migrations(first, "".join(pasted))

    again = ops("preflight_migrate", "zoo", database=alias, old_release="warn", rehearse="clone")
    assert about_old_release(again) == [], again.stdout
    assert again.report["verdict"] == "passed"
    assert migrate(alias, "zoo") is None


def test_no_migration_is_offered_that_would_repeat_what_fails(
    zoo: Callable[..., str], ops: Ops
) -> None:
    """Its default is too long, in the database as in Django."""
    alias = zoo(
        CAGE,
        """migrations.AddField("cage", "sign", models.CharField(max_length=3, default="abcd")),""",
    )
    answer = ops("preflight_migrate", "zoo", database=alias, old_release="warn", rehearse="off")
    assert "value-not-castable" in answer.ids
    [found] = about_old_release(answer)
    assert found["id"] == WRITES
    assert PASTED.findall(found["hint"]) == []


def test_as_an_error_it_makes_the_verdict_and_switched_off_it_is_not_looked_at(
    zoo: Callable[..., str], ops: Ops
) -> None:
    alias = zoo(CAGE, 'migrations.RemoveField("cage", "size"),')

    error = ops("preflight_migrate", "zoo", database=alias, old_release="error")
    off = ops("preflight_migrate", "zoo", database=alias, old_release="off")
    text = ops(
        "preflight_migrate", "zoo", database=alias, old_release="error", format="text"
    ).stdout

    assert (error.code, error.report["verdict"]) == (1, "failed")
    assert [each["severity"] for each in about_old_release(error)] == ["error"]
    assert text.startswith("FAILED: migrate would break the old release: the release that runs now")
    assert "state_operations" in text
    assert (off.code, about_old_release(off), off.report["facts"]["old_release"]) == (0, [], None)


# The view stands for the table under its old name, and takes what is written to it.
A_VIEW_INSTEAD = """
migrations.RenameModel("Cage", "Pen"),
migrations.RunSQL("CREATE VIEW zoo_cage AS SELECT * FROM zoo_pen", "DROP VIEW zoo_cage"),
"""


def test_where_sql_by_hand_may_have_seen_to_it_only_the_copy_says(
    zoo: Callable[..., str], ops: Ops
) -> None:
    alias = zoo(CAGE, A_VIEW_INSTEAD, ROW)

    def ask(**options: str) -> Answer:
        return ops("preflight_migrate", "zoo", database=alias, **{"old_release": "warn", **options})

    (finding,) = about_old_release(ask())
    assert finding["severity"] == "info"
    assert "but hand-written SQL of the plan names zoo_cage" in finding["message"]
    assert "zoo.Cage" in " ".join(
        each["why"] for each in ask(old_release="error").report["undecided"]
    )
    tried = ask(rehearse="clone", old_release="error")
    assert (about_old_release(tried), tried.code) == ([], 0), tried.stdout


# The table goes that a trigger of another one writes to; and a column comes without Django.
BY_HAND = """
migrations.DeleteModel("Nest"),
migrations.RunSQL("ALTER TABLE zoo_den ADD COLUMN depth integer NOT NULL DEFAULT 0"),
migrations.RunSQL("ALTER TABLE zoo_den ALTER COLUMN depth DROP DEFAULT"),
"""
WITH_A_TRIGGER = (
    ROW,
    "INSERT INTO zoo_den (secret) VALUES ('of the den')",
    "CREATE FUNCTION into_nest() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN INSERT INTO zoo_nest DEFAULT VALUES; RETURN NEW; END$$",
    "CREATE TRIGGER nested BEFORE INSERT ON zoo_cage FOR EACH ROW EXECUTE FUNCTION into_nest()",
    # Broken before the plan, and by nobody's fault in it.
    "ALTER TABLE zoo_lair ADD COLUMN odd integer NOT NULL",
)


def test_what_only_the_copy_can_tell_is_told_without_the_row_and_nothing_that_was_so_before(
    zoo: Callable[..., str], ops: Ops
) -> None:
    first = CAGE + "".join(
        f'migrations.CreateModel("{name}", [("id", models.BigAutoField(primary_key=True)), '
        '("secret", models.CharField(max_length=20, null=True))]),'
        for name in ("Nest", "Den", "Lair")
    )
    alias = zoo(first, BY_HAND, *WITH_A_TRIGGER)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="clone", old_release="warn")

    found = {(each["evidence"]["model"], each["id"]): each for each in about_old_release(answer)}
    assert set(found) == {
        ("zoo.Nest", READS),
        ("zoo.Cage", WRITES),
        ("zoo.Den", WRITES),
    }, answer.stdout
    assert '"zoo_nest" does not exist (42P01)' in found["zoo.Cage", WRITES]["message"]
    assert 'null value in column "depth"' in found["zoo.Den", WRITES]["message"]
    assert "of the den" not in answer.stdout
    # It was the old release that failed, and not migrate.
    assert answer.report["verdict"] == "passed"


UNMANAGED = """
migrations.CreateModel("Seen", [
    ("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField()),
], options={"managed": False, "db_table": "zoo_cage"}),
migrations.CreateModel("Other", [], options={"proxy": True}, bases=("zoo.cage",)),
"""


def test_a_model_that_django_does_not_manage_is_judged_by_what_it_reads(
    zoo: Callable[..., str], ops: Ops
) -> None:
    adds = 'migrations.AddField("cage", "depth", models.IntegerField(default=0)),'
    drops = 'migrations.RemoveField("cage", "size"),'
    alias = zoo(CAGE + UNMANAGED, adds + drops, ROW)

    for how in ("off", "clone"):
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse=how, old_release="warn")
        found = [(each["evidence"]["model"], each["id"]) for each in about_old_release(answer)]
        # What cannot be read is not written either: where that was seen, it is said once.
        writes = [("zoo.Cage", WRITES)]
        assert found == [("zoo.Cage", READS), *writes, ("zoo.Seen", READS)]


def test_a_plan_backwards_is_judged_by_the_release_that_runs_now(
    zoo: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    pending = 'migrations.AddField("cage", "depth", models.IntegerField(null=True)),'
    alias = zoo(CAGE, pending)
    assert migrate(alias, "zoo") is None

    answer = ops("preflight_migrate", "zoo", "0001", database=alias, old_release="warn")

    (finding,) = about_old_release(answer)
    assert (finding["id"], finding["column"]) == (READS, "depth")
    assert finding["migration"] == "zoo.0002_step"


# Each beside one in which no two NULLs meet.
ALIKE = """migrations.RemoveConstraint("cage", "sized"),
migrations.AddConstraint("cage", models.UniqueConstraint(fields=["size"], name="anew",
    nulls_distinct=False)),"""
WITH_A_NEW_ONE = """migrations.AddField("cage", "tag", models.IntegerField(null=True)),
migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name", "tag"], name="anew",
    nulls_distinct=False)),"""


@pytest.mark.parametrize("pending", [ALIKE, WITH_A_NEW_ONE])
def test_a_unique_constraint_for_which_nulls_are_alike_says_more(
    pending: str, zoo: Callable[..., str], ops: Ops
) -> None:
    first = CAGE + (
        'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["size"], name="sized")),'
    )
    distinct = pending.replace("nulls_distinct=False", "")
    for operations, found in ((pending, [WRITES]), (distinct, [])):
        alias = zoo(first, operations)
        if connections[alias].pg_version < 150_000:
            pytest.skip("all NULLs are distinct there")
        answer = ops("preflight_migrate", "zoo", database=alias, old_release="warn", rehearse="off")
        assert [each["id"] for each in about_old_release(answer)] == found, answer.stdout
