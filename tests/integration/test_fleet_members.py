"""A class's verdict on each member is the one that a preflight of the member alone gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from opsmigrate.fleet.members import Told, told_by
from opsmigrate.fleet.reports import said_of
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.opening import owned
from opsmigrate.postgres.tenant import put_on
from tests.conftest import Ops, execute
from tests.fleets import schemas
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.sessions import held

ROW = "INSERT INTO {}.zoo_cage (code, name, size) VALUES (gen_random_uuid(), %s, %s)"
DEN = """
migrations.CreateModel("Den", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.BigIntegerField()),
    ("during", DateRangeField(null=True)),
]),
"""


@dataclass(frozen=True)
class Damage:
    """A plan, and the rows that it stumbles over, if any; `finding` is what a preflight says."""

    name: str
    pending: str
    rows: tuple[str, ...]
    finding: str | None


def cages(*values: tuple[str, object]) -> tuple[str, ...]:
    return tuple(
        "INSERT INTO {}.zoo_cage (code, name, size) "
        f"VALUES (gen_random_uuid(), '{name}', {'NULL' if size is None else size})"
        for name, size in values
    )


DAMAGES = (
    Damage(
        "NULL where a value is wanted",
        'migrations.AlterField("cage", "size", models.IntegerField()),',
        cages(("a", None)),
        "null-values",
    ),
    Damage(
        "a value twice",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, unique=True)),',
        cages(("twice", 1), ("twice", 2)),
        "duplicate-values",
    ),
    Damage(
        "a value twice but for its case",
        'migrations.AddConstraint("cage", models.UniqueConstraint(Lower("name"), name="low")),',
        cages(("b", 1), ("B", 2)),
        "duplicate-values",
    ),
    Damage(
        "a check that a row breaks",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="positive")),',
        cages(("a", -1)),
        "check-violated",
    ),
    Damage(
        "a key to nothing",
        'migrations.AlterField("den", "cage", models.ForeignKey("zoo.Cage", models.CASCADE,'
        ' db_column="cage")),',
        ("INSERT INTO {}.zoo_den (cage) VALUES (4711)",),
        "orphan-rows",
    ),
    Damage(
        "a text that is no number",
        'migrations.AlterField("cage", "name", models.IntegerField()),',
        cages(("none", 1)),
        "value-not-castable",
    ),
    Damage(
        "a text that is too long",
        'migrations.AlterField("cage", "name", models.CharField(max_length=5)),',
        cages(("much longer", 1)),
        "value-not-castable",
    ),
    Damage(
        "rows that exclude each other",
        'migrations.AddConstraint("den", ExclusionConstraint(name="apart",'
        ' expressions=[("during", "&&")])),',
        ("INSERT INTO {}.zoo_den (cage, during) SELECT 1, '[2020-01-01,2021-01-01)'"
         " FROM generate_series(1, 2)",),
        "rows-exclude-each-other",
    ),  # fmt: skip
    Damage(
        "an expression that fails on a row",
        'migrations.AddIndex("cage", models.Index(models.Value(1) / models.F("size"),'
        ' name="inverse")),',
        cages(("a", 0)),
        "expression-fails",
    ),
    Damage(
        "a constant that two rows cannot both have",
        'migrations.AddField("cage", "only", models.IntegerField(default=1, unique=True)),',
        cages(("a", 1), ("b", 2)),
        "unique-with-one-default",
    ),
    Damage(
        "a history whose sequence is behind",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        ("SELECT setval(pg_get_serial_sequence('{}.django_migrations', 'id'), 1, false)",),
        "history-not-writable",
    ),
    Damage(
        "nothing but other rows",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        cages(*((f"n{number}", number) for number in range(30))),
        None,
    ),
)


@pytest.fixture
def alone(empty_database: str, ops: Ops) -> Any:
    """Return a function that examines one target in its own session, as a unit of a fleet is."""
    made: list[str] = []

    def examine(target: Target, **options: Any) -> dict[str, Any]:
        alias = f"alone{len(made)}"
        made.append(alias)
        connections.settings[alias] = {**connections.settings[empty_database], "TEST": {}}
        put_on(connections.settings[alias], str(target.schema))
        try:
            return ops("preflight_migrate", "zoo", database=alias, **options).report
        finally:
            connections[alias].close()

    yield examine
    for alias in made:
        del connections[alias], connections.settings[alias]


def told(alias: str, report: dict[str, Any], first: Target, others: Sequence[Target]) -> Told:
    with owned(connections[alias]) as connection:
        return told_by(report, first, others, {alias: connection})


def essence(report: dict[str, Any]) -> Any:
    """Return what must be equal: the verdict, the words, and everything of the findings."""
    kept = ("verdict", "exit_code", "findings", "undecided")
    return {name: report[name] for name in kept}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.name)
def test_the_verdict_on_each_member_is_the_one_of_a_preflight_of_its_own(
    damage: Damage, empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE + DEN, damage.pending)
    targets = schemas(empty_database, "first", "equal", 'o"dd', "bad", "bad too")
    connection = connections[empty_database]
    for each in targets:
        execute(connection, ROW.replace("{}", quoted(str(each.schema))), ["7", 1])
        for statement in damage.rows if "bad" in each.label else ():
            execute(connection, statement.replace("{}", quoted(str(each.schema))))
    first, *others = targets
    by_itself = {each.label: essence(alone(each)) for each in targets}
    report = alone(first, with_questions=True)

    found = told(empty_database, report, first, others)
    import json; print(json.dumps(report["facts"]["questions"], indent=1)); print(found.why)

    for each in found.equal:
        assert essence(said_of(report, first, each)) == by_itself[each.label], each.label
    if damage.finding is None:
        assert [each.label for each in found.equal] == [each.label for each in targets]
    else:
        assert by_itself["bad"]["verdict"] == "failed"
        assert damage.finding in [each["id"] for each in by_itself["bad"]["findings"]]
        assert [each.label for each in found.equal] == ["first", "equal", 'o"dd']
        assert sorted(each.label for some in found.groups for each in some) == ["bad", "bad too"]
