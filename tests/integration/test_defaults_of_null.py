"""A default may be NULL, as Django writes it or an expression computes it; a row is in the way."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

NULLIF = 'models.functions.NullIf(models.Value("a"), models.Value("a"))'


def added(field: str) -> str:
    return f'migrations.AddField("cage", "h", models.{field}),'


def altered(before: str, after: str) -> str:
    return f'{added(before)} migrations.AlterField("cage", "h", models.{after}),'


FAILING = {
    "NULL in the database": added("TextField(db_default=None)"),
    "a Value of NULL": added("IntegerField(db_default=models.Value(None))"),
    "an expression": added(f"TextField(db_default={NULLIF})"),
    "None": added("TextField(default=None)"),
    "None, filled in": altered("TextField(null=True)", "TextField(default=None)"),
    "NULL, filled in": altered("TextField(null=True)", "TextField(db_default=None)"),
    "JSON's null, which is a value": added("JSONField(null=True, unique=True, db_default=None)"),
    "by hand": (
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD h integer NOT NULL'
        ' DEFAULT NULL::integer + 1"),'
    ),
}
APPLYING = {
    "a column that may be NULL": added("TextField(null=True, db_default=None)"),
    "None where there is no NULL": altered(
        'TextField(null=True, default="a")', "TextField(default=None)"
    ),
    "unique": added("TextField(null=True, unique=True, db_default=None)"),
    "with a check": added("PositiveIntegerField(null=True, db_default=None)"),
    "a key": added('ForeignKey("zoo.cage", models.CASCADE, null=True, db_default=None)'),
    "JSON's null": added("JSONField(db_default=models.Value(None, models.JSONField()))"),
    "the time": altered(
        "DateTimeField(null=True)", "DateTimeField(db_default=models.functions.Now())"
    ),
    "chance": altered("FloatField(null=True)", "FloatField(db_default=models.functions.Random())"),
    "the time, by hand": (
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD h timestamptz NOT NULL'
        " DEFAULT now() + interval '1 day'\"),"
    ),
    "a UUID by hand": (
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD h uuid NOT NULL DEFAULT gen_random_uuid()"),'
    ),
}


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_null_is_no_value_for_the_rows(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    other = "INSERT INTO zoo_cage (name, code, size) VALUES ('other', gen_random_uuid(), 4)"
    alias = prepared(FAILING[about], other)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code in (1, 3), migrate(alias, "zoo") is None) == (True, False)
    assert answer.code == 1 or about == "by hand"


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_a_value_or_a_column_that_needs_none_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    other = "INSERT INTO zoo_cage (name, code, size) VALUES ('other', gen_random_uuid(), 4)"
    alias = prepared(APPLYING[about], other)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None
