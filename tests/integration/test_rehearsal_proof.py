"""What a failure on the copy proves: not a time-out, but what no row can cause, on every copy."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import owner_of_zoo, prepared, reasons, rehearse

pytestmark = pytest.mark.major

SLOW_THERE = (
    "DO $$ BEGIN SET LOCAL statement_timeout = '200ms'; END $$",
    "DO $$ BEGIN PERFORM pg_sleep(CASE WHEN current_database() LIKE 'opsmigrate%' THEN 9"
    " ELSE 0 END); END $$",
)


def test_a_time_out_on_the_copy_is_no_certain_no(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """It is slower there here, as it is on a machine that has much else to do."""
    pending = "".join(f"migrations.RunSQL({each!r})," for each in SLOW_THERE)
    alias = prepared(empty_database, write_migrations, pending)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (3, []), answer.stdout
    assert any("57014" in why for why in reasons(answer))
    assert migrate(alias, "zoo") is None


READ = """migrations.RunPython(lambda apps, editor: [
    cage.size for cage in apps.get_model("zoo", "Cage").objects.using(editor.connection.alias)
]),"""
HIDDEN = (
    "ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE zoo_cage FORCE ROW LEVEL SECURITY",
    "CREATE POLICY large ON zoo_cage USING (size > 5)",
)


@pytest.mark.parametrize(("before", "code"), [("", 1), (READ, 3)], ids=["alone", "after-code"])
def test_a_failure_that_no_row_can_cause_is_a_no_on_a_copy_without_the_rows(
    before: str,
    code: int,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    retype = 'migrations.RunSQL("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text"),'
    alias = prepared(empty_database, write_migrations, before + retype, *HIDDEN)
    with owner_of_zoo(alias, role("CREATEDB")) as asking:
        answer = rehearse(ops, asking)
        failure = migrate(asking, "zoo")

    assert "used in a policy definition" in str(failure)
    assert answer.code == code, answer.stdout


AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
DIVIDES = """migrations.RunPython(lambda apps, editor: [
    1 // 0 for _ in apps.get_model("zoo", "Cage").objects.using(editor.connection.alias)
]),"""


@pytest.mark.parametrize(
    ("first", "migration", "ids"),
    [
        (DIVIDES, "zoo.0002_step", ["column-exists", "rehearsal-failed"]),
        (READ, "zoo.0003_step", ["column-exists"]),
    ],
    ids=["code-fails", "code-passes"],
)
def test_what_fails_before_an_error_that_is_known_is_named_first(
    first: str,
    migration: str,
    ids: list[str],
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    age = "ALTER TABLE zoo_cage ADD age int"
    alias = prepared(empty_database, write_migrations, first, age)
    write_migrations(CAGE, first, AGE)

    answer = rehearse(ops, alias)

    assert (answer.code, [each for each in answer.ids if each in ids]) == (1, ids), answer.stdout
    assert answer.report["facts"]["summary"].startswith(f"migrate would fail at {migration}")
    assert reasons(answer) == []
    error = migrate(alias, "zoo")
    assert ("division" in str(error)) == (first == DIVIDES), error
