"""What the default of a new column in the database has to satisfy: a check, a foreign key."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate


def added(field: str) -> str:
    return f'migrations.AddField("cage", "h", models.{field}),'


def key(default: str, more: str = "") -> str:
    return added(f'ForeignKey("zoo.cage", models.CASCADE, db_default={default}{more})')


MORE_THAN_THREE = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(h__gt=models.F("size")), name="h_is_more")),'
)
TO_CODE = ', to_field="code"'
THE_CODE = '"6F1C0A52-2f4e-4a3b-9a51-0c6f6a1f8e11"'
# The cage has the id 1, and the size 3.
FAILING = {
    "a check": added("PositiveIntegerField(db_default=-1)"),
    "a check, with NULL allowed": added("PositiveIntegerField(null=True, db_default=-1)"),
    "a check of what is computed": added(
        "PositiveSmallIntegerField(db_default=models.Value(2) - models.Value(3))"
    ),
    "a key": key("77"),
    "a key as a Value": key("models.Value(77)"),
    "a key, with NULL allowed": key("77", ", null=True"),
    "a key to a code": key('"123e4567-e89b-42d3-a456-426614174000"', TO_CODE),
    "a check that comes later": (
        added("IntegerField(db_default=models.Value(1) + models.Value(2))") + MORE_THAN_THREE
    ),
    "a unique constraint": added("IntegerField(unique=True, db_default=3)"),
}
APPLYING = {
    "a check": added("PositiveIntegerField(db_default=0)"),
    "a check of what is computed": added(
        "PositiveSmallIntegerField(db_default=models.functions.Abs(models.Value(-3)))"
    ),
    "a key": key("1"),
    "a key as a Value": key("models.Value(1)"),
    "a key to a code": key(THE_CODE, TO_CODE),
    "a key that is not checked": key("77", ", db_constraint=False"),
    "no key": key("None", ", null=True"),
    "a check that comes later": (
        added("IntegerField(db_default=models.Value(2) + models.Value(2))") + MORE_THAN_THREE
    ),
    "a UUID of each row": added("UUIDField(unique=True, db_default=RandomUUID())"),
}


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_a_default_that_breaks_it_is_reported(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    other = "INSERT INTO zoo_cage (name, code, size) VALUES ('other', gen_random_uuid(), 3)"
    alias = prepared(FAILING[about], other)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (1, [])
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_a_default_that_satisfies_it_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    other = "INSERT INTO zoo_cage (name, code, size) VALUES ('other', gen_random_uuid(), 3)"
    alias = prepared(APPLYING[about], other)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize("size", ["1", "-1"])
def test_what_may_be_another_value_by_then_is_asked_of_nobody(
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    size: str,
) -> None:
    year = f"models.functions.ExtractYear(Now()) * models.Value({size})"
    alias = prepared(added(f"PositiveIntegerField(db_default={year})"))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 3
    assert (migrate(alias, "zoo") is None) is (size == "1")
