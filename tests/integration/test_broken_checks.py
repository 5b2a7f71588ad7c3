"""A check that stands as valid and that rows contradict, as a function that changed leaves it."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import SCRATCH, owner_of_zoo, prepared, reasons, rehearse
from tests.remedies import Typist, contents, kept_nowhere, unannounced

pytestmark = pytest.mark.major

FUNCTION = "CREATE OR REPLACE FUNCTION fits(size bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS"
BROKEN = (
    f"{FUNCTION} 'SELECT true'",
    "ALTER TABLE zoo_cage ADD CONSTRAINT fitting CHECK (fits(size))",
    f"{FUNCTION} 'SELECT size > 1000'",
)
RETYPE = 'migrations.AlterField("Cage", "size", models.BigIntegerField()),'
BY_HAND = 'migrations.RunSQL("ALTER TABLE zoo_cage ALTER COLUMN size TYPE bigint"),'
OTHER = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD of uuid DEFAULT gen_random_uuid()"),'
PARTITIONED = (
    "CREATE TABLE yard (id int, size int) PARTITION BY LIST (id)",
    "CREATE TABLE yard_1 PARTITION OF yard FOR VALUES IN (1)",
    "ALTER TABLE yard ADD CONSTRAINT roomy CHECK (fits(size))",
    "CREATE TABLE fence (long int, CONSTRAINT a CHECK (long > 0) NO INHERIT, CHECK (long < 99))",
    "CREATE TABLE fence_of_yard (CONSTRAINT b CHECK (long > 1),"
    " CONSTRAINT fence_long_check CHECK (long < 99)) INHERITS (fence)",
    "INSERT INTO yard VALUES (1, 5)",
    "INSERT INTO fence_of_yard VALUES (2)",
)
CHECKS = """
SELECT string_agg(concat_ws(' ', relname, conname, pg_get_constraintdef(k.oid),
                            coninhcount, conislocal, convalidated), '; ' ORDER BY relname, conname)
FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
WHERE contype = 'c' AND connamespace = 'public'::regnamespace
"""


@pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "owner"])
@pytest.mark.parametrize(
    ("pending", "verdict"),
    [(OTHER, "passed"), (BY_HAND, "failed")],
    ids=["rewritten", "checked-again"],
)
def test_a_check_that_rows_contradict_is_copied_and_said(
    pending: str,
    verdict: str,
    superuser: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    alias = prepared(empty_database, write_migrations, pending, *BROKEN)
    user = {"USER": connections[alias].settings_dict["USER"]}
    if not superuser:
        user = role("CREATEDB")

    with owner_of_zoo(alias, user) as asking:
        answer = rehearse(ops, asking)
        failure = migrate(asking, "zoo")

    if verdict == "failed" and not superuser:
        verdict = "undecided"
    assert answer.report["verdict"] == verdict, answer.stdout
    assert (failure is None) == (pending != BY_HAND), failure
    finding = next(item for item in answer.report["findings"] if item["id"] == "broken-check")
    assert (finding["severity"], finding["table"]) == ("warning", "public.zoo_cage")
    assert finding["message"] == (
        "the check fitting of public.zoo_cage is marked as valid, but 1 row of public.zoo_cage "
        "does not satisfy CHECK (fits((size)::bigint))"
    )
    before = contents(empty_database)
    assert unannounced(finding, typist.type(empty_database, finding)) == []
    assert kept_nowhere(before, contents(empty_database)) == []
    assert query(empty_database, SCRATCH) == []


def test_a_new_type_has_postgresql_check_the_rows_again(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, RETYPE, *BROKEN)

    answer = rehearse(ops, alias, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["check-violated"]), answer.stdout
    assert 'check constraint "fitting"' in str(migrate(alias, "zoo"))


def test_a_check_that_the_rows_satisfy_stands_in_no_ones_way(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, RETYPE, *BROKEN[:2])

    answer = rehearse(ops, alias, rehearse="off")

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    assert migrate(alias, "zoo") is None


def test_the_checks_of_partitions_and_children_come_along(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """They stand on the copy as they do here, asked by the migration itself."""
    said = f"DO $$ BEGIN RAISE '%', ({CHECKS}); END $$"
    asked = f"migrations.RunSQL({said!r}),"
    alias = prepared(empty_database, write_migrations, asked, *BROKEN, *PARTITIONED[:-2])
    execute(connections[alias], f"{FUNCTION} 'SELECT true'")
    for statement in PARTITIONED[-2:]:
        execute(connections[alias], statement)
    execute(connections[alias], BROKEN[2])

    answer = rehearse(ops, alias)

    failure = next(item for item in answer.report["findings"] if item["id"] == "rehearsal-failed")
    expected = query(alias, CHECKS)[0][0]
    assert expected.count(";") == 6
    assert expected in failure["message"], answer.stdout
