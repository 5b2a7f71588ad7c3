"""Rows of tables that the plan itself makes: what code leaves them, in a database without any."""

import pytest
from django.db import connections

from tests.conftest import Answer, Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

# A body of class Migration, so that the code is a function with a source.
BODY = """
def run(apps, schema_editor):
    Cage = apps.get_model("zoo", "Cage")
    {code}

operations = [migrations.RunPython(run)]
"""
STRICT = """
migrations.AlterField("cage", "size", models.IntegerField()),
migrations.AlterField("cage", "name", models.CharField(max_length=20, unique=True)),
"""
USING = "Cage.objects.using(schema_editor.connection.alias)"
LEAVES_NOTHING = {
    "an update": f"{USING}.filter(size=None).update(size=1)",
    "a loop that saves": f"for cage in {USING}.all():\n        cage.size = len(cage.name)\n"
    "        cage.save()",
    "a deletion": f"{USING}.all().delete()",
    "expressions": f'{USING}.annotate(low=Lower("name")).update(size=models.F("size"))',
}
MAY_MAKE = {
    "a class among values": "for cage in map(Cage, [1]):\n"
    "        cage.save(using=schema_editor.connection.alias)",
    "a creation": f'{USING}.create(name="a")',
    "an object": 'Cage(name="a").save(using=schema_editor.connection.alias)',
    "a method by its name": f'getattr({USING}, "create")(name="a")',
    "a method as a value": f'make = {USING}.create\n    make(name="a")',
    "an import": "from tests.integration.pairs import ROW\n    schema_editor.execute("
    'ROW.replace(", 1)", ", NULL)"))',
    "SQL": 'schema_editor.execute("INSERT INTO zoo_cage (code, name) VALUES ('
    "gen_random_uuid(), 'a')\")",
}


def question(answer: Answer) -> list[str]:
    """Return what is open because of rows."""
    return [item["why"] for item in answer.report["undecided"] if "rows" in item["why"]]


@pytest.mark.parametrize("code", LEAVES_NOTHING.values(), ids=[*LEAVES_NOTHING])
def test_code_that_finds_no_row_leaves_none(
    code: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code), STRICT)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    # The code itself, where it is not understood as a whole (test_idle_code.py).
    assert len(answer.report["undecided"]) == (code == LEAVES_NOTHING["expressions"])
    assert question(answer) == [], answer.stdout
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize("code", MAY_MAKE.values(), ids=[*MAY_MAKE])
def test_code_that_may_make_rows_leaves_it_open(
    code: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=code), STRICT)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert question(answer) != [], answer.stdout
    # There is a row now, and it has no size.
    assert "null values" in (migrate(empty_database, "zoo") or "")


@pytest.mark.parametrize(
    ("statement", "is_open"),
    [
        ("UPDATE zoo_cage SET size = 1 WHERE size IS NULL", False),
        ("CREATE INDEX ON zoo_cage (size); COMMENT ON TABLE zoo_cage IS 'SELECT (1)'", False),
        ("INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'a')", True),
        ("UPDATE zoo_cage SET size = 1; SELECT 1", True),
        ("UPDATE zoo_cage SET size = (now())::text::int", True),
    ],
)
def test_so_it_is_with_sql_written_by_hand(
    statement: str, is_open: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, f'migrations.RunSQL("{statement}"),', STRICT)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert bool(question(answer)) == is_open, answer.stdout


def test_where_there_are_tables_code_may_have_done_anything(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, BODY.format(code=LEAVES_NOTHING["expressions"]), STRICT)
    execute(connections[empty_database], "CREATE TABLE other (id int)")

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert question(answer) != []


def test_what_is_made_after_code_that_makes_rows_has_none(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    makes = BODY.format(code=f'{USING}.create(name="a")')
    dens = """
migrations.CreateModel("Den", [("id", models.BigAutoField(primary_key=True)),
    ("size", models.IntegerField(null=True))]),
"""
    works = BODY.format(code=LEAVES_NOTHING["an update"])
    strict = 'migrations.AlterField("den", "size", models.IntegerField(unique=True)),'
    write_migrations(CAGE, makes, dens, works, strict)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert question(answer) == [], answer.stdout
    assert migrate(empty_database, "zoo") is None


def test_a_big_plan_is_told_in_a_page_and_its_rows_are_decided(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    step = """
def run(apps, schema_editor):
    Pen = apps.get_model("zoo", "Pen{0}")
    Pen.objects.using(schema_editor.connection.alias).update(size=models.F("size"))

operations = [
    migrations.CreateModel("Pen{0}", [
        ("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField(null=True)),
    ]),
    migrations.RunPython(run),
    migrations.RunSQL("UPDATE zoo_pen{0} SET size = {0} WHERE size IS NULL RETURNING id"),
    migrations.AlterField("pen{0}", "size", models.IntegerField()),
]
"""
    write_migrations(CAGE, *(step.format(number) for number in range(60)))

    text = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off", format="text")
    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert text.code == answer.code == 3
    assert "… and 53 more" in text.stdout
    assert "  - 60 places: code, which only a rehearsal decides\n" in text.stdout
    assert "  - 60 places: hand-written SQL, which is not understood\n" in text.stdout
    assert text.stdout.count("and 57 more: --format json has them all") == 2
    assert len(text.stdout.splitlines()) <= 40, text.stdout
    told = answer.report["undecided"]
    assert len(told) == 120, [item for item in told if "depends on the rows" in item["why"]][:3]
    assert {*told[0]} == {"what", "why"}
