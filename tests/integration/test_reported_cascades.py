"""What goes along with what the plan drops, however far away it is, is named."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connections
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

SERIAL = (
    "ALTER TABLE zoo_cage ALTER id DROP IDENTITY",
    "CREATE SEQUENCE zoo_cage_id_seq OWNED BY zoo_cage.id",
    "ALTER TABLE zoo_cage ALTER id SET DEFAULT nextval('zoo_cage_id_seq')",
)
ELSEWHERE = "CREATE TABLE other (id bigint NOT NULL DEFAULT nextval('zoo_cage_id_seq'), t text)"
PLAIN = 'migrations.AlterField("cage", "id", models.BigIntegerField(primary_key=True)),'
NO_SIZE = 'migrations.RemoveField("cage", "size"),'
# What is pending, what stands by, and what must be named; the last says that it is gone.
GONE = {
    "the default of another table that a serial's sequence feeds": (
        PLAIN,
        (*SERIAL, ELSEWHERE),
        ["the default of public.other.id"],
        "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'other'::regclass",
    ),
    "what a column's sequence feeds, and views on a view": (
        'migrations.AddField("cage", "n", models.IntegerField(null=True)),\n'
        'migrations.RemoveField("cage", "n"),\n' + NO_SIZE,
        (
            "ALTER TABLE zoo_cage ALTER size SET DEFAULT 1",
            "CREATE SEQUENCE sizes OWNED BY zoo_cage.size",
            "CREATE TABLE other (id bigint DEFAULT nextval('sizes'))",
            "ALTER TABLE zoo_cage ADD twin bigint DEFAULT nextval('sizes')",
            "CREATE VIEW low AS SELECT size FROM zoo_cage",
            'CREATE VIEW "High" AS SELECT * FROM low',
            "CREATE RULE r AS ON UPDATE TO zoo_cage WHERE NEW.size > 9 DO INSTEAD NOTHING",
        ),
        [
            "the default of public.other.id",
            "the default of public.zoo_cage.twin",
            "the view public.low",
            'the view public."High"',
            "the rule r on public.zoo_cage",
        ],
        "SELECT count(*) FROM pg_class WHERE relname IN ('low', 'High')",
    ),
    "what rests on a table": (
        'migrations.DeleteModel("Cage"),',
        (
            "CREATE TABLE kid () INHERITS (zoo_cage)",
            "CREATE TABLE hoard (cage zoo_cage, t text)",
            "CREATE TABLE pens (id int)",
            "CREATE POLICY own ON pens USING (EXISTS (SELECT FROM zoo_cage))",
            "CREATE FUNCTION first(zoo_cage) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE RULE log AS ON INSERT TO pens DO ALSO DELETE FROM zoo_cage",
        ),
        [
            "the table public.kid",
            "the column public.hoard.cage",
            "the policy own on public.pens",
            "the function public.first(public.zoo_cage)",
            "the rule log on public.pens",
        ],
        "SELECT count(*) FROM pg_class WHERE relname = 'kid'",
    ),
    "what holds other columns to something": (
        NO_SIZE,
        (
            "ALTER TABLE zoo_cage ADD CONSTRAINT either CHECK (size > 0 OR name <> '')",
            "CREATE UNIQUE INDEX small ON zoo_cage (name) WHERE size < 9",
            "CREATE UNIQUE INDEX pair ON zoo_cage (name, size)",
            "CREATE UNIQUE INDEX alone ON zoo_cage (size)",
            "ALTER TABLE zoo_cage ADD CONSTRAINT apart EXCLUDE (size WITH =, name WITH =)",
        ),
        [
            "the constraint either of public.zoo_cage",
            "the constraint apart of public.zoo_cage",
            "the unique index small of public.zoo_cage",
            "the unique index pair of public.zoo_cage",
        ],
        "SELECT count(*) FROM pg_class WHERE relname IN ('small', 'pair')",
    ),
}


@pytest.mark.major
@pytest.mark.parametrize("case", GONE.values(), ids=[name.replace(" ", "-") for name in GONE])
def test_what_a_cascade_takes_along_is_named(
    case: tuple[str, tuple[str, ...], list[str], str],
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    pending, standing_by, victims, left = case
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, *standing_by):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    cascades = "CASCADE" in DatabaseSchemaEditor.sql_delete_column
    if NO_SIZE in pending and "the view public.low" in victims and not cascades:
        # Django 6.1 and later take nothing along with a column.
        assert (answer.code, answer.ids[0]) == (1, "view-in-the-way"), answer.stdout
        assert migrate(empty_database, "zoo") is not None
        return
    assert answer.code == 0, answer.stdout
    said = [item["message"] for item in answer.report["findings"] if "cascade" in item["id"]]
    for victim in victims:
        assert any(f"{victim} " in f"{message} " for message in said), (victim, said)
    assert len(said) == len(victims), said
    assert migrate(empty_database, "zoo") is None
    assert query(empty_database, left) == [(0,)]


def test_what_the_plan_has_dropped_before_goes_along_with_nothing(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pen = 'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),'
    write_migrations(CAGE + pen, 'migrations.DeleteModel("Pen"),\n' + PLAIN)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in SERIAL:
        execute(connections[empty_database], statement)
    feeds = "ALTER TABLE zoo_pen ADD n bigint DEFAULT nextval('zoo_cage_id_seq')"
    execute(connections[empty_database], feeds)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert [each for each in answer.ids if "cascade" in each] == []


def test_an_identity_stays_while_a_default_elsewhere_takes_its_values(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, PLAIN)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], ELSEWHERE)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 1, answer.stdout
    assert answer.ids == ["column-in-use"]
    assert "the default of public.other.id" in answer.report["findings"][0]["message"]
    assert "depend on it" in (migrate(empty_database, "zoo") or "")


SMALL = 'migrations.AlterField("cage", "id", models.AutoField(primary_key=True)),'
FAR = "SELECT setval('zoo_cage_id_seq', 3000000000)"
OUT_OF_RANGE = {
    "an identity that stands far": (FAR,),
    "an identity that starts far": ("ALTER SEQUENCE zoo_cage_id_seq START WITH 3000000000",),
    "an identity that ends far": ("ALTER SEQUENCE zoo_cage_id_seq MAXVALUE 4000000000",),
    "a serial that stands far": (*SERIAL, FAR),
    "an identity that counts down": (
        "ALTER SEQUENCE zoo_cage_id_seq INCREMENT -1 MINVALUE -4000000000 MAXVALUE 7",
        "SELECT setval('zoo_cage_id_seq', -3000000000)",
    ),
}


@pytest.mark.parametrize(
    "drift", OUT_OF_RANGE.values(), ids=[name.replace(" ", "-") for name in OUT_OF_RANGE]
)
def test_a_sequence_out_of_the_range_of_its_new_type_is_a_no(
    drift: tuple[str, ...],
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    alias = new_database()
    write_migrations(CAGE, SMALL)
    assert migrate(alias, "zoo", "0001") is None
    for statement in (ROW, *drift):
        execute(connections[alias], statement)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["sequence-out-of-range"]), answer.stdout
    assert migrate(alias, "zoo") is not None
    typist.type(alias, answer.report["findings"][0])
    after = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    assert after.code == 0, after.stdout
    assert migrate(alias, "zoo") is None
    execute(connections[alias], ROW)


def test_an_identity_becomes_no_text(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE, 'migrations.AlterField("cage", "size", models.TextField(null=True)),')
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], "ALTER TABLE zoo_cage ALTER size SET NOT NULL")
    identity = "ALTER TABLE zoo_cage ALTER size ADD GENERATED BY DEFAULT AS IDENTITY"
    execute(connections[empty_database], identity)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids[0]) == (1, "computed-column"), answer.stdout
    assert migrate(empty_database, "zoo") is not None
    typist.type(empty_database, answer.report["findings"][0])
    assert migrate(empty_database, "zoo") is None


UNIQUE = 'migrations.AlterField("cage", "code", models.UUIDField()),'
KEY = (
    'migrations.AlterField("cage", "id", models.BigIntegerField()),\n'
    'migrations.AlterField("cage", "code", models.UUIDField(primary_key=True)),'
)
BY_INDEX = "ALTER TABLE zoo_cage REPLICA IDENTITY USING INDEX zoo_cage_code_key"


@pytest.mark.parametrize(
    ("pending", "standing_by", "lost"),
    [(UNIQUE, (BY_INDEX,), True), (UNIQUE, (), False), (KEY, (), False)],
    ids=["its-index", "another-index", "another-key"],
)
def test_a_published_table_that_loses_its_replica_identity_is_named(
    pending: str,
    standing_by: tuple[str, ...],
    lost: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, "CREATE PUBLICATION zoo FOR ALL TABLES", *standing_by):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (0, ["replica-identity-lost"] * lost), answer.stdout
    # The history is published too.
    assert migrate(empty_database, "zoo") is None
    update = "UPDATE zoo_cage SET size = 2"
    if lost:
        with pytest.raises(DatabaseError, match="replica identity"):
            execute(connections[empty_database], update)
    else:
        execute(connections[empty_database], update)
