"""What SQL by hand computes is not taken for what was there, nor written otherwise than it is."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

CAGE = "ALTER TABLE zoo_cage "
SIZE = f"{CAGE}ALTER size TYPE integer USING "
CHECK = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="above")),'
)
# What was made before, the SQL, and operations of Django's behind it: there is a cage of size 3.
FAILING = {
    "a check": (f"{CAGE}ADD CHECK (size > 0)", f"{SIZE}size - 3", ""),
    "a check after it": ("", f"{SIZE}size - 3; {CAGE}ADD CHECK (size > 0)", ""),
    "NOT NULL": (f"{CAGE}ALTER size SET NOT NULL", f"{SIZE}nullif(size, 3)", ""),
    "NOT NULL after it": ("", f"{SIZE}nullif(size, 3); {CAGE}ALTER size SET NOT NULL", ""),
    "a check of Django's": ("", f"{SIZE}-size", CHECK),
    "an index that is made again": (
        "CREATE INDEX ON zoo_cage ((10 / (size - 2)))",
        f"{CAGE}ALTER size TYPE bigint USING size - 1",
        "",
    ),
    "JSON's null": (
        f"{CAGE}ADD j jsonb NOT NULL DEFAULT 'null'",
        f"{CAGE}ALTER j DROP DEFAULT, ALTER j TYPE integer USING j::integer",
        "",
    ),
    "a function that is another by then": (
        "CREATE FUNCTION g(integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
        "CREATE OR REPLACE FUNCTION g(integer) RETURNS integer LANGUAGE plpgsql"
        f" AS 'BEGIN RAISE EXCEPTION ''x''; END'; {CAGE}ALTER size TYPE bigint USING g(size)",
        "",
    ),
    "a sum beyond the type": ("", f"{CAGE}ADD h smallint DEFAULT 30000 + 5000", ""),
    "too many bits": ("", f"{CAGE}ADD h bit(2) DEFAULT B'101'", ""),
    "NULL that is cast": ("", f"{CAGE}ADD h varchar(10) NOT NULL DEFAULT NULL::text", ""),
    "a pattern": (
        f"{CAGE}ADD p text; UPDATE zoo_cage SET p = 'o\\'",
        f"{CAGE}ADD g boolean GENERATED ALWAYS AS (name LIKE p) STORED",
        "",
    ),
}
APPLYING = {
    "the least number": f"{CAGE}ADD h smallint DEFAULT -32768",
    "a quotient": f"{CAGE}ADD h smallint DEFAULT 7 / 70000",
}
NAME_IS_FREE = (
    'migrations.AlterField("cage", "name", models.CharField(max_length=20, null=True)), '
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="zoo_cage_name_not_null")),'
)


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_there_is_no_yes_to_what_fails(
    about: str,
    prepared: Callable[..., str],  # noqa: F811
    ops: Ops,
) -> None:
    before, sql, after = FAILING[about]
    alias = prepared(f"migrations.RunSQL({sql!r}), {after}", before)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code in (1, 3), answer.stdout
    assert "database-error" not in answer.ids
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_a_default_is_read_as_postgresql_reads_it(
    about: str,
    prepared: Callable[..., str],  # noqa: F811
    ops: Ops,
) -> None:
    alias = prepared(f"migrations.RunSQL({APPLYING[about]!r}),")

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    assert migrate(alias, "zoo") is None


def test_the_name_of_a_not_null_that_the_plan_drops_is_free(
    prepared: Callable[..., str],  # noqa: F811
    ops: Ops,
) -> None:
    alias = prepared(NAME_IS_FREE)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    assert migrate(alias, "zoo") is None
