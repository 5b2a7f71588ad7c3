"""Functions whose bodies name what the plan drops or renames are named, before they fail."""

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

TRIGGER = (
    'CREATE FUNCTION "Check"() RETURNS trigger LANGUAGE plpgsql AS \'BEGIN'
    " NEW.size := NEW.size + 1; RETURN NEW; END'",
    "CREATE TRIGGER counts BEFORE INSERT OR UPDATE ON zoo_cage"
    ' FOR EACH ROW EXECUTE FUNCTION "Check"()',
)
SUM = ("CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(size) FROM zoo_cage'",)
DYNAMIC = (
    "CREATE FUNCTION total() RETURNS void LANGUAGE plpgsql AS"
    " 'BEGIN EXECUTE ''UPDATE zoo_cage SET size = 1''; END'",
)
DROPS = 'migrations.RemoveField("cage", "size"),'
RENAMES = 'migrations.RenameField("cage", "size", "extent"),'
NAMED = {
    "a trigger's function, a column dropped": (DROPS, TRIGGER, 'public."Check"()'),
    "a trigger's function, a column renamed": (RENAMES, TRIGGER, 'public."Check"()'),
    "a function in SQL": (DROPS, SUM, "public.total()"),
    "a statement in a string": (RENAMES, DYNAMIC, "public.total()"),
    "a table renamed": ('migrations.AlterModelTable("cage", "zoo_pen"),', SUM, "public.total()"),
    "a table dropped": ('migrations.DeleteModel("Cage"),', SUM, "public.total()"),
    "a column renamed, of a table renamed before": (
        'migrations.RenameModel("Cage", "Pen"),\nmigrations.RemoveField("pen", "size"),',
        TRIGGER,
        'public."Check"()',
    ),
}
CALLS = {'public."Check"()': ROW, "public.total()": "SELECT total()"}


@pytest.mark.major
@pytest.mark.parametrize("case", NAMED.values(), ids=[name.replace(" ", "-") for name in NAMED])
def test_a_body_that_names_what_goes_is_named(
    case: tuple[str, tuple[str, ...], str],
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    pending, standing_by, function = case
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (*standing_by, ROW):
        execute(connections[empty_database], statement)
    execute(connections[empty_database], CALLS[function])

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (0, ["named-in-function"]), answer.stdout
    [finding] = answer.report["findings"]
    assert finding["severity"] == "warning"
    assert function in finding["message"]
    assert migrate(empty_database, "zoo") is None
    if "RemoveField" in pending or "Drop" in pending:
        with pytest.raises(Exception, match=r"size|zoo_cage"):
            execute(connections[empty_database], CALLS[function].replace("zoo_cage", "zoo_pen"))


QUIET = {
    "a function of another table": (
        DROPS,
        ("CREATE FUNCTION total() RETURNS int LANGUAGE sql AS 'SELECT 1 AS size'",),
    ),
    "a word in a comment": (
        DROPS,
        (
            "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS"
            " 'SELECT count(id) FROM zoo_cage /* not /* all */ of size */'",
        ),
    ),
    "a column that the plan has made": (
        'migrations.AddField("cage", "width", models.IntegerField(null=True)),\n'
        'migrations.RemoveField("cage", "width"),',
        (
            "CREATE FUNCTION total() RETURNS void LANGUAGE plpgsql AS"
            " 'DECLARE width int; BEGIN PERFORM FROM zoo_cage; END'",
        ),
    ),
}


@pytest.mark.parametrize("case", QUIET.values(), ids=[name.replace(" ", "-") for name in QUIET])
def test_a_body_that_names_something_else_is_not(
    case: tuple[str, tuple[str, ...]], empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, case[0])
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in case[1]:
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (0, []), answer.stdout


REPLACED = (
    "CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE sql AS "
    "'SELECT sum(extent) FROM zoo_cage'"
)


def test_code_that_writes_of_a_function_does_not_replace_it(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    code = "UPDATE zoo_cage SET name = 'of function total'"
    way = f'migrations.RunPython(lambda apps, editor: editor.execute("{code}")),'
    write_migrations(CAGE, RENAMES + "\n" + way)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], SUM[0])

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    assert (answer.code, answer.ids) == (0, ["named-in-function"]), answer.stdout


@pytest.mark.parametrize(
    ("way", "rehearse"),
    [
        (f'migrations.RunSQL("{REPLACED}"),', "schema"),
        (f'migrations.RunPython(lambda apps, editor: editor.execute("{REPLACED}")),', "clone"),
    ],
    ids=["by-hand", "by-code"],
)
def test_a_function_that_the_plan_replaces_is_not_named(
    way: str, rehearse: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, RENAMES + "\n" + way)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], SUM[0])

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse=rehearse)

    assert "named-in-function" not in answer.ids, answer.stdout
    assert answer.code == 0
    assert migrate(empty_database, "zoo") is None
