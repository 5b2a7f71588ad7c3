"""A check inside CREATE TABLE must fit the columns, and no row is there to be looked at."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

BY_ZERO = "models.Q(size__gt=models.Value(1) / models.Value(0))"
FAILING = {
    "two types": 'models.Q(name__gt=models.F("size"))',
    "a function of another type": 'models.lookups.GreaterThan(Lower("size"), 1)',
    "no such function": 'models.Q(name=Func(models.Value("a"), function="no_such"))',
    "a time": "models.Q(size__lt=Now())",
}
APPLYING = {
    "one type": 'models.Q(id__gt=models.F("size"))',
    "a function": 'models.Q(name=Lower("name"))',
    "a pattern": 'models.Q(name__regex="^a%")',
}


def den(check: str, more: str = "") -> str:
    return f"""migrations.CreateModel("Den", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("size", models.IntegerField(null=True)),
        {more}
    ], options={{"constraints": [models.CheckConstraint(condition={check}, name="den_check")]}}),"""


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_one_that_does_not_fit_is_reported(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(den(FAILING[about]))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert [each["id"] for each in answer.report["findings"] if each["severity"] == "error"] == [
        "expression-invalid"
    ]
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_one_that_fits_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(den(APPLYING[about]))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize(
    "alone", [True, False], ids=["inside-the-statement", "as-a-statement-of-its-own"]
)
def test_a_constant_that_cannot_be_computed_is_only_kept_inside_the_statement(
    alone: bool,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    default = "" if alone else '("food", models.TextField(db_default="hay")),'
    alias = prepared(den(BY_ZERO, default))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code in ((0, 3) if migrate(alias, "zoo") is None else (1, 3))
