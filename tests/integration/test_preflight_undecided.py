"""What cannot be decided without running it is said, and never passed over."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.aliases import guest
from tests.conftest import Answer, Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major

POSITIVE = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="zoo_positive")),'
)
FILLED = 'migrations.AlterField("cage", "size", models.IntegerField(default=3)),'
CODE = "migrations.RunPython(lambda apps, editor: 1 / 0),"
SQL = "migrations.RunSQL(\"DO $$ BEGIN EXECUTE 'ALTER TABLE zoo_cage ADD extra int'; END $$\"),"

OPEN_WITH_ROWS = {
    "a unique column that the database computes": 'migrations.AddField("cage", "at", '
    "models.DateTimeField(unique=True, db_default=Now())),",
    "uniqueness of what the database computed": 'migrations.AddField("cage", "at", '
    'models.DateTimeField(db_default=Now())),\nmigrations.AddConstraint("cage", '
    'models.UniqueConstraint(fields=["at", "name"], name="zoo_at")),',
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
DOMAIN = """
migrations.RunSQL("CREATE DOMAIN label AS text"),
migrations.AlterField("cage", "name", type("Label", (models.CharField,), {
    "db_type": lambda self, connection: "label", "deconstruct": models.CharField.deconstruct})(
    max_length=20)),
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
    "a unique default of the database": 'migrations.AddField("cage", "tag", models.UUIDField('
    "unique=True, db_default=RandomUUID())),",
    "a generated column": 'migrations.AddField("cage", "twice", models.GeneratedField('
    'expression=models.F("size") * 2, output_field=models.IntegerField(), db_persist=True)),',
    "a positive number with a default": 'migrations.AddField("cage", "age", '
    "models.PositiveIntegerField(default=3)),",
    "a default for the NULLs of a column": 'migrations.AddField("cage", "n", '
    "models.IntegerField(null=True, unique=True)),\n"
    'migrations.AlterField("cage", "n", models.IntegerField(default=0)),',
    "a cast that never fails": 'migrations.AlterField("cage", "size", models.BooleanField('
    "null=True)),",
    "an index": 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
    "code that does nothing": "migrations.RunPython(migrations.RunPython.noop),",
    "SQL that does nothing": "migrations.RunSQL(migrations.RunSQL.noop),",
    "options": 'migrations.AlterModelOptions("cage", {"ordering": ["name"]}),',
}


def said(answer: Answer) -> list[str]:
    """Return the ids of the findings that are no drift, which the tests make on purpose."""
    return [id for id in answer.ids if not id.startswith("drift-")]


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
    assert "zoo.0002_step " in answer.report["undecided"][0]["what"]
    assert "it depends on the rows" in answer.report["undecided"][0]["why"]

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


@pytest.mark.parametrize(
    ("pending", "words"), [(CODE, "RunPython calls"), (SQL, "hand-written SQL")]
)
def test_code_and_sql_are_undecided_until_they_are_accepted(
    pending: str, words: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, pending, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    accepted = ops("preflight_migrate", "zoo", database=empty_database, accept_undecided=True)

    assert answer.code == 3
    assert words in answer.report["undecided"][0]["why"]
    assert accepted.code == 0
    assert "undecided, accepted by --accept-undecided" in accepted.report["facts"]["summary"]


SIZED = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
IN_THE_WAY = "CREATE INDEX zoo_size ON zoo_cage (name)"
DROPS = "DROP INDEX IF EXISTS zoo_size"
# What is understood is decided: test_hand_written_sql.py.
PUT_RIGHT = {
    "a block that drops an index": (
        f"migrations.RunSQL(\"DO $$ BEGIN EXECUTE '{DROPS}'; END $$\"),\n{SIZED}",
        IN_THE_WAY,
    ),
    "code whose SQL drops an index": (
        f'migrations.RunPython(lambda apps, editor: editor.execute("{DROPS}")),\n{SIZED}',
        IN_THE_WAY,
    ),
    "code that calls the schema editor": (
        "migrations.RunPython(lambda apps, editor: editor.remove_index("
        'apps.get_model("zoo", "Cage"), models.Index(fields=["name"], name="zoo_size"))),\n'
        f"{SIZED}",
        IN_THE_WAY,
    ),
    "an operation of somebody else's": (
        'type("Own", (migrations.RunSQL,), {"database_forwards": lambda self, label, editor, *a: '
        f'editor.execute("{DROPS}")}})(""),\n{SIZED}',
        IN_THE_WAY,
    ),
}


@pytest.mark.parametrize("name", PUT_RIGHT, ids=lambda name: name.replace(" ", "-"))
def test_what_code_before_it_may_have_put_right_is_left_open(
    name: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending, in_the_way = PUT_RIGHT[name]
    prepare(empty_database, write_migrations, pending, rows=1)
    execute(connections[empty_database], in_the_way)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert answer.code == 3, answer.stdout
    assert migrate(empty_database, "zoo") is None


def test_a_rehearsal_answers_what_an_operation_of_somebody_elses_left_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    own = (
        'type("Own", (migrations.RunSQL,), {"database_forwards": lambda self, label, editor, *a: '
        'editor.execute("SELECT 1")})(""),\n'
    )
    prepare(empty_database, write_migrations, own + SIZED, rows=0)
    execute(connections[empty_database], IN_THE_WAY)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    assert (answer.code, said(answer)) == (1, ["rehearsal-failed"]), answer.stdout
    assert migrate(empty_database, "zoo") is not None


def test_sql_before_it_that_names_something_else_does_not_leave_it_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    # "age" stands in zoo_cage, and an UPDATE of a table does not drop its index.
    pending = (
        'migrations.RunSQL("UPDATE zoo_cage SET size = 1"),\n'
        f'migrations.AddField("cage", "age", models.IntegerField(null=True)),\n{SIZED}'
    )
    prepare(empty_database, write_migrations, pending, rows=0)
    for statement in (IN_THE_WAY, "ALTER TABLE zoo_cage ADD COLUMN age int"):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    errors = [each["id"] for each in answer.report["findings"] if each["severity"] == "error"]
    assert (answer.code, errors) == (1, ["column-exists", "index-exists"]), answer.stdout
    assert migrate(empty_database, "zoo") is not None


def test_a_cast_that_cuts_texts_off_is_a_warning_with_the_rows(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    text = CAGE.replace("models.CharField(max_length=20)", "models.TextField()")
    shorter = 'migrations.AlterField("cage", "name", models.CharField(max_length=3)),'
    write_migrations(text)
    assert migrate(empty_database, "zoo") is None
    for _ in range(2):
        execute(connections[empty_database], ROW.replace("'a'", "'abcd'"))
    write_migrations(text, shorter)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"], finding["severity"]) == (0, "value-cut-off", "warning")
    assert finding["evidence"] == {"count": 2, "exact": True, "sample": ["1", "2"]}
    assert query(empty_database, finding["steps"][0]["text"]) == [(1,), (2,)]
    assert migrate(empty_database, "zoo") is None
    assert query(empty_database, "SELECT DISTINCT name FROM zoo_cage") == [("abc",)]


def test_a_type_that_the_plan_makes_by_sql_leaves_the_default_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, DOMAIN, rows=0)
    default = "ALTER TABLE zoo_cage ALTER COLUMN name SET DEFAULT 'a'"
    execute(connections[empty_database], default)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, said(answer)) == (3, ["not-rehearsed"]), answer.stdout
    assert migrate(empty_database, "zoo") is None


def test_rows_are_counted_up_to_a_limit_and_the_query_shows_them(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, POSITIVE, rows=0)
    many = "INSERT INTO zoo_cage (code, name, size) SELECT gen_random_uuid(), 'a', -n"
    execute(connections[empty_database], f"{many} FROM generate_series(1, 1500) n")

    [finding] = ops("preflight_migrate", "zoo", database=empty_database).report["findings"]

    assert finding["message"].startswith("more than 1,000 rows of public.zoo_cage do not satisfy")
    assert finding["evidence"]["exact"] is False
    assert len(query(empty_database, finding["steps"][0]["text"])) == 5


@pytest.mark.parametrize("pending", [POSITIVE, FILLED], ids=["a-check", "a-default"])
def test_rows_behind_row_security_are_not_taken_for_none(
    pending: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    prepare(empty_database, write_migrations, pending, rows=1)
    user = role()
    for statement in (
        f"""ALTER TABLE zoo_cage OWNER TO "{user["USER"]}" """,
        f"""GRANT SELECT, INSERT ON django_migrations TO "{user["USER"]}" """,
        "ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE zoo_cage FORCE ROW LEVEL SECURITY",
    ):
        execute(connections[empty_database], statement)
    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, said(answer)) == (3, ["not-rehearsed"])


def test_an_operation_of_somebody_elses_is_not_called(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    own = 'type("Own", (migrations.RunSQL,), {"database_forwards": lambda *a: 1 / 0})("SELECT 1"),'
    prepare(empty_database, write_migrations, own, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert answer.code == 3
    assert "a custom operation" in answer.report["undecided"][0]["why"]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ('migrations.RemoveField("cage", "nothing"),', "KeyError"),
        ('migrations.AddIndex("cage", models.Index(fields=["no"], name="n")),', "no field named"),
        (
            'migrations.AddField("cage", "x", models.ForeignKey("zoo.No", models.CASCADE)),',
            "'zoo.no' cannot be resolved",
        ),
        (
            'migrations.AlterField("cage", "name", models.GeneratedField(expression='
            "models.Value(1), output_field=models.IntegerField(), db_persist=True)),",
            "Modifying GeneratedFields is not supported",
        ),
    ],
    ids=["state", "field", "model", "generated"],
)
def test_an_operation_that_names_what_is_not_there_fails_as_in_migrate(
    operation: str, words: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    broken = 'migrations.RemoveField("cage", "size"),\n' + operation
    prepare(empty_database, write_migrations, broken, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, said(answer)) == (1, ["operation-raises"])
    finding = answer.report["findings"][0]
    assert (finding["migration"], finding["operation"][:3]) == ("zoo.0002_step", "1: ")
    assert words in finding["message"]
    assert migrate(empty_database, "zoo") is not None


def test_an_error_counts_although_something_else_is_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, CODE + "\n" + KEEPER, rows=0)
    execute(connections[empty_database], "ALTER TABLE zoo_cage DROP COLUMN code")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["missing-column"])


def test_sql_by_hand_that_puts_it_right_is_a_yes(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    repair = (
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD COLUMN IF NOT EXISTS code uuid '
        'UNIQUE DEFAULT gen_random_uuid()"),\n'
    )
    prepare(empty_database, write_migrations, repair + KEEPER, rows=0)
    execute(connections[empty_database], "ALTER TABLE zoo_cage DROP COLUMN code")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, said(answer)) == (0, [])
    assert migrate(empty_database, "zoo") is None


def test_rows_are_unknown_once_code_has_run(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    check = POSITIVE
    prepare(empty_database, write_migrations, CODE + "\n" + check, rows=0)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert [item["what"] for item in answer.report["undecided"]] == [
        "zoo.0002_step 0: RunPython",
        "zoo.0002_step 1: AddConstraint",
    ]


def test_a_type_that_sql_by_hand_makes_leaves_the_question_open(
    write_migrations: Write, ops: Ops, new_database: Callable[..., str]
) -> None:
    field = 'type("Words", (models.TextField,), {"db_type": lambda self, connection: "words"})()'
    write_migrations(
        CAGE,
        'migrations.RunSQL("CREATE DOMAIN words AS text"),'
        f'migrations.AddField("cage", "words", {field}),',
    )
    alias = new_database()
    assert migrate(alias, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 3, answer.report["findings"]
    assert any("creates the type words" in item["why"] for item in answer.report["undecided"])
    assert migrate(alias, "zoo") is None
