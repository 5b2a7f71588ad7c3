"""Keys of types that cannot be sorted, and collations that cannot be, or that are there already."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

TYPED = 'type("Typed", (models.Field,), {{"db_type": lambda self, connection: "{}"}})'
POINT, UUID, JSON = (TYPED.format(each) for each in ("point", "uuid", "json"))


def den(field: str, options: str = "") -> str:
    return f"""migrations.CreateModel("Den", [
        ("id", models.BigAutoField(primary_key=True)), ("h", {field}),
    ], options={{{options}}}),"""


def added(field: str) -> str:
    return f'migrations.AddField("cage", "h", {field}),'


UNIQUE = '"constraints": [models.UniqueConstraint(fields=["h"], name="one_h")]'
COLLATED = (
    'migrations.AlterField("cage", "name", models.CharField(max_length=20, db_collation="{}")),'
)
FAILING = {
    "a unique column": (added(f"{POINT}(unique=True, null=True)"), "no-operator-class"),
    "a unique column of a new model": (den(f"{POINT}(unique=True)"), "no-operator-class"),
    "a constraint of a new model": (den(f"{POINT}()", UNIQUE), "no-operator-class"),
    "columns together": (den(f"{POINT}()", '"unique_together": {("h",)}'), "no-operator-class"),
    "a primary key": (
        f'migrations.CreateModel("Den", [("id", {JSON}(primary_key=True))]),',
        "no-operator-class",
    ),
    "a nondeterministic collation": (
        'CreateCollation("other", locale="C", deterministic=False),',
        "unsupported-by-server",
    ),
    "a collation that the plan makes twice": (
        'CreateCollation("other", locale="C"), CreateCollation("other", locale="C"),',
        "collation-exists",
    ),
    "a collation that is there": ('CreateCollation("there", locale="C"),', "collation-exists"),
}
APPLYING = {
    "a unique column": added(f"{UUID}(unique=True, null=True)"),
    "a unique column of a new model": den(f"{UUID}(unique=True)"),
    "a constraint of a new model": den(f"{UUID}()", UNIQUE),
    "a column that is no key": den(f"{POINT}()") + added(f"{POINT}(null=True)"),
    "a primary key": f'migrations.CreateModel("Den", [("id", {UUID}(primary_key=True))]),',
    "a collation": 'CreateCollation("other", locale="C"),' + COLLATED.format("other"),
    "a collation that is called as one of the server": (
        'CreateCollation("POSIX", locale="C"),' + COLLATED.format("POSIX")
    ),
}
THERE = "CREATE COLLATION there (locale = 'C')"


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_what_postgresql_does_not_make_is_reported(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    operations, finding = FAILING[about]
    alias = prepared(operations, THERE)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 1, answer.stdout
    assert finding in answer.ids
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_what_it_makes_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(APPLYING[about], THERE)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None
