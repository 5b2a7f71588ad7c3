"""A class's verdict on each member is the one that a preflight of the member alone gives."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from opsmigrate.fleet.members import Told, told_by
from opsmigrate.fleet.reports import said_of
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.opening import owned
from opsmigrate.postgres.tenant import put_on, variable_for
from tests.conftest import Ops, execute
from tests.fleets import schemas, target
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
        (
            "INSERT INTO {}.zoo_den (cage, during) SELECT 1, '[2020-01-01,2021-01-01)'"
            " FROM generate_series(1, 2)",
        ),
        "rows-exclude-each-other",
    ),
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
def alone(empty_database: str, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that examines one target in its own session, as a unit of a fleet is."""
    made: list[str] = []

    def examine(target: Target, **options: Any) -> dict[str, Any]:
        alias = f"alone{len(made)}"
        made.append(alias)
        connections.settings[alias] = {**connections.settings[empty_database], "TEST": {}}
        put_on(connections.settings[alias], str(target.schema))
        for name, value in variable_for(alias, target.schema).items():
            monkeypatch.setenv(name, value)
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


def labels(found: Told) -> tuple[list[str], list[list[str]]]:
    """Return the labels of those that are equal, and of the groups."""
    groups = [[each.label for each in some] for some in found.groups]
    return [each.label for each in found.equal], groups


def essence(report: dict[str, Any]) -> Any:
    """Return what must be equal: the verdict, the words, and everything of the findings."""
    kept = ("verdict", "exit_code", "findings", "undecided")
    return {name: report[name] for name in kept}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(each, id=each.name, marks=() if number % 4 == 0 else pytest.mark.long)
        for number, each in enumerate(DAMAGES)
    ],
)
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
    by_itself = {each.label: essence(alone(each)) for each in (targets[2], targets[3])}
    report = alone(first, with_questions=True)

    found = told(empty_database, report, first, others)

    assert essence(said_of(report, first, targets[2])) == by_itself['o"dd']
    if damage.finding is None:
        assert labels(found) == ([each.label for each in targets], [])
        assert essence(said_of(report, first, targets[3])) == by_itself["bad"]
    else:
        assert by_itself["bad"]["verdict"] == "failed"
        assert damage.finding in [each["id"] for each in by_itself["bad"]["findings"]]
        assert labels(found)[0] == ["first", "equal", 'o"dd']
        assert sorted(each.label for some in found.groups for each in some) == ["bad", "bad too"]


def test_those_with_the_same_damage_may_have_the_same_report(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    """The words of a finding, and what to type, name the member's own schema."""
    write_migrations(CAGE, POSITIVE)
    targets = schemas(empty_database, "first", 'o"dd')
    connection = connections[empty_database]
    for each in targets:
        execute(connection, ROW.replace("{}", quoted(str(each.schema))), ["a", -1])
    first, odd = targets
    report = alone(first, with_questions=True)
    assert labels(told(empty_database, report, first, [odd])) == (["first", 'o"dd'], [])
    assert essence(said_of(report, first, odd)) == essence(alone(odd))


AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
POSITIVE = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="positive")),'
)


def test_what_differs_and_decides_nothing_makes_no_difference(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE + DEN, POSITIVE)
    first, *others = schemas(empty_database, "first", "later", "longer", "empty", "empty too")
    connection = connections[empty_database]
    for schema in ("first", "later", "longer"):
        execute(connection, ROW.replace("{}", schema), ["a", 1])
        execute(connection, ROW.replace("{}", schema), ["b", 1])
    later = "UPDATE later.django_migrations SET id = id + 50, applied = '2020-01-01'"
    execute(connection, later)
    execute(connection, "SELECT setval('later.django_migrations_id_seq', 70)")
    more = "SELECT gen_random_uuid(), 'n' || n, n FROM generate_series(1, 500) n"
    execute(connection, f"INSERT INTO longer.zoo_cage (code, name, size) {more}")

    found = told(empty_database, alone(first, with_questions=True), first, others)

    # Of those without a row, the one that is examined speaks for the other.
    assert labels(found) == (["first", "later", "longer"], [["empty", "empty too"]])
    again = told(empty_database, alone(others[2], with_questions=True), others[2], others[3:])
    assert labels(again) == (["empty", "empty too"], [])


def test_keys_may_differ_and_sequences_may_be_behind(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    """Content types and permissions that post_migrate adds: by name they are the same."""
    write_migrations(CAGE, DEN)
    first, *others = schemas(empty_database, "first", "other_keys", "behind")
    connection = connections[empty_database]
    for each in (first, *others):
        execute(connection, f"SET search_path = {each.schema}")
        for app in ("contenttypes", "auth"):
            call_command("migrate", app, database=empty_database, verbosity=0)
    for statement in (
        "SET search_path = other_keys",
        "SET session_replication_role = replica",
        "UPDATE django_content_type SET id = id + 1000",
        "UPDATE auth_permission SET id = id + 500, content_type_id = content_type_id + 1000",
        "SELECT setval('auth_permission_id_seq', 900), setval('django_content_type_id_seq', 1999)",
        "RESET session_replication_role",
        "RESET search_path",
        "SELECT setval('behind.auth_permission_id_seq', 1, false)",
    ):
        execute(connection, statement)

    found = told(empty_database, alone(first, with_questions=True), first, others)

    assert labels(found) == (["first", "other_keys"], [["behind"]])
    verdicts = [alone(each)["verdict"] for each in (first, *others)]
    assert verdicts == ["passed", "passed", "failed"]
    bad = others[1]
    found = told(empty_database, alone(bad, with_questions=True), bad, [first, others[0]])
    assert labels(found)[0] == ["behind"]


@pytest.mark.parametrize("rehearse", ["off", pytest.param("clone", marks=pytest.mark.long)])
def test_what_code_does_with_rows_is_said_of_nobody_else(
    rehearse: str, empty_database: str, write_migrations: Write, alone: Any
) -> None:
    code = "migrations.RunPython(lambda apps, editor: editor.execute('SELECT 1'), lambda *_: 0),"
    write_migrations(CAGE, code)
    first, *others = schemas(empty_database, "first", "second")
    report = alone(first, with_questions=True, rehearse=rehearse)
    assert report["verdict"] == ("undecided" if rehearse == "off" else "passed"), str(
        report["findings"]
    ) + str(report["undecided"])

    found = told(empty_database, report, first, others)

    assert labels(found) == (["first"], [["second"]])
    assert found.why["second"].startswith("a part of the plan")


def test_a_rehearsal_of_the_first_counts_for_all_where_nothing_else_was_open(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE, AGE)
    first, *others = schemas(empty_database, "first", "second")
    report = alone(first, with_questions=True, rehearse="schema")
    assert report["facts"]["rehearsal"]["applied"]
    assert labels(told(empty_database, report, first, others)) == (["first", "second"], [])


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLE held.zoo_cage IN ACCESS SHARE MODE",
        "INSERT INTO held.django_migrations (app, name, applied) VALUES ('x', 'y', now())",
    ],
)
def test_a_member_that_somebody_holds_is_asked_by_itself(
    statement: str, empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE, AGE)
    first, *others = schemas(empty_database, "first", "held", "free")
    report = alone(first, with_questions=True)
    with held(empty_database, statement) as other:
        # A transaction that has just begun may be over at once: only who writes a history counts.
        wait = "SELECT pg_sleep(1.1)" if "LOCK" in statement else "SELECT 1"
        execute(other, wait)
        found = told(empty_database, report, first, others)
    assert labels(found) == (["first", "free"], [["held"]])
    assert found.why == {"held": "somebody holds a table of it"}


@pytest.mark.long
def test_what_a_session_does_to_the_first_is_said_of_nobody_else(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE, AGE)
    first, *others = schemas(empty_database, "first", "second", "third")
    with held(empty_database, "LOCK TABLE first.zoo_cage IN ACCESS SHARE MODE") as other:
        execute(other, "SELECT pg_sleep(5.1)")
        report = alone(first, with_questions=True)
    assert [each["id"] for each in report["findings"]] == ["blocking-session"]
    assert labels(told(empty_database, report, first, others)) == (
        ["first"],
        [["second", "third"]],
    )


def test_where_statements_are_limited_in_time_a_bigger_member_is_asked_by_itself(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE, POSITIVE)
    first, *others = schemas(empty_database, "first", "big", "small")
    connection = connections[empty_database]
    for schema, rows in (("first", 300), ("big", 3000), ("small", 30)):
        more = f"SELECT gen_random_uuid(), 'n' || n, n FROM generate_series(1, {rows}) n"
        execute(connection, f"INSERT INTO {schema}.zoo_cage (code, name, size) {more}")
    assert labels(
        told(empty_database, alone(first, with_questions=True), first, others)
    ) == (["first", "big", "small"], [])  # fmt: skip
    name = quoted(connection.settings_dict["NAME"])
    execute(connection, f"ALTER DATABASE {name} SET statement_timeout TO '10min'")

    found = told(empty_database, alone(first, with_questions=True), first, others)

    assert labels(found) == (["first", "small"], [["big"]])
    execute(connection, f"ALTER DATABASE {name} RESET statement_timeout")
    report = alone(first, with_questions=True)
    with owned(connection):
        strict = told_by(report, first, others, {empty_database: connection}, sizes_count=True)
    assert labels(strict) == (["first", "small"], [["big"]])
    report["findings"].append({"id": "long-lock", "severity": "warning"})
    with owned(connection):
        strict = told_by(report, first, others, {empty_database: connection}, sizes_count=True)
    assert labels(strict) == (["first"], [["big"], ["small"]])


def test_a_member_that_cannot_be_asked_is_asked_by_itself(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    """Its schema is gone; or not even a transaction can begin."""
    write_migrations(CAGE, POSITIVE)
    first, *others = schemas(empty_database, "first", "gone", "there")
    report = alone(first, with_questions=True)
    execute(connections[empty_database], "DROP SCHEMA gone CASCADE")
    found = told(empty_database, report, first, others)
    assert labels(found) == (["first", "there"], [["gone"]])
    begun: list[str] = []

    def refuse(execute: Any, statement: Any, *others: Any) -> Any:
        begun.append(str(statement))
        if str(statement).startswith("BEGIN") and len(begun) > 20:
            raise OperationalError("no more")
        return execute(statement, *others)

    with connections[empty_database].execute_wrapper(refuse):
        found = told(empty_database, report, first, others[1:] * 3)
    assert "there" in found.why


def test_a_report_without_questions_says_nothing_of_others(
    empty_database: str, write_migrations: Write, alone: Any
) -> None:
    write_migrations(CAGE, AGE)
    first, *others = schemas(empty_database, "first", "second")
    found = told(empty_database, alone(first), first, others)
    assert labels(found) == (["first"], [["second"]])
    assert found.why == {"second": "its report has no questions"}


def test_members_of_a_class_may_be_databases(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, POSITIVE)
    aliases = [new_database() for _ in range(3)]
    for alias in aliases:
        call_command("migrate", "zoo", "0001", database=alias, verbosity=0)
        execute(connections[alias], ROW.replace("{}", "public"), ["a", 1])
    execute(connections[aliases[2]], ROW.replace("{}", "public"), ["a", -1])
    first, *others = (target(alias, None) for alias in aliases)
    report = ops("preflight_migrate", "zoo", database=aliases[0], with_questions=True).report
    for alias in aliases:
        connections[alias].close()

    with ExitStack() as stack:
        opened = {each: stack.enter_context(owned(connections[each])) for each in aliases}
        found = told_by(report, first, others, opened)
        assert labels(found) == (aliases[:2], [[aliases[2]]])
        with held(aliases[1], "SELECT pg_sleep(1.1)"):
            found = told_by(report, first, others, opened)
        assert found.why[aliases[1]] == "somebody is in a transaction in its database"
