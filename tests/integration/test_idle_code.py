"""Code that looks for rows in tables that have none is decided, as far as it is understood."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.utils.functional import SimpleLazyObject

from opsmigrate.preflight.walk.code_effects import effect_of_code
from opsmigrate.preflight.walk.plain_defaults import may_be_called
from opsmigrate.preflight.walk.plain_receivers import is_plain
from opsmigrate.schema.applied import strings_in_reach
from tests.aliases import guest
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, READS_SEQUENCES, execute_for

# A body of class Migration, so that the code is a function with a source.
BODY = """
def run(apps, schema_editor):
    Cage = apps.get_model("zoo", "Cage")
    {code}

operations = [migrations.RunPython(run)]
"""
USING = "Cage.objects.using(schema_editor.connection.alias)"
IDLE = {
    "a loop": f"for cage in {USING}.filter(size=None):\n        cage.size = undefined\n"
    "        cage.save()",
    "an update": f"{USING}.filter(models.Q(size__gt=1) | models.Q(name='a'))"
    ".update(size=1, name='b')",
    "a deletion": f"if {USING}.exists():\n        raise ValueError\n    {USING}.delete()",
    "a batch": f"batch = []\n    for cage in {USING}.only('size').iterator():\n"
    "        batch.append(cage)\n    if batch:\n        Cage.objects.bulk_update(batch, ['size'])",
    "duplicates": f"found = {USING}.values('size').annotate(n=models.Count('id'),"
    " low=models.Min('id')).filter(n__gt=1)\n"
    "    with transaction.atomic(using=schema_editor.connection.alias):\n"
    "        for each in found:\n            each.delete()",
    "another vendor": "if schema_editor.connection.vendor != 'postgresql':\n        1 / 0",
    "nothing": "if len(Cage.objects.using(schema_editor.connection.alias)) == 0:\n"
    "        print('none')\n        return",
}
# What migrate refuses, or does, although there is no row.
NOT_IDLE = {
    "a field that is not there": f"{USING}.filter(no_such=1).delete()",
    "another column's type": f"{USING}.update(size=models.F('name'))",
    "a first row that must be": f"{USING}.first().size",
    "what is not understood": f"{USING}.get(size=1)",
    "an error": f"if not {USING}.exists():\n        raise ValueError",
    "a local name": f"for cage in {USING}.all():\n        other = cage\n    other.save()",
    "a name of nothing": "undefined(Cage)",
    "an operator that is not there": f"{USING}.filter(size=models.F('name')).delete()",
    "a creation": f"{USING}.create(name=None)",
    "a text that cannot be sent": f"{USING}.filter(name='a\\0').delete()",
    "half of a character": f"{USING}.filter(name='\\ud800').update(size=1)",
    "a number that is too large": f"{USING}.update(size=10**12)",
    "a text that is too long": f"{USING}.update(name='x' * 30)",
}


@pytest.fixture
def applied(empty_database: str, write_migrations: Write) -> str:
    """Return a database with the table, which has no row, and another one."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], "CREATE TABLE other (id int)")
    return empty_database


def asked(ops: Ops, database: str) -> int:
    return ops("preflight_migrate", "zoo", database=database, rehearse="off").code


@pytest.mark.parametrize("code", IDLE.values(), ids=[*IDLE])
def test_code_that_finds_no_row_is_decided(
    code: str, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code))

    assert asked(ops, applied) == 0
    assert migrate(applied, "zoo") is None


@pytest.mark.parametrize("code", NOT_IDLE.values(), ids=[*NOT_IDLE])
def test_code_that_fails_without_a_row_is_not(
    code: str, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code))

    assert asked(ops, applied) == 3
    assert migrate(applied, "zoo") is not None


UPDATE = BODY.format(code=IDLE["an update"])
SAYS_NO = """
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER no BEFORE UPDATE ON zoo_cage FOR EACH STATEMENT EXECUTE FUNCTION no()
"""


@pytest.mark.parametrize(
    ("damage", "fails"),
    [
        (SAYS_NO, True),
        ("ALTER TABLE zoo_cage DROP COLUMN name", True),
        ("ALTER TABLE zoo_cage ALTER size TYPE text", True),
        ("ALTER TABLE zoo_cage RENAME TO c; CREATE VIEW zoo_cage AS SELECT * FROM c", False),
    ],
    ids=["a-trigger", "a-column", "a-type", "a-view"],
)
def test_what_refuses_a_statement_leaves_it_open(
    damage: str, fails: bool, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, UPDATE)
    execute(connections[applied], damage)

    assert asked(ops, applied) == 3
    assert (migrate(applied, "zoo") is not None) == fails


@pytest.mark.parametrize("taken", [False, True], ids=["all", "none-to-update"])
def test_a_privilege_that_lacks_leaves_it_open(
    taken: bool, applied: str, role: Callable[[], dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    user = role()
    revoke = ("REVOKE UPDATE ON zoo_cage FROM {role}",) if taken else ()
    execute_for(user, applied, *OWN, READS_SEQUENCES, *revoke)
    write_migrations(CAGE, UPDATE)

    with guest(applied, user) as theirs:
        assert asked(ops, theirs) == (3 if taken else 0)
        assert (migrate(theirs, "zoo") is not None) == taken


POINT = """
class Point(models.Field):
    def db_type(self, connection):
        return "point"

def run(apps, schema_editor):
    Spot = apps.get_model("zoo", "Spot")
    {code}

operations = [
    migrations.CreateModel("Spot", [
        ("id", models.BigAutoField(primary_key=True)), ("at", Point()),
    ]),
    migrations.RunPython(run),
]
"""


@pytest.mark.parametrize(
    ("code", "fails"),
    [
        ("for spot in Spot.objects.using('{0}').all():\n        spot.save()", False),
        ("for spot in Spot.objects.using('{0}').distinct():\n        spot.save()", True),
        ("Spot.objects.using('{0}').filter(at='(1,1)').delete()", True),
    ],
    ids=["all", "distinct", "a-condition"],
)
def test_an_operator_that_a_type_does_not_have_is_missed_without_a_row(
    code: str, fails: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(POINT.format(code=code.format(empty_database)))

    assert asked(ops, empty_database) == (3 if fails else 0)
    assert (migrate(empty_database, "zoo") is not None) == fails


def test_what_code_before_it_may_have_made_leaves_it_open(
    applied: str, write_migrations: Write, ops: Ops
) -> None:
    makes = BODY.format(code=f"{USING}.create(name='a', code='{'0' * 32}')")
    write_migrations(CAGE, makes, UPDATE)

    answer = ops("preflight_migrate", "zoo", database=applied, rehearse="off")

    assert [item["what"].split()[0] for item in answer.report["undecided"]] == [
        "zoo.0002_step",
        "zoo.0003_step",
    ]


def test_a_table_that_the_plan_makes_has_no_row(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    strict = 'migrations.AlterField("cage", "size", models.IntegerField(unique=True)),'
    write_migrations(CAGE, UPDATE, strict)

    assert asked(ops, empty_database) == 0
    assert migrate(empty_database, "zoo") is None


KINDS = ("cow", "hen")


def colours() -> list[str]:
    """As projects write the defaults of JSON."""
    return ["brown", "white"]


def kinds() -> dict[str, object]:
    names = KINDS
    return {"kinds": names, "colours": colours()}


def looks() -> list[str]:
    return [each for each in open("/dev/null")]  # noqa: C416


def counts(start: int = 0) -> int:
    return start


def remembers() -> list[str]:
    LEFT.append("called")
    return LEFT


LEFT: list[str] = []
LAZY: Any = None


def uses_what_is_lazy(apps: Any, editor: Any) -> None:
    """Nothing but words."""
    LAZY.clear()
    LAZY(apps)


def clears_what_is_lazy(**kwargs: object) -> None:
    LAZY.clear()


def defaults_to_what_is_lazy() -> Any:
    return LAZY


def test_reading_code_wakes_nothing_that_stands_in_for_another_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[str] = []
    lazy = SimpleLazyObject(lambda: woken.append("woken"))
    monkeypatch.setitem(globals(), "LAZY", lazy)

    effect_of_code(uses_what_is_lazy)
    assert "Nothing but words." in strings_in_reach(uses_what_is_lazy)
    assert not is_plain(clears_what_is_lazy)
    assert not may_be_called(defaults_to_what_is_lazy)

    assert woken == []


@pytest.mark.parametrize("default", [colours, kinds, list, dict, lambda: 1])
def test_a_default_that_is_a_constant_may_be_called(default: Any) -> None:
    assert may_be_called(default)


@pytest.mark.parametrize("default", [looks, counts, remembers, LEFT.copy])
def test_a_default_that_may_do_more_may_not(default: Any) -> None:
    assert not may_be_called(default)
    assert LEFT == []
