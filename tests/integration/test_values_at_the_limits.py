"""Values that have none in the new type, are cut off by a cast, or are too big for an entry."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.zoo_migrations import Write, migrate

LONG = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 800) AS i)"
TEXTS, SHORT = "ArrayField(models.TextField())", "ArrayField(models.CharField(max_length=2))"
TIMES = "models.DateTimeField({})", "models.TimeField({})"


def thing(field: str) -> str:
    return f"""migrations.CreateModel("Thing", [
        ("id", models.BigAutoField(primary_key=True)), ("h", {field}),
    ]),"""


def altered(field: str) -> str:
    return f'migrations.AlterField("thing", "h", {field}),'


def index(kind: str) -> str:
    return f'migrations.AddIndex("thing", {kind}(fields=["h"], name="on_h")),'


# What the field was, what is done, the value, and whether that applies; None where nobody says.
CASES = {
    "the time of infinity": (
        TIMES[0].format(""),
        altered(TIMES[1].format("")),
        "'infinity'",
        False,
    ),
    "the time of a day": (TIMES[0].format(""), altered(TIMES[1].format("")), "now()", True),
    "the time of infinity may be NULL": (
        TIMES[0].format("null=True"),
        altered(TIMES[1].format("null=True")),
        "'infinity'",
        True,
    ),
    "elements that a cast cuts off": (TEXTS, altered(SHORT), "'{abc}'", True),
    "a long text in BRIN": ("models.TextField()", index("BrinIndex"), LONG, None),
    "a text in BRIN": ("models.TextField()", index("BrinIndex"), f"left({LONG}, 3000)", True),
    "a long element in GIN": (TEXTS, index("GinIndex"), f"ARRAY[{LONG}]", None),
    "many elements in GIN": (
        TEXTS,
        index("GinIndex"),
        "(SELECT array_agg(md5(i::text)) FROM generate_series(1, 800) AS i)",
        True,
    ),
}


@pytest.mark.parametrize("about", CASES, ids=lambda about: about.replace(" ", "-"))
def test_the_verdict_is_what_migrate_does(
    about: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    before, then, value, applies = CASES[about]
    alias = new_database()
    write_migrations(thing(before))
    assert migrate(alias, "zoo") is None
    execute(connections[alias], f"INSERT INTO zoo_thing (h) VALUES ({value})")
    write_migrations(thing(before), then)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == {True: 0, False: 1, None: 3}[applies], answer.stdout
    assert (migrate(alias, "zoo") is None) is bool(applies)
