"""A check or an index that the plan makes is there when a later operation alters its columns."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

NO_SIZE = "INSERT INTO zoo_cage (name, code) VALUES ('none', gen_random_uuid())"
CHECK = 'models.CheckConstraint(condition=models.Q(size__gt=1), name="made")'
ADDED = f'migrations.AddConstraint("cage", {CHECK}),'
NOT_VALID = f'AddConstraintNotValid("cage", {CHECK}),'
RENAMED = 'migrations.RenameField("cage", "size", "extent"),'
DEN = f"""migrations.CreateModel("Den", [
    ("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField(null=True)),
], options={{"constraints": [{CHECK}]}}),"""


def altered(field: str, name: str = "size", model: str = "cage") -> str:
    return f'migrations.AlterField("{model}", "{name}", models.{field}),'


def index(parts: str) -> str:
    return f'migrations.AddIndex("cage", models.Index({parts}, name="made")),'


BY_HAND = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD CONSTRAINT made CHECK (size > 1)"),'
INDEX_BY_HAND = 'migrations.RunSQL("CREATE INDEX made ON zoo_cage (lower(name))"),'
TEXT = "TextField(null=True)"
FAILING = {
    "a check": ADDED + altered(TEXT),
    "a check that is not valid": NOT_VALID + altered(TEXT),
    "a check of a renamed column": ADDED + RENAMED + altered(TEXT, "extent"),
    "a check of a new model": DEN + altered(TEXT, model="den"),
    "an index": index("Lower('name')") + altered("IntegerField(default=1)", "name"),
    "a condition": (index('fields=["name"], condition=models.Q(size__gt=1)') + altered(TEXT)),
    "values that the check rejects": ADDED + altered("IntegerField(default=0)"),
    "values that a check rejects that is not valid": (
        NOT_VALID + altered("IntegerField(default=0)")
    ),
    "a check by hand": BY_HAND + altered(TEXT),
    "a check by hand, renamed": BY_HAND + RENAMED + altered(TEXT, "extent"),
    "an index by hand": INDEX_BY_HAND + altered("IntegerField(default=1)", "name"),
    "values that the check of the field rejects": (
        'migrations.AddField("cage", "h", models.PositiveIntegerField(null=True)),'
        + altered("PositiveIntegerField(default=-1)", "h")
    ),
}
APPLYING = {
    "a check": ADDED + altered("BigIntegerField(null=True)"),
    "a check that went before": (
        ADDED + 'migrations.RemoveConstraint("cage", "made"),' + altered(TEXT)
    ),
    "a check of a renamed column": ADDED
    + RENAMED
    + altered("BigIntegerField(null=True)", "extent"),
    "a check of a new model": DEN + altered("BigIntegerField(null=True)", model="den"),
    "a check by hand": (BY_HAND + RENAMED + altered("BigIntegerField(null=True)", "extent")),
    "an index by hand": INDEX_BY_HAND + altered("TextField()", "name"),
    "another column": ADDED + altered("TextField()", "name"),
    "values that the check takes": ADDED + altered("IntegerField(default=2)"),
    "values that a check takes that is not valid": NOT_VALID + altered("IntegerField(default=2)"),
    "values that the check of the field takes": (
        'migrations.AddField("cage", "h", models.PositiveIntegerField(null=True)),'
        + altered("PositiveIntegerField(default=1)", "h")
    ),
    "an index that went with its column": (
        index("Lower('name')")
        + 'migrations.RemoveField("cage", "name"),'
        + index('fields=["size"]')
    ),
    "a column that is renamed by hand": (
        ADDED
        + "migrations.RunSQL('ALTER TABLE zoo_cage RENAME size TO extent', state_operations=["
        + 'migrations.RenameField("cage", "size", "extent")]),'
        + altered("BigIntegerField(null=True)", "extent")
    ),
}


@pytest.mark.parametrize("about", FAILING, ids=lambda about: about.replace(" ", "-"))
def test_what_contradicts_it_is_reported(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(FAILING[about], NO_SIZE)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code in ((1, 3) if "not valid" in about and "values" in about else (1,))
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", APPLYING, ids=lambda about: about.replace(" ", "-"))
def test_what_suits_it_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(APPLYING[about], NO_SIZE)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("GinIndex(fields=['h'], name='made')", "TextField(null=True)"),
        (
            "models.Index(fields=['h'], name='made', opclasses=['array_ops'])",
            "IntegerField(null=True)",
        ),
    ],
    ids=["method", "operator-class"],
)
def test_an_index_that_does_not_take_the_new_type_is_no_yes(
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    kind: str,
    after: str,
) -> None:
    alias = prepared(
        'migrations.AddField("cage", "h", ArrayField(models.TextField(), null=True)),'
        f'migrations.AddIndex("cage", {kind}),' + altered(after, "h")
    )

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code in (1, 3)
    assert migrate(alias, "zoo") is not None
