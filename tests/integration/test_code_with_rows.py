"""Code that finds no row of those that are there, or gives rows constants, is decided."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.aliases import guest
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, READS_SEQUENCES, execute_for

BODY = """
def run(apps, schema_editor):
    Cage = apps.get_model(app_label="zoo", model_name="Cage")
    {code}

operations = [migrations.RunPython(run)]
"""
CAGES = "Cage.objects.using(schema_editor.connection.alias)"
DECIDED = {
    "no such row": f"for cage in {CAGES}.filter(name='b'):\n        cage.delete()",
    "several conditions": f"if {CAGES}.exclude(size=1).exclude(name__in=('b', 'c')).exists() or"
    f" {CAGES}.filter(size__isnull=True).exists():\n        raise ValueError",
    "a part of a text": f"for cage in {CAGES}.filter(name__icontains='b%'):\n        cage.save()",
    "a query in it": f"{CAGES}.filter(size__in={CAGES}.filter(name='b').values('size')).delete()",
    "rows beside it": f"for cage in {CAGES}.filter(models.Exists({CAGES}.filter("
    "size=models.OuterRef('pk'), name__contains='b'))):\n        cage.save()",
    "a list of none": "Cage.objects.using(schema_editor.connection.alias).bulk_create("
    f"Cage(name=row['name']) for row in {CAGES}.filter(name='b').values('name').iterator())",
    "none of a list": f"keys = []\n    {CAGES}.filter(pk__in=keys).update(name=None)",
    "a constant for all": f"{CAGES}.update(size=7)",
    "constants for some": f"{CAGES}.filter(name='a').update(size=None, name='b')",
    "a text of a text": f"word = 'Cage'\n    {CAGES}.filter(size=1).update(name=f'{{word}} 2')",
}
# What rows make fail, or what is not understood of them.
OPEN = {
    "a row to delete": f"{CAGES}.filter(name='a').delete()",
    "a part of its text": f"{CAGES}.exclude(name__startswith='b').delete()",
    "a part of a number": f"{CAGES}.filter(size__contains=5).delete()",
    "a loop over it": f"for cage in {CAGES}.filter(name='a'):\n        cage.save()",
    "a query in it that finds it": f"{CAGES}.filter(size__in={CAGES}.values('size')).delete()",
    "rows beside it": f"for cage in {CAGES}.filter(models.Exists({CAGES}.filter("
    "pk=models.OuterRef('pk'), name__contains='a'))):\n        cage.save()",
    "an operator that lacks": f"{CAGES}.filter(models.Exists({CAGES}.filter("
    "name=models.OuterRef('code'), name__contains='b'))).delete()",
    "a list of one": "Cage.objects.using(schema_editor.connection.alias).bulk_create("
    f"Cage(name=row['name']) for row in {CAGES}.values('name').iterator())",
    "NULL": f"{CAGES}.update(name=None)",
    "a long text": f"{CAGES}.update(name='{'a' * 21}')",
    "a large number": f"{CAGES}.update(size=2147483648)",
    "a number for a text": f"{CAGES}.update(size='many')",
    "a unique column": f"{CAGES}.update(code='{'0' * 32}')",
    "how many they were": f"if {CAGES}.update(size=7):\n        raise ValueError",
    "an update, and more": f"{CAGES}.update(size=7)\n    {CAGES}.get(name='b')",
}


@pytest.fixture
def applied(empty_database: str, write_migrations: Write) -> str:
    """Return a database with the table, which has one row."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROW)
    return empty_database


def asked(ops: Ops, database: str) -> int:
    answer = ops("preflight_migrate", "zoo", database=database, rehearse="off")
    assert "internal-error" not in answer.ids
    return answer.code


@pytest.mark.parametrize("code", DECIDED.values(), ids=[*DECIDED])
def test_code_that_no_row_stops_is_decided(
    code: str, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code))

    assert asked(ops, applied) == 0
    assert migrate(applied, "zoo") is None


@pytest.mark.parametrize("code", OPEN.values(), ids=[*OPEN])
def test_code_that_a_row_may_stop_is_not(
    code: str, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code))

    assert asked(ops, applied) == 3


REFUSES = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
# What makes an UPDATE of the size fail, or computes something from it.
IN_THE_WAY = {
    "a trigger": f"{REFUSES} CREATE TRIGGER no BEFORE UPDATE ON zoo_cage FOR EACH ROW"
    " EXECUTE FUNCTION no()",
    "a rule": "CREATE RULE no AS ON UPDATE TO zoo_cage DO ALSO SELECT 1 / 0",
    "a check": "ALTER TABLE zoo_cage ADD CHECK (size < 5)",
    "a check of another column": "ALTER TABLE zoo_cage ADD CHECK (name = 'b') NOT VALID",
    "a unique index": "CREATE UNIQUE INDEX ON zoo_cage (size)",
    "an index of an expression": "CREATE INDEX ON zoo_cage ((1 / (size - 7)))",
    "an index of another expression": "CREATE INDEX ON zoo_cage (lower(name))",
    "a computed column": "ALTER TABLE zoo_cage ADD c int GENERATED ALWAYS AS (1 / size) STORED",
    "a child": "CREATE TABLE kid (CHECK (size < 5)) INHERITS (zoo_cage)",
    "a publication": "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey;"
    " CREATE PUBLICATION p FOR TABLE zoo_cage",
}


@pytest.mark.parametrize("damage", IN_THE_WAY.values(), ids=[*IN_THE_WAY])
def test_what_may_refuse_a_constant_leaves_it_open(
    damage: str, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=DECIDED["a constant for all"]))
    execute(connections[applied], damage)

    assert asked(ops, applied) == 3


def test_row_security_and_privileges_leave_it_open(
    applied: str, role: Callable[[], dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    user = role()
    execute_for(user, applied, *OWN, READS_SEQUENCES)
    write_migrations(CAGE, BODY.format(code=DECIDED["a constant for all"]))
    with guest(applied, user) as theirs:
        assert asked(ops, theirs) == 0
        execute_for(user, applied, "REVOKE UPDATE ON zoo_cage FROM {role}")
        assert asked(ops, theirs) == 3
        execute_for(user, applied, "GRANT ALL ON zoo_cage TO {role}")
        execute(connections[applied], "ALTER TABLE zoo_cage FORCE ROW LEVEL SECURITY")
        execute(connections[applied], "ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY")
        assert asked(ops, theirs) == 3


KEEPERS = """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("name", models.TextField()),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
]),
"""
# A row that its own transaction has written lets the triggers of its keys wait for the commit.
TWICE = """
def run(apps, schema_editor):
    Keeper = apps.get_model("zoo", "Keeper")
    keepers = Keeper.objects.using(schema_editor.connection.alias)
    keepers.update(name="a")
    keepers.filter(name__in=["a", "b"]).update(name="b")

operations = [
    migrations.RunPython(run),
    {more}
]
"""
ADDS = 'migrations.AddField("keeper", "age", models.IntegerField(null=True))'


def test_a_table_whose_rows_were_written_is_not_said_to_be_free_to_alter(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE + KEEPERS)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROW)
    execute(
        connections[empty_database],
        "INSERT INTO zoo_keeper (name, cage_id) SELECT 'k', id FROM zoo_cage",
    )
    once = TWICE.replace("    keepers.filter(", "    # keepers.filter(")
    write_migrations(CAGE + KEEPERS, once.format(more=ADDS))
    assert asked(ops, empty_database) == 0
    write_migrations(CAGE + KEEPERS, TWICE.format(more=""), f"operations = [{ADDS}]")
    assert asked(ops, empty_database) == 0
    alters = "ALTER TABLE zoo_keeper ADD age int"
    first = TWICE.index("    keepers.update(")
    by_hand = TWICE[:first] + TWICE[TWICE.index("    keepers.filter(") :].replace(
        "operations = [", "operations = [migrations.RunSQL(\"UPDATE zoo_keeper SET name = 'b'\"),"
    )
    for body in (
        TWICE.format(more=f"migrations.RunSQL('{alters}')"),
        by_hand.format(more=ADDS),
    ):
        write_migrations(CAGE + KEEPERS, body)
        assert asked(ops, empty_database) == 3
        assert "pending trigger events" in str(migrate(empty_database, "zoo"))
    write_migrations(CAGE + KEEPERS, TWICE.format(more=ADDS))
    assert asked(ops, empty_database) == 3
    assert "pending trigger events" in str(migrate(empty_database, "zoo"))


def test_what_the_rows_hold_then_is_not_taken_for_what_they_hold_now(
    applied: str, write_migrations: Write, ops: Ops
) -> None:
    null = 'operations = [migrations.AlterField("cage", "size", models.IntegerField())]'
    nothing = BODY.format(code=f"{CAGES}.filter(name='b').update(size=None)")
    write_migrations(CAGE, nothing, null)
    assert asked(ops, applied) == 0

    some = BODY.format(code=f"{CAGES}.filter(name='a').update(size=None)")
    write_migrations(CAGE, some, null)
    assert asked(ops, applied) == 3

    write_migrations(CAGE, BODY.format(code=f"{CAGES}.update(size=None)"), null)
    assert asked(ops, applied) == 1
    assert migrate(applied, "zoo") is not None


LAMBDA = """
operations = [
    migrations.RunPython(
        lambda apps, e: apps.get_model("zoo", "Cage").objects.using("{alias}").update(size=3){more}
    ),
]
"""


@pytest.mark.parametrize(
    ("more", "code"),
    [("", 0), (", lambda apps, editor: None", 3)],
    ids=["one", "two-in-a-line"],
)
def test_a_lambda_is_read_where_it_is_the_only_one_of_its_line(
    more: str, code: int, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, LAMBDA.format(alias=applied, more=more))

    assert asked(ops, applied) == code


HOUSES = """
migrations.CreateModel("House", [
    ("id", models.BigAutoField(primary_key=True)),
    ("at", models.ForeignKey("zoo.Cage", models.CASCADE, null=True)),
    ("words", models.CharField(max_length=9, null=True)),
]),
migrations.CreateModel("Room", [
    ("id", models.BigAutoField(primary_key=True)),
    ("house", models.ForeignKey("zoo.House", models.CASCADE)),
    ("words", models.CharField(max_length=9, null=True)),
]),
"""
FILLS = """
def fill(apps, schema_editor):
    house = apps.get_model("zoo", "House")
    room = apps.get_model("zoo", "Room")
    room.objects.using(schema_editor.connection.alias).update({given})
    {then}

operations = [
    migrations.AddField("room", "cage", models.ForeignKey("zoo.Cage", models.CASCADE, null=True)),
    migrations.RunPython(fill),
    migrations.AlterField("room", "cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
]
"""
CAGE_OF_HOUSE = (
    "cage=models.Subquery(house.objects.filter(pk=models.OuterRef('house_id')).values('at')[:1])"
)
NOW = "if schema_editor is not None and schema_editor.connection.vendor == 'postgresql':\n"
NOW += "        schema_editor.execute('SET CONSTRAINTS ALL IMMEDIATE')"


@pytest.mark.parametrize("at", ["id", "NULL"])
def test_values_of_another_row_are_asked_for_what_follows(
    at: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """As cms.0045 of django CMS does."""
    write_migrations(CAGE + HOUSES)
    assert migrate(empty_database, "zoo") is None
    connection = connections[empty_database]
    execute(connection, ROW)
    execute(connection, f"INSERT INTO zoo_house (at_id) SELECT {at} FROM zoo_cage")
    execute(connection, "INSERT INTO zoo_room (house_id) SELECT id FROM zoo_house")
    write_migrations(CAGE + HOUSES, FILLS.format(given=CAGE_OF_HOUSE, then=NOW))

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    assert answer.code == (0 if at == "id" else 1)
    assert answer.ids == ([] if at == "id" else ["null-values"])
    assert (migrate(empty_database, "zoo") is None) == (at == "id")


OTHERS = {
    "another type": CAGE_OF_HOUSE.replace("'at'", "'words'"),
    "not by its key": CAGE_OF_HOUSE.replace("pk=", "at="),
    "two conditions": CAGE_OF_HOUSE.replace("filter(", "filter(words='a', "),
}


@pytest.mark.parametrize("given", OTHERS.values(), ids=[*OTHERS])
def test_values_that_are_not_plain_to_see_leave_it_open(
    given: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE + HOUSES)
    assert migrate(empty_database, "zoo") is None
    connection = connections[empty_database]
    execute(connection, "INSERT INTO zoo_house (words) VALUES ('a')")
    execute(connection, "INSERT INTO zoo_room (house_id) SELECT id FROM zoo_house")
    write_migrations(CAGE + HOUSES, FILLS.format(given=given, then=""))

    assert asked(ops, empty_database) == 3


@pytest.mark.parametrize(("then", "code"), [("", 3), (NOW, 0)], ids=["waits", "now"])
def test_triggers_that_wait_leave_it_open_until_they_are_called(
    then: str, code: int, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """A key that was there before is checked at the commit, and its table cannot be altered."""
    write_migrations(CAGE + HOUSES)
    assert migrate(empty_database, "zoo") is None
    connection = connections[empty_database]
    execute(connection, f"{ROW}; {ROW}")
    execute(connection, "INSERT INTO zoo_house (at_id) SELECT max(id) FROM zoo_cage")
    execute(connection, "INSERT INTO zoo_room (house_id) SELECT id FROM zoo_house")
    given = "at=models.Subquery(room.objects.filter(pk=models.OuterRef('id')).values('house')[:1])"
    fill = FILLS.replace("room.objects", "house.objects").format(given=given, then=then)
    alters = ADDS.replace("keeper", "house")
    body = fill[: fill.index("operations")] + f"operations = [migrations.RunPython(fill), {alters}]"
    write_migrations(CAGE + HOUSES, body)

    assert asked(ops, empty_database) == code
    assert (migrate(empty_database, "zoo") is None) == (code == 0)


NAMES = """
def run(apps, schema_editor):
    if "{name}" in schema_editor.connection.introspection.table_names():
        raise ValueError

operations = [migrations.RunPython(run)]
"""


@pytest.mark.parametrize(("name", "code"), [("zoo_nothing", 0), ("zoo_view", 0), ("zoo_cage", 3)])
def test_whether_there_is_such_a_table_is_known(
    name: str, code: int, applied: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, NAMES.format(name=name))
    execute(connections[applied], "CREATE VIEW zoo_view AS SELECT 1")

    assert asked(ops, applied) == code
    assert (migrate(applied, "zoo") is None) == (code == 0)


RESETS = """
def reset(apps, schema_editor):
    Cage = apps.get_model("zoo", "Cage")
    statements = schema_editor.connection.ops.sequence_reset_sql(no_style(), [Cage])
    for statement in statements:
        schema_editor.execute(statement)

operations = [migrations.RunPython(reset)]
"""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("", 0),
        ("DELETE FROM zoo_cage", 0),
        ("UPDATE zoo_cage SET id = -5", 3),
        ("ALTER TABLE zoo_cage ALTER id DROP IDENTITY", 0),
        ("ALTER TABLE zoo_cage DROP COLUMN id", 3),
    ],
    ids=["a-row", "none", "below", "no-sequence", "no-column"],
)
def test_sequences_that_are_set_behind_the_last_row(
    change: str, code: int, applied: str, write_migrations: Write, ops: Ops
) -> None:
    """As wagtail's search_promotions.0006 does."""
    write_migrations(CAGE, RESETS)
    execute(connections[applied], change or "SELECT")

    assert asked(ops, applied) == code
    assert (migrate(applied, "zoo") is None) == (code == 0)


LOGGED = f"""
dependencies = [("contenttypes", "0002_remove_content_type_name")]
operations = [
    {CAGE}
    migrations.CreateModel("Log", [
        ("id", models.BigAutoField(primary_key=True)),
        ("number", models.BigIntegerField()),
        ("content_type", models.ForeignKey("contenttypes.ContentType", models.CASCADE)),
    ]),
]
"""
FORGETS = """
def run(apps, schema_editor):
    alias = schema_editor.connection.alias
    ContentType = apps.get_model("contenttypes", "ContentType")
    Cage = apps.get_model("zoo", "Cage")
    Log = apps.get_model("zoo", "Log")
    Log.objects.using(alias).filter(
        content_type=ContentType.objects.db_manager(alias).get_for_model(Cage),
        number__in=Cage._base_manager.filter(name="b"),
    ).delete()

operations = [migrations.RunPython(run)]
"""
A_LOG = "INSERT INTO zoo_log (number, content_type_id) SELECT c.id, t.id"
A_LOG += " FROM zoo_cage c, django_content_type t WHERE t.model = 'cage'"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (A_LOG, 0),
        (f"{A_LOG}; UPDATE zoo_cage SET name = 'b'", 3),
        ("UPDATE django_content_type SET model = 'pen' WHERE model = 'cage'", 3),
    ],
    ids=["others", "one", "no-type"],
)
def test_the_content_type_of_a_model_is_known_where_it_is_there(
    change: str, code: int, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """As common.0008 of pretalx does."""
    write_migrations(LOGGED)
    assert migrate(empty_database, "zoo") is None
    write_migrations(LOGGED, FORGETS)
    execute(connections[empty_database], f"{ROW}; {change}")

    assert asked(ops, empty_database) == code


OPERATION = """
class Own(migrations.operations.base.Operation):
    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        "For a linter."
        {does}

operations = [Own()]
"""


@pytest.mark.parametrize(("does", "code"), [("pass", 0), ("1 / 0", 3)])
def test_an_operation_that_says_nothing_does_nothing(
    does: str, code: int, applied: str, write_migrations: Write, ops: Ops
) -> None:
    """As IgnoreMigration of django-migration-linter."""
    write_migrations(CAGE, OPERATION.format(does=does))

    assert asked(ops, applied) == code
    assert (migrate(applied, "zoo") is None) == (code == 0)
