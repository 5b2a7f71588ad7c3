"""What pg_dump leaves out or renews: the copy has it all the same, or nothing is said by it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.own_extensions import extensions_from
from tests.rehearsals import owner_of_zoo, prepared, rehearse

pytestmark = pytest.mark.major

LEFTOVER = "CREATE INDEX leftover ON zoo_cage (size)"
# As an interrupted CREATE INDEX CONCURRENTLY leaves it.
INVALID = (
    LEFTOVER,
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'leftover'::regclass",
)
NOT_READY = (
    *INVALID,
    "UPDATE pg_index SET indisready = false WHERE indexrelid = 'leftover'::regclass",
)
TWICE = "INSERT INTO zoo_cage (code, name, size) SELECT gen_random_uuid(), name, size FROM zoo_cage"
UNIQUE = (
    TWICE,
    "CREATE INDEX leftover ON zoo_cage (name)",
    "UPDATE pg_index SET indisvalid = false, indisready = false, indisunique = true"
    " WHERE indexrelid = 'leftover'::regclass",
)
FLAGS = (
    "SELECT concat_ws(' ', indisvalid, indisready, indisunique) FROM pg_index"
    " WHERE indexrelid = 'public.leftover'::regclass"
)


def by_hand(statement: str) -> str:
    """Return an operation."""
    return f"migrations.RunSQL({statement!r}),"


def asserting(condition: str) -> str:
    """Return an operation that fails where the copy does not answer as it should."""
    return by_hand(f"DO $$ BEGIN ASSERT ({condition}); END $$")


@pytest.mark.parametrize(
    ("damage", "flags"),
    [(INVALID, "f t f"), (NOT_READY, "f f f"), (UNIQUE, "f f t")],
    ids=["invalid", "not-ready", "unique"],
)
def test_an_invalid_index_is_in_the_copy(
    damage: tuple[str, ...],
    flags: str,
    settings: Any,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    # On a server of our own, where one suits.
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    there = asserting(f"({FLAGS}) = '{flags}'")
    alias = prepared(empty_database, write_migrations, by_hand(LEFTOVER), *damage)
    user = role("CREATEDB")
    execute(connections[alias], f"""GRANT CREATE ON SCHEMA public TO "{user["USER"]}" """)
    with owner_of_zoo(alias, user) as asking:
        taken = rehearse(ops, asking)
        failure = migrate(asking, "zoo")
        write_migrations(CAGE, there + by_hand("ALTER INDEX leftover RENAME TO kept"))
        renamed = rehearse(ops, asking)
        write_migrations(CAGE, there + by_hand("DROP INDEX leftover") + by_hand(LEFTOVER))
        dropped = rehearse(ops, asking)
        assert migrate(asking, "zoo") is None

    assert 'relation "leftover" already exists' in str(failure)
    assert (taken.code, taken.ids[0]) == (1, "rehearsal-failed"), taken.stdout
    finding = taken.report["findings"][0]
    assert "INVALID" in finding["hint"]
    assert [step["text"] for step in finding["steps"]] == [
        'DROP INDEX CONCURRENTLY "public"."leftover";'
    ]
    assert (renamed.code, dropped.code) == (0, 0), renamed.stdout + dropped.stdout


def test_what_writes_the_table_anew_builds_an_invalid_index_too(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    volatile = "ALTER TABLE zoo_cage ADD COLUMN of uuid DEFAULT gen_random_uuid()"
    alias = prepared(empty_database, write_migrations, by_hand(volatile), *UNIQUE)

    answer = rehearse(ops, alias)

    assert 'could not create unique index "leftover"' in str(migrate(alias, "zoo"))
    assert (answer.code, answer.ids[0]) == (1, "rehearsal-failed"), answer.stdout


# Of each kind that a dump may lose or rename; all of it is in the copy as it is here.
KINDS = (
    "CREATE TABLE yard (id int PRIMARY KEY, cage uuid REFERENCES zoo_cage (code), a text, b text)",
    "CREATE STATISTICS together ON a, b FROM yard",
    "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    *(
        f"CREATE TRIGGER {name} BEFORE INSERT ON yard FOR EACH ROW EXECUTE FUNCTION noted()"
        for name in ("off", "replica", "always")
    ),
    "ALTER TABLE yard DISABLE TRIGGER off",
    "ALTER TABLE yard ENABLE REPLICA TRIGGER replica",
    "ALTER TABLE yard ENABLE ALWAYS TRIGGER always",
    "CREATE RULE quiet AS ON DELETE TO yard DO INSTEAD NOTHING",
    "ALTER TABLE yard DISABLE RULE quiet",
    "CREATE TABLE parted (id int PRIMARY KEY, yard int REFERENCES yard) PARTITION BY LIST (id)",
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
    "CREATE INDEX parted_yard ON parted (yard)",
    "CREATE INDEX ON ONLY parted (id, yard)",
    "CREATE TYPE mood AS ENUM ('glad')",
    "CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> '')",
    "CREATE VIEW seen AS SELECT * FROM yard",
    "CREATE MATERIALIZED VIEW kept AS SELECT * FROM yard",
    "CREATE COLLATION plain (LC_COLLATE = 'C', LC_CTYPE = 'C')",
    "CREATE TEXT SEARCH CONFIGURATION english_too (COPY = pg_catalog.english)",
    "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int4, RIGHTARG = int4)",
    "ALTER TABLE zoo_cage RENAME TO zoo_cages",
    "ALTER TABLE zoo_cages RENAME TO zoo_cage",
    "CREATE SCHEMA other",
    "CREATE POLICY mine ON yard USING (true)",
)
# As ALTER TABLE … DISABLE TRIGGER ALL leaves them.
KEYS_OFF = "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgisinternal AND tgrelid = 'yard'::regclass"
ORPHAN = "INSERT INTO yard (id, cage) VALUES (1, gen_random_uuid())"
STATES = (
    "SELECT string_agg(concat(tgname, tgenabled), ' ' ORDER BY tgname) FROM pg_trigger"
    " WHERE tgrelid = 'public.yard'::regclass AND NOT tgisinternal"
)


@pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "owner"])
def test_all_that_has_a_name_and_a_state_is_in_the_copy(
    superuser: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    """The triggers behind foreign keys as well, which only a superuser can switch off."""
    pending = asserting(f"({STATES}) = 'alwaysA offD replicaR'") + by_hand(ORPHAN)
    alias = prepared(empty_database, write_migrations, pending, *KINDS)
    user = {"USER": connections[alias].settings_dict["USER"]} if superuser else role("CREATEDB")
    execute(connections[alias], f"""GRANT ALL ON yard, parted TO "{user["USER"]}" """)
    with owner_of_zoo(alias, user) as asking:
        execute(
            connections[alias],
            f"""GRANT SELECT ON ALL TABLES IN SCHEMA public
            TO "{user["USER"]}" """,
        )
        checked = rehearse(ops, asking)
        execute(connections[alias], KEYS_OFF)
        connections[asking].close()
        off = rehearse(ops, asking)
        assert migrate(asking, "zoo") is None

    assert checked.report["facts"]["rehearsal"]["differences"] == []
    assert (checked.code, checked.ids) == (1, ["rehearsal-failed"]), checked.stdout
    assert "yard_cage_fkey" in checked.report["findings"][0]["message"]
    assert off.code == (0 if superuser else 3), off.stdout


ZVER = {
    "zver.control": "default_version = '2'\ntrusted = true\n",
    "zver--1.sql": "CREATE FUNCTION first() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "zver--1--2.sql": "CREATE FUNCTION second() RETURNS int LANGUAGE sql AS 'SELECT 2';",
}


def test_an_extension_is_of_the_same_version_in_the_copy(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    with extensions_from("default", ZVER) as there:
        if not there:
            with pytest.raises(Error, match="zver"):
                execute(connections[new_database()], "CREATE EXTENSION zver")
            return
        alias = prepared(
            new_database(),
            write_migrations,
            by_hand("SELECT odd.second()"),
            "CREATE SCHEMA odd",
            "CREATE EXTENSION zver SCHEMA odd VERSION '1'",
        )
        too_new = rehearse(ops, alias)
        failure = migrate(alias, "zoo")
        write_migrations(
            CAGE, by_hand("ALTER EXTENSION zver UPDATE") + by_hand("SELECT odd.second()")
        )
        updated = rehearse(ops, alias)
        assert migrate(alias, "zoo") is None

    assert "second() does not exist" in str(failure)
    assert (too_new.code, too_new.ids) == (1, ["rehearsal-failed"]), too_new.stdout
    assert (updated.code, updated.report["facts"]["rehearsal"]["differences"]) == (0, [])


def test_a_schema_public_that_is_gone_is_gone_in_the_copy(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(OPTIONS={"options": "-c search_path=own"})
    execute(connections[alias], "CREATE SCHEMA own")
    execute(connections[alias], "DROP SCHEMA public")
    prepared(alias, write_migrations, by_hand("CREATE TABLE public.elsewhere (id int)"))

    answer = rehearse(ops, alias)

    assert 'schema "public" does not exist' in str(migrate(alias, "zoo"))
    assert (answer.code, answer.report["facts"]["rehearsal"]["differences"]) == (1, []), (
        answer.stdout
    )


USED_UP = """
DO $$ BEGIN
EXECUTE (SELECT 'ALTER TABLE zoo_cage ' || string_agg(format('ADD c%s int', n), ', ')
         FROM generate_series(5, 1600) n);
EXECUTE (SELECT 'ALTER TABLE zoo_cage ' || string_agg(format('DROP c%s', n), ', ')
         FROM generate_series(5, 1600) n);
END $$
"""


def test_numbers_of_columns_are_used_up_in_the_copy_too(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    more = "ALTER TABLE zoo_cage ADD more int"
    alias = prepared(empty_database, write_migrations, by_hand(more), USED_UP)

    answer = rehearse(ops, alias)
    failure = migrate(alias, "zoo")
    write_migrations(CAGE, 'migrations.AddField("cage", "age", models.IntegerField(null=True)),')
    known = rehearse(ops, alias, rehearse="off")

    assert "1600 columns" in str(failure)
    assert "1600 columns" in str(migrate(alias, "zoo"))
    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"]), answer.stdout
    assert (known.code, known.ids) == (1, ["too-many-columns"]), known.stdout
