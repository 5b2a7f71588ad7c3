"""Limits of an index, statistics that compute, triggers that a fill fires, children's columns."""

from collections.abc import Sequence

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.data_pairs import row
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major
MANY = (
    '[("id", models.BigAutoField(primary_key=True))] + [(f"c{n}", models.IntegerField()) for n in'
)
COLUMNS = '[f"c{n}" for n in range(%d)]'
WIDE = f'migrations.CreateModel("Wide", {MANY} range(33)]),'
ON_WIDE = 'migrations.AddIndex("wide", models.Index(%s, name="zoo_many")),'
UNIQUE = f'models.UniqueConstraint(fields={COLUMNS % 33}, name="zoo_many")'
TEXTUAL = CAGE.replace("models.CharField(max_length=20)", "models.TextField()")
LONG = "INSERT INTO zoo_cage (code, name) SELECT gen_random_uuid(), string_agg(md5(n::text), '')"
LONG += " FROM generate_series(1, 200) n"
CARRIES = 'migrations.AddIndex("cage", models.Index(%s, include=["name"], name="zoo_n")),'
AS_TEXT = 'migrations.AlterField("cage", "size", models.TextField(null=True)),'
FILL = 'migrations.AlterField("cage", "size", models.IntegerField(default=1)),'
NULL = row(size="NULL")
RAISES = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'"
RULE = "CREATE RULE r AS ON {} TO zoo_cage DO INSTEAD NOTHING"


def trigger(when: str, each: str = "ROW") -> tuple[str, ...]:
    """Return what makes a trigger that raises."""
    made = f"CREATE TRIGGER t {when} ON zoo_cage FOR EACH {each} EXECUTE FUNCTION no()"
    return RAISES, made


# What is applied and pending, what stands by, the answer without a rehearsal, and words of it.
Case = tuple[str, str, Sequence[str], int, str]
CASES: dict[str, Case] = {
    "an index of 33 columns": (
        CAGE + WIDE,
        ON_WIDE % f"fields={COLUMNS % 33}",
        (),
        1,
        "index zoo_many of public.zoo_wide has 33 columns: it can have 32",
    ),
    "an index that carries the 33rd": (
        CAGE + WIDE,
        ON_WIDE % f'fields=["id"], include={COLUMNS % 32}',
        (),
        1,
        "has 33 columns",
    ),
    "an index of 32": (CAGE + WIDE, ON_WIDE % f"fields={COLUMNS % 32}", (), 0, ""),
    "uniqueness of 33": (
        CAGE + WIDE,
        f'migrations.AddConstraint("wide", {UNIQUE}),',
        (),
        1,
        "has 33 columns",
    ),
    "uniqueness of 33 in a new table": (
        CAGE,
        WIDE.replace("]),", f'], options={{"constraints": [{UNIQUE}]}}),'),
        (),
        1,
        "has 33 columns",
    ),
    "a long text that is carried along": (
        TEXTUAL,
        CARRIES % 'fields=["size"]',
        (LONG,),
        1,
        "too big for an index on (name)",
    ),
    "a long text carried with an expression": (
        TEXTUAL,
        CARRIES % 'models.F("size") + 1',
        (LONG,),
        1,
        "too big for an index on (name)",
    ),
    "a text too long for a search vector": (
        TEXTUAL,
        'migrations.AddIndex("cage", GinIndex(SearchVector("name", config="simple"), name="zoo")),',
        (LONG.replace("''", "' '").replace("200", "40000"),),
        1,
        "string is too long for tsvector",
    ),
    "statistics that compute with another type": (
        CAGE,
        AS_TEXT,
        ("CREATE STATISTICS st ON (size + 1) FROM zoo_cage",),
        1,
        "the statistics object st of public.zoo_cage does not fit size as text",
    ),
    "statistics of columns": (
        CAGE,
        AS_TEXT,
        ("CREATE STATISTICS st ON size, name FROM zoo_cage",),
        0,
        "",
    ),
    "a rule of the table": (
        CAGE,
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        ("CREATE RULE r AS ON UPDATE TO zoo_cage WHERE NEW.size > 9 DO INSTEAD NOTHING",),
        1,
        "while the rule r on public.zoo_cage uses it",
    ),
    "a rule of another table": (
        CAGE,
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        (
            "CREATE TABLE yard (n int)",
            "CREATE RULE r AS ON INSERT TO yard DO ALSO UPDATE zoo_cage SET size = NEW.n",
        ),
        1,
        "while the rule r on public.yard uses it",
    ),
    "a trigger that is fired": (CAGE, FILL, (NULL, *trigger("BEFORE UPDATE")), 3, "the trigger t"),
    "a trigger of the column": (
        CAGE,
        FILL,
        (NULL, *trigger("AFTER UPDATE OF size")),
        3,
        "the trigger t",
    ),
    "a trigger of another column": (CAGE, FILL, (NULL, *trigger("AFTER UPDATE OF name")), 0, ""),
    "a trigger on INSERT": (CAGE, FILL, (NULL, *trigger("BEFORE INSERT")), 0, ""),
    "a trigger on TRUNCATE": (CAGE, FILL, (NULL, *trigger("BEFORE TRUNCATE", "STATEMENT")), 0, ""),
    "a trigger of a replica": (
        CAGE,
        FILL,
        (NULL, *trigger("AFTER UPDATE"), "ALTER TABLE zoo_cage ENABLE REPLICA TRIGGER t"),
        0,
        "",
    ),
    "a trigger where nothing is filled in": (CAGE, FILL, trigger("AFTER UPDATE"), 0, ""),
    "a trigger of the statement, where nothing is filled in": (
        CAGE,
        FILL,
        trigger("AFTER UPDATE", "STATEMENT"),
        3,
        "the trigger t",
    ),
    "a trigger of the statement, on no row": (
        CAGE,
        FILL,
        ("DELETE FROM zoo_cage", *trigger("AFTER UPDATE", "STATEMENT")),
        3,
        "the trigger t",
    ),
    "a rule on UPDATE": (CAGE, FILL, (NULL, RULE.format("UPDATE")), 3, "the rule r"),
    "a rule on INSERT": (CAGE, FILL, (NULL, RULE.format("INSERT")), 0, ""),
}


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_it_is_known_without_a_rehearsal(
    name: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answered(CASES[name], empty_database, write_migrations, ops)


def answered(case: Case, empty_database: str, write_migrations: Write, ops: Ops) -> None:
    """Ask, and see what the real migrate does."""
    first, pending, standing_by, code, words = case
    write_migrations(first, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, *standing_by):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == code, answer.stdout
    told = [item["message"] for item in answer.report["findings"]]
    told += [item["why"] for item in answer.report["undecided"]]
    assert any(words in each for each in told) or not words, told
    # What is left open are triggers and rules that make it fail.
    assert (migrate(empty_database, "zoo") is None) == (code == 0)


KID = "CREATE TABLE kid ({}) INHERITS (zoo_cage)"
OTHERS_ROWS = "INSERT INTO kid (id, code, name, size) SELECT 9, code, name, size FROM zoo_cage"
BIGGER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'
CHILDREN: dict[str, Case] = {
    "a child that has the column already, of another type": (
        CAGE,
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        (KID.format("age text"),),
        1,
        "kid, which inherits from public.zoo_cage, has a column age of its own already: text",
    ),
    "a child that has the column already": (
        CAGE,
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        (KID.format("age int"),),
        0,
        "",
    ),
    "a child that has the new name": (
        CAGE,
        'migrations.RenameField("cage", "size", "extent"),',
        (KID.format("extent int"),),
        1,
        "has a column extent of its own already",
    ),
    "a view of a child": (
        CAGE,
        BIGGER,
        (KID.format(""), "CREATE VIEW seen AS SELECT size FROM kid"),
        1,
        "the view public.seen uses it",
    ),
    "a policy of a child": (
        CAGE,
        BIGGER,
        (KID.format(""), "CREATE POLICY few ON kid USING (size > 1)"),
        1,
        "the policy few on public.kid uses it",
    ),
}


@pytest.mark.parametrize("name", CHILDREN, ids=lambda name: name.replace(" ", "-"))
def test_a_child_that_stands_in_the_way_is_known(
    name: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answered(CHILDREN[name], empty_database, write_migrations, ops)


def test_rows_of_a_child_are_no_duplicates_of_the_parents(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(
        CAGE, 'migrations.AlterField("cage", "size", models.IntegerField(unique=True)),'
    )
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, KID.format(""), OTHERS_ROWS):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    # They are asked for together: whose they are is not known.
    assert (answer.code, answer.ids) == (3, ["not-rehearsed"]), answer.stdout
    assert migrate(empty_database, "zoo") is None
