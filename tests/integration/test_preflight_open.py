"""What cannot be decided without running it is said, and never passed over."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major

CODE = "migrations.RunPython(lambda apps, editor: 1 / 0),"
SQL = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD COLUMN extra int"),'

OPEN_WITH_ROWS = {
    "a check": 'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="zoo_positive")),',
    "uniqueness": 'migrations.AlterField("cage", "name", models.CharField('
    "max_length=20, unique=True)),",
    "NOT NULL": 'migrations.AlterField("cage", "size", models.IntegerField()),',
    "a shorter text": 'migrations.AlterField("cage", "name", models.CharField(max_length=2)),',
    "another type": 'migrations.AlterField("cage", "name", models.IntegerField()),',
}
CHAIN = """
migrations.CreateModel("Lion", [
    ("id", models.AutoField(primary_key=True)),
    ("name", models.CharField(max_length=20, unique=True)),
    ("size", models.PositiveIntegerField()),
    ("nick", models.SlugField()),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
    ("friends", models.ManyToManyField("self")),
], options={"unique_together": {("name", "size")}, "constraints": [
    models.UniqueConstraint(fields=["size", "nick"], name="zoo_lion_size"),
    models.UniqueConstraint(fields=["nick"], condition=models.Q(size=1), name="zoo_lion_nick"),
    models.CheckConstraint(condition=models.Q(size__lt=9), name="zoo_lion_small"),
]}),
migrations.AlterField("lion", "name", models.CharField(max_length=20)),
migrations.AlterField("lion", "name", models.TextField(db_index=True)),
migrations.AlterField("lion", "size", models.IntegerField(null=True)),
migrations.AlterField("lion", "id", models.BigAutoField(primary_key=True)),
migrations.AddIndex("lion", models.Index(fields=["size"], name="zoo_lion_a")),
migrations.RenameIndex("lion", new_name="zoo_lion_b", old_name="zoo_lion_a"),
migrations.RemoveConstraint("lion", "zoo_lion_small"),
migrations.RemoveConstraint("lion", "zoo_lion_nick"),
migrations.RemoveConstraint("lion", "zoo_lion_size"),
migrations.RenameModel("Lion", "Cat"),
migrations.RenameField("cat", "size", "extent"),
migrations.AlterField("cat", "cage", models.OneToOneField("zoo.Cage", models.CASCADE)),
migrations.AddField("cat", "keeper", models.ForeignKey("zoo.Cage", models.CASCADE, null=True,
    related_name="+", to_field="code")),
migrations.AlterField("cat", "keeper", models.UUIDField(null=True)),
migrations.RemoveIndex("cat", "zoo_lion_b"),
migrations.AlterModelTable("cat", "zoo_felines"),
migrations.RemoveField("cat", "friends"),
migrations.RemoveField("cat", "cage"),
migrations.CreateModel("Lion", [("id", models.BigAutoField(primary_key=True))]),
migrations.DeleteModel("Cat"),
"""
SURE_WITH_ROWS = {
    "a chain of changes to new tables": CHAIN,
    "a longer text": 'migrations.AlterField("cage", "name", models.CharField(max_length=30)),',
    "a wider integer": 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
    "a new nullable column": 'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
    "a new column with a default": 'migrations.AddField("cage", "age", models.IntegerField('
    "default=3)),",
    "a new table": KEEPER,
    "NOT NULL with a default": 'migrations.AlterField("cage", "size", models.IntegerField('
    "default=0)),",
    "an index": 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
    "code that does nothing": "migrations.RunPython(migrations.RunPython.noop),",
    "SQL that does nothing": "migrations.RunSQL(migrations.RunSQL.noop),",
    "options": 'migrations.AlterModelOptions("cage", {"ordering": ["name"]}),',
}


def prepare(alias: str, write: Write, pending: str, *, rows: int) -> None:
    write(CAGE)
    assert migrate(alias, "zoo") is None
    for _ in range(rows):
        execute(connections[alias], ROW)
    write(CAGE, pending)


@pytest.mark.parametrize("pending", OPEN_WITH_ROWS.values(), ids=OPEN_WITH_ROWS.keys())
def test_what_depends_on_rows_is_open_with_rows_and_decided_without(
    pending: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    full, empty = new_database("full "), new_database("empty ")
    prepare(full, write_migrations, pending, rows=1)

    answer = ops("preflight_migrate", "zoo", database=full)

    assert (answer.code, answer.report["verdict"]) == (3, "undecided")
    assert "zoo.0002_step 0: A" in answer.report["unexamined"][0]["what"]
    assert "it depends on the rows" in answer.report["unexamined"][0]["why"]

    prepare(empty, write_migrations, pending, rows=0)

    assert ops("preflight_migrate", "zoo", database=empty).code == 0
    assert migrate(empty, "zoo") is None


@pytest.mark.parametrize("pending", SURE_WITH_ROWS.values(), ids=SURE_WITH_ROWS.keys())
def test_what_no_row_can_break_is_passed_with_rows(
    pending: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, pending, rows=2)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert answer.code == 0, answer.stdout
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize(("pending", "words"), [(CODE, "RunPython calls"), (SQL, "by hand")])
def test_code_and_sql_are_unexamined_until_they_are_accepted(
    pending: str, words: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, pending, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    accepted = ops("preflight_migrate", "zoo", database=empty_database, accept_unexamined=True)

    assert answer.code == 3
    assert words in answer.report["unexamined"][0]["why"]
    assert accepted.code == 0
    assert "not examined, accepted as typed" in accepted.report["facts"]["summary"]


def test_an_operation_of_somebody_elses_is_not_called(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    own = 'type("Own", (migrations.RunSQL,), {"database_forwards": lambda *a: 1 / 0})("SELECT 1"),'
    prepare(empty_database, write_migrations, own, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert answer.code == 3
    assert "an operation of its own kind" in answer.report["unexamined"][0]["why"]


def test_an_operation_that_raises_is_open_and_named(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    broken = 'migrations.RemoveField("cage", "size"),\nmigrations.RemoveField("cage", "nothing"),'
    prepare(empty_database, write_migrations, broken, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (3, [])
    assert answer.report["unexamined"][0]["what"] == "zoo.0002_step 1: RemoveField"
    assert "raised KeyError" in answer.report["unexamined"][0]["why"]


def test_an_error_counts_although_something_else_is_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, CODE + "\n" + KEEPER, rows=0)
    execute(connections[empty_database], "ALTER TABLE zoo_cage DROP COLUMN code")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["missing-column"])


def test_sql_by_hand_that_may_put_it_right_leaves_the_question_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    repair = (
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD COLUMN IF NOT EXISTS code uuid '
        'UNIQUE DEFAULT gen_random_uuid()"),\n'
    )
    prepare(empty_database, write_migrations, repair + KEEPER, rows=0)
    execute(connections[empty_database], "ALTER TABLE zoo_cage DROP COLUMN code")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (3, [])
    assert migrate(empty_database, "zoo") is None


def test_rows_are_unknown_once_code_has_run(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    check = OPEN_WITH_ROWS["a check"]
    prepare(empty_database, write_migrations, CODE + "\n" + check, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert [item["what"] for item in answer.report["unexamined"]] == [
        "zoo.0002_step 0: RunPython",
        "zoo.0002_step 1: AddConstraint",
    ]
