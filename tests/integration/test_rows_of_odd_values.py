"""Values that are odd: not a number, the null of JSON, and NULLs that count as equal."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import Write, migrate

DIGITS = "DecimalField(max_digits=5, decimal_places=2)"
KEY = 'ForeignKey("zoo.thing", models.CASCADE, db_column="h", db_constraint=False)'
# What the field was and becomes, the value that prevents it, and one that does not.
CASTS = {
    "an integer": (DIGITS, "IntegerField()", "'NaN'", "1.25"),
    "an integer with a check": (DIGITS, "PositiveIntegerField()", "'NaN'", "1.25"),
    "a key": (DIGITS, KEY, "'NaN'", "1.00"),
    "JSON's null as a number": ("JSONField()", "IntegerField()", "'null'", "'3'"),
    "JSON's null as a key": ("JSONField()", KEY, "'null'", "'3'"),
    "JSON's null as a truth": ("JSONField()", "BooleanField()", "'null'", "'false'"),
}


def thing(field: str) -> str:
    return f"""migrations.CreateModel("Thing", [
        ("id", models.BigAutoField(primary_key=True)), ("h", models.{field}),
    ]),"""


@pytest.mark.parametrize("prevents", [True, False], ids=["prevents-it", "does-not"])
@pytest.mark.parametrize("about", CASTS, ids=lambda about: about.replace(" ", "-"))
def test_a_value_without_another_in_the_new_type(
    about: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    *,
    prevents: bool,
) -> None:
    before, after, bad, good = CASTS[about]
    alias = new_database()
    write_migrations(thing(before))
    assert migrate(alias, "zoo") is None
    execute(connections[alias], f"INSERT INTO zoo_thing (h) VALUES ({bad if prevents else good})")
    write_migrations(thing(before), f'migrations.AlterField("thing", "h", models.{after}),')

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == int(prevents)
    assert prevents or answer.report["undecided"] == []
    assert (migrate(alias, "zoo") is None) is not prevents


@pytest.mark.parametrize("about", ["null", "not null"])
def test_json_s_null_where_null_is_allowed_or_text(
    about: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    before = "JSONField(null=True)" if about == "null" else "JSONField()"
    after = "IntegerField(null=True)" if about == "null" else "TextField()"
    alias = new_database()
    write_migrations(thing(before))
    assert migrate(alias, "zoo") is None
    execute(connections[alias], "INSERT INTO zoo_thing (h) VALUES ('null')")
    write_migrations(thing(before), f'migrations.AlterField("thing", "h", models.{after}),')

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    fails = migrate(alias, "zoo") is not None
    assert answer.code == int(fails)


UNIQUE = (
    'migrations.AddConstraint("cage", models.UniqueConstraint(models.F("size") + 1,'
    ' name="size_plus_one"{})),'
)
NO_SIZE = "INSERT INTO zoo_cage (name, code) VALUES ('none', gen_random_uuid())"


@pytest.mark.parametrize("rows", [1, 2], ids=["one-NULL", "two-NULLs"])
@pytest.mark.parametrize("distinct", [True, False], ids=["distinct", "equal"])
def test_nulls_of_an_expression_may_count_as_equal(
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    distinct: bool,
    rows: int,
) -> None:
    option = "" if distinct else ", nulls_distinct=False"
    alias = prepared(UNIQUE.format(option), *[NO_SIZE] * rows)
    if connections[alias].pg_version < 150_000:  # type: ignore[attr-defined]
        pytest.skip("NULLs are always distinct")

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    applies = distinct or rows == 1
    assert (answer.code, answer.report["undecided"]) == (int(not applies), [])
    assert (migrate(alias, "zoo") is None) is applies


NAMES = {
    "a collation": 'models.functions.Collate("name", "{}"), name="i"',
    "a configuration": 'SearchVector("name", config="{}"), name="i"',
}
THERE = {"a collation": "C", "a configuration": "english"}


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "a-row"])
@pytest.mark.parametrize("about", NAMES, ids=lambda about: about.replace(" ", "-"))
def test_a_name_in_an_expression_that_is_not_there(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    empty: bool,
) -> None:
    for name in ("no_such", THERE[about]):
        index = f'migrations.AddIndex("cage", models.Index({NAMES[about].format(name)})),'
        alias = prepared(index, "DELETE FROM zoo_cage" if empty else "SELECT 1")

        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

        there = name != "no_such"
        assert (answer.code, answer.report["undecided"]) == (int(not there), [])
        assert (migrate(alias, "zoo") is None) is there


def test_a_collation_that_the_plan_creates(
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    index = NAMES["a collation"].format("made")
    alias = prepared(
        f'CreateCollation("made", locale="C"),migrations.AddIndex("cage", models.Index({index})),',
        "DELETE FROM zoo_cage",
    )

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 0
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize("size", [5, -5], ids=["up", "down"])
def test_an_exclusion_of_what_no_row_can_be(
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    size: int,
) -> None:
    alias = prepared(
        'migrations.AddConstraint("cage", ExclusionConstraint(name="apart", expressions=['
        f'(Func("size", models.F("size") + {size}, function="int4range"), "&&")])),'
    )

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (int(size < 0), [])
    assert (migrate(alias, "zoo") is None) is (size > 0)
