"""A generated column of a model must become its type; what is virtual is in no index."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

KINDS = pytest.mark.parametrize("stored", [True, False], ids=["stored", "virtual"])
VIRTUAL_SINCE = 180_000


def generated(expression: str, output: str, *, stored: bool, more: str = "") -> str:
    return (
        f"models.GeneratedField(expression={expression}, output_field=models.{output},"
        f" db_persist={stored}{more})"
    )


def added(field: str) -> str:
    return f'migrations.AddField("cage", "h", {field}),'


def den(field: str) -> str:
    return f"""migrations.CreateModel("Den", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("size", models.IntegerField(null=True)),
        ("h", {field}),
    ]),"""


UNFIT = {
    "a number as a truth": ('models.F("size")', "BooleanField()"),
    "a name as a UUID": ('models.F("name")', "UUIDField()"),
}
TOO_LARGE = {
    "a number": ("models.Value(3000000000)", "IntegerField()"),
    "a text": ('models.Value("abcd")', "CharField(max_length=3)"),
}
FINE = {
    "a number as a text": ('models.F("size")', "TextField()"),
    "a number": ("models.Value(2000000000)", "IntegerField()"),
    "a text": ('models.Value("abc")', "CharField(max_length=3)"),
    "a document": ("models.Value('{}')", "JSONField()"),
}
ON_VIRTUAL = {
    "unique": ("", ", unique=True"),
    "a condition": (
        'migrations.AddIndex("cage", models.Index(fields=["size"], name="i",'
        " condition=models.Q(h__gt=1))),",
        "",
    ),
    "an expression": (
        'migrations.AddIndex("cage", models.Index(models.F("h") + 1, name="i")),',
        "",
    ),
    "beside the keys": (
        'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["size"], name="i",'
        ' include=["h"])),',
        "",
    ),
    "an exclusion": (
        'migrations.AddConstraint("cage", ExclusionConstraint(name="i", expressions=['
        '(Func("id", "size", function="int8range"), "&&")], condition=models.Q(h__gt=1))),',
        "",
    ),
}


def on_server_with(alias: str, *, stored: bool) -> str:
    if not stored and connections[alias].pg_version < VIRTUAL_SINCE:  # type: ignore[attr-defined]
        pytest.skip("there are no virtual columns")
    return alias


@KINDS
@pytest.mark.parametrize("into", [added, den], ids=["ADD-COLUMN", "CREATE-TABLE"])
@pytest.mark.parametrize("about", UNFIT, ids=lambda about: about.replace(" ", "-"))
def test_what_no_value_becomes_is_reported(
    about: str,
    into: Callable[[str], str],
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    stored: bool,
) -> None:
    alias = on_server_with(prepared(into(generated(*UNFIT[about], stored=stored))), stored=stored)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 1, answer.stdout
    assert "expression-invalid" in answer.ids
    assert migrate(alias, "zoo") is not None


@KINDS
@pytest.mark.parametrize("about", TOO_LARGE, ids=lambda about: about.replace(" ", "-"))
def test_a_constant_is_computed_as_the_column_is_added(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    stored: bool,
) -> None:
    field = generated(*TOO_LARGE[about], stored=stored)
    alias = on_server_with(prepared(added(field), "DELETE FROM zoo_cage"), stored=stored)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 1, answer.stdout
    assert migrate(alias, "zoo") is not None


@KINDS
@pytest.mark.parametrize("into", [added, den], ids=["ADD-COLUMN", "CREATE-TABLE"])
@pytest.mark.parametrize("about", FINE, ids=lambda about: about.replace(" ", "-"))
def test_what_becomes_its_type_is_fine(
    about: str,
    into: Callable[[str], str],
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    stored: bool,
) -> None:
    alias = on_server_with(prepared(into(generated(*FINE[about], stored=stored))), stored=stored)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None


@KINDS
@pytest.mark.parametrize("about", ON_VIRTUAL, ids=lambda about: about.replace(" ", "-"))
def test_no_index_is_made_on_what_is_virtual(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
    *,
    stored: bool,
) -> None:
    then, more = ON_VIRTUAL[about]
    field = generated('models.F("size") + 1', "IntegerField()", stored=stored, more=more)
    alias = on_server_with(prepared(added(field) + then), stored=stored)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == (0 if stored else 1), answer.stdout
    assert ("computed-column" in answer.ids) is not stored
    assert (migrate(alias, "zoo") is None) is stored
