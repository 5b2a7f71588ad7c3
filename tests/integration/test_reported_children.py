"""What stands on a table that inherits from the altered one is asked as what stands on that is."""

from collections.abc import Sequence

import pytest
from django.db import Error, connections
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major
KID = "CREATE TABLE kid () INHERITS (zoo_cage)"
AS_TEXT = 'migrations.AlterField("cage", "size", models.TextField(null=True)),'
AS_SMALL = 'migrations.AlterField("cage", "size", models.SmallIntegerField(null=True)),'
BIGGER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'
FILL = 'migrations.AlterField("cage", "size", models.IntegerField(default=1)),'
NO_SIZE = 'migrations.RemoveField("cage", "size"),'
RENAMED = 'migrations.RenameField("cage", "size", "extent"),'
LATER = 'migrations.AlterField("cage", "extent", models.TextField(null=True)),'
AGAIN = 'migrations.AddField("cage", "size", models.TextField(null=True)),'
A_KID = "INSERT INTO kid (id, code, name, size) VALUES (9, gen_random_uuid(), 'k', {})"
RAISES = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'"
PARTITIONED = (
    "DROP TABLE zoo_cage CASCADE",
    "CREATE TABLE zoo_cage (id bigint, code uuid, name varchar(20) NOT NULL, size int, pen int)"
    " PARTITION BY LIST (pen)",
    "CREATE TABLE kid PARTITION OF zoo_cage DEFAULT",
)
GRANDCHILD = (KID, "CREATE TABLE grandchild () INHERITS (kid)")
# What is pending, what stands by; then what the answer may be, and words of it.
Case = tuple[str, Sequence[str], tuple[int, ...], str]
CASES: dict[str, Case] = {
    "an index": (AS_TEXT, (KID, "CREATE INDEX i ON kid ((size + 1))"), (1,), "index i of"),
    "an index of a grandchild": (
        AS_TEXT,
        (*GRANDCHILD, "CREATE INDEX i ON grandchild ((size + 1))"),
        (1,),
        "the index i of public.grandchild does not fit",
    ),
    "an index with a condition": (
        AS_TEXT,
        (KID, "CREATE INDEX i ON kid (name) WHERE size > 1"),
        (1,),
        "the index i of public.kid does not fit",
    ),
    "a check": (AS_TEXT, (KID, "ALTER TABLE kid ADD CHECK (size > 1)"), (1,), "check kid_size"),
    "statistics": (
        AS_TEXT,
        (KID, "CREATE STATISTICS s ON (size + 1) FROM kid"),
        (1,),
        "the statistics object s of public.kid does not fit",
    ),
    "a generated column": (
        BIGGER,
        (KID, "ALTER TABLE kid ADD twin int GENERATED ALWAYS AS (size + 1) STORED"),
        (1,),
        "public.kid.twin uses it",
    ),
    "a view": (BIGGER, (KID, "CREATE VIEW seen AS SELECT size FROM kid"), (1,), "public.seen uses"),
    "a policy": (BIGGER, (KID, "CREATE POLICY p ON kid USING (size > 1)"), (1,), "policy p on"),
    "a default": (
        AS_SMALL.replace("SmallInteger", "Boolean"),
        (KID, "ALTER TABLE kid ALTER size SET DEFAULT 5"),
        (1,),
        "public.kid.size",
    ),
    "a foreign key": (
        AS_TEXT,
        (
            KID,
            "CREATE TABLE sizes (n int PRIMARY KEY)",
            "ALTER TABLE kid ADD CONSTRAINT f FOREIGN KEY (size) REFERENCES sizes",
        ),
        (1,),
        "the foreign key f of public.kid joins public.kid.size",
    ),
    "an index method": (
        AS_TEXT,
        (KID, "CREATE INDEX i ON kid USING brin (size int4_minmax_multi_ops)"),
        (1, 3),
        "index i",
    ),
    "a column that a second parent has too": (
        BIGGER,
        ("CREATE TABLE other (size int)", "CREATE TABLE kid () INHERITS (zoo_cage, other)"),
        (1,),
        "kid",
    ),
    "a new name of what a second parent has too": (
        RENAMED,
        ("CREATE TABLE other (size int)", "CREATE TABLE kid () INHERITS (zoo_cage, other)"),
        (1,),
        "kid",
    ),
    "a unique index that the filled-in default breaks": (
        FILL,
        (KID, A_KID.format("NULL"), A_KID.format("1"), "CREATE UNIQUE INDEX i ON kid (size)"),
        (1, 3),
        "i",
    ),
    "a check that the filled-in default breaks": (
        FILL,
        (KID, A_KID.format("NULL"), "ALTER TABLE kid ADD CONSTRAINT few CHECK (size > 1)"),
        (1, 3),
        "public.kid",
    ),
    "a trigger that the filled-in default fires": (
        FILL,
        (
            KID,
            A_KID.format("NULL"),
            RAISES,
            "CREATE TRIGGER t BEFORE UPDATE ON kid FOR EACH ROW EXECUTE FUNCTION no()",
        ),
        (1, 3),
        "the trigger t of public.kid",
    ),
    "an index of a partition": (
        AS_TEXT,
        (*PARTITIONED, "CREATE INDEX i ON kid ((size + 1))"),
        (1,),
        "the index i of public.kid does not fit",
    ),
    "an index on a column that the plan renames": (
        RENAMED + LATER,
        (KID, "CREATE INDEX i ON kid ((size + 1))"),
        (1,),
        "the index i of public.kid does not fit",
    ),
    "a foreign table": (
        AS_TEXT,
        (
            "CREATE FOREIGN DATA WRAPPER nothing",
            "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
            "CREATE FOREIGN TABLE kid () INHERITS (zoo_cage) SERVER nowhere",
            "ALTER TABLE kid ADD CHECK (size > 1)",
        ),
        (1, 3),
        "kid",
    ),
    "a check of the same name": (
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="few")),',
        (KID, "ALTER TABLE kid ADD CONSTRAINT few CHECK (name <> '')"),
        (1, 3),
        "few",
    ),
    "an index of the name that a check gets": (
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="few")),',
        (KID, "ALTER TABLE kid ADD CONSTRAINT few UNIQUE (name)"),
        (1,),
        "and to public.kid",
    ),
    "a primary key, where the parent's column may become NULL": (
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, null=True)),',
        (KID, "ALTER TABLE kid ADD PRIMARY KEY (name)"),
        (1,),
        "primary key kid_pkey",
    ),
    "a column of its own, of another size": (
        'migrations.AddField("cage", "age", models.CharField(max_length=20, null=True)),',
        ("CREATE TABLE kid (age varchar(30)) INHERITS (zoo_cage)",),
        (1,),
        "has a column age of its own already",
    ),
    "a column of its own, of another collation": (
        'migrations.AddField("cage", "age", models.CharField(max_length=20, null=True,'
        ' db_collation="C")),',
        ("CREATE TABLE kid (age varchar(20)) INHERITS (zoo_cage)",),
        (3,),
        "can be merged",
    ),
    "a NULL": (
        'migrations.AlterField("cage", "size", models.IntegerField()),',
        (KID, A_KID.format("NULL")),
        (1,),
        "NULL in public.zoo_cage.size",
    ),
    # What is right all the same.
    "an index that fits": (BIGGER, (KID, "CREATE INDEX i ON kid ((size + 1))"), (0,), ""),
    "an index of all partitions": (
        AS_TEXT,
        (*PARTITIONED, "CREATE INDEX i ON zoo_cage (size)"),
        (0,),
        "",
    ),
    "a column dropped and added again": (NO_SIZE + AGAIN, (KID,), (0,), ""),
    "a column renamed and its name taken again": (RENAMED + AGAIN, GRANDCHILD, (0,), ""),
    "a column of its own that stays": (
        NO_SIZE + AGAIN.replace("TextField", "IntegerField"),
        ("CREATE TABLE kid (size int) INHERITS (zoo_cage)",),
        (0,),
        "",
    ),
    "a column of its own that stays, of another type": (
        NO_SIZE + AGAIN,
        ("CREATE TABLE kid (size int) INHERITS (zoo_cage)",),
        (1,),
        "kid",
    ),
}


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_what_stands_on_a_child_is_asked_too(
    name: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending, standing_by, codes, words = CASES[name]
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, *standing_by):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code in codes, answer.stdout
    told = [item["message"] for item in answer.report["findings"] if item["id"] != "not-rehearsed"]
    told += [item["why"] for item in answer.report["undecided"]]
    assert any(words in each for each in told) or not words, told
    assert (migrate(empty_database, "zoo") is None) == (codes == (0,))


def test_what_a_partition_has_from_its_parent_is_asked_once(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AS_TEXT)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (
        *PARTITIONED,
        "CREATE INDEX i ON zoo_cage ((size + 1))",
        "ALTER TABLE zoo_cage ADD CONSTRAINT few CHECK (size > 1)",
        "CREATE TABLE sizes (n int PRIMARY KEY)",
        "ALTER TABLE zoo_cage ADD CONSTRAINT f FOREIGN KEY (size) REFERENCES sizes",
    ):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    said = [item["message"] for item in answer.report["findings"] if item["severity"] == "error"]
    assert (answer.code, len(said)) == (1, 2), said
    assert "kid" not in " ".join(said)


def test_rows_of_a_column_of_its_own_may_have_no_value(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, 'migrations.AddField("cage", "age", models.IntegerField(default=5)),')
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in ("CREATE TABLE kid (age int) INHERITS (zoo_cage)", A_KID.format("1")):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    [why] = [item["why"] for item in answer.report["undecided"]]
    assert (answer.code, "public.kid.age can be merged" in why) == (3, True)
    # From PostgreSQL 18 on, NOT NULL goes on to the children as a constraint.
    fails = connections[empty_database].pg_version >= 180_000
    assert (migrate(empty_database, "zoo") is not None) == fails


def test_a_child_whose_not_null_is_its_own_stands_in_the_way(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, 'migrations.AlterField("cage", "size", models.IntegerField()),')
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], KID)
    own = "ALTER TABLE kid ADD CONSTRAINT n NOT NULL size NO INHERIT"
    if connections[empty_database].pg_version < 180_000:
        with pytest.raises(Error, match="syntax error"):
            execute(connections[empty_database], own)
        return
    execute(connections[empty_database], own)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["constraint-in-the-way"]), answer.stdout
    assert migrate(empty_database, "zoo") is not None


def test_what_a_cascade_takes_from_a_child_is_named(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, NO_SIZE)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (
        *GRANDCHILD,
        "CREATE VIEW seen AS SELECT size FROM kid",
        "CREATE UNIQUE INDEX pair ON grandchild (name, size)",
        "ALTER TABLE kid ADD CONSTRAINT either CHECK (size > 0 OR name <> '')",
        "CREATE POLICY few ON grandchild USING (size > 1)",
        "CREATE TABLE own (size int) INHERITS (zoo_cage)",
        "CREATE VIEW stays AS SELECT size FROM own",
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE far () INHERITS (zoo_cage) SERVER nowhere",
        "CREATE VIEW afar AS SELECT size FROM far",
    ):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    said = " ".join(item["message"] for item in answer.report["findings"])
    cascades = "CASCADE" in DatabaseSchemaEditor.sql_delete_column
    assert answer.code == (0 if cascades else 1), answer.stdout
    if cascades:
        assert "the view public.afar" in said
    for victim in (
        "the view public.seen",
        "the unique index pair of public.grandchild",
        "the constraint either of public.kid",
        "the policy few on public.grandchild",
    ):
        assert said.count(victim) == 1, (victim, said)
    assert "stays" not in said
    assert (migrate(empty_database, "zoo") is None) == cascades
