"""The copy: as the database is, without what leads outside, and it gives way."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, SCRATCH, owner_of_zoo, prepared, reasons, rehearse
from tests.sessions import stranger

pytestmark = pytest.mark.major

NOTHING = "migrations.RunPython(lambda apps, editor: None),"
# Beyond the database, for a superuser; in the copy it must not even begin.
REACHES = """
CREATE FUNCTION reaches(a int DEFAULT 1, OUT b text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN COPY (SELECT 1) TO PROGRAM 'exit 1'; b := 'done'; END $$
"""
FIRES = """
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN COPY (SELECT 1) TO PROGRAM 'exit 1'; RETURN NEW; END $$
"""
SWALLOWS = """
CREATE PROCEDURE swallows() LANGUAGE plpgsql AS $$
BEGIN PERFORM reaches(); EXCEPTION WHEN OTHERS THEN NULL; END $$
"""
TRIGGER = "CREATE TRIGGER t BEFORE UPDATE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION fires()"


def asserting(condition: str) -> str:
    """Return an operation that fails where the copy does not answer as it should."""
    return f'migrations.RunSQL("DO $$ BEGIN ASSERT ({condition}); END $$"),'


@pytest.mark.parametrize(
    ("statement", "code"),
    [("SELECT reaches()", 3), ("UPDATE zoo_cage SET size = 2", 3), ("CALL swallows()", 3)],
)
def test_what_the_database_has_that_reaches_outside_is_disarmed_in_the_copy(
    statement: str, code: int, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = f'migrations.RunSQL("{statement}"),'
    definitions = (REACHES, FIRES, SWALLOWS, TRIGGER)
    alias = prepared(empty_database, write_migrations, pending, *definitions)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (code, [])
    assert any("reaches beyond its database" in why for why in reasons(answer))
    assert query(alias, "SELECT to_regnamespace('opsmigrate_fence')") == [(None,)]


def test_a_function_that_is_made_to_reach_outside_may_be_made_and_not_called(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    making = f'migrations.RunSQL("""{REACHES}"""),'
    alias = prepared(empty_database, write_migrations, making)
    made = rehearse(ops, alias)
    write_migrations(CAGE, making + 'migrations.RunSQL("SELECT reaches()"),')
    called = rehearse(ops, alias)

    assert (made.code, reasons(made)) == (0, [])
    assert (called.code, called.ids) == (3, [])


FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER outside",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER outside",
    "CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (password 'geheim')",
    "CREATE FOREIGN TABLE far_away (n int) SERVER elsewhere",
)


def test_the_copy_has_no_user_mapping_and_no_foreign_table_that_can_be_read(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    gone = asserting("NOT EXISTS (SELECT FROM pg_user_mappings)")
    alias = prepared(empty_database, write_migrations, gone, *FOREIGN)
    without = rehearse(ops, alias)
    write_migrations(CAGE, 'migrations.RunSQL("SELECT * FROM Far_Away"),')
    touching = rehearse(ops, alias)

    assert (without.code, reasons(without)) == (0, [])
    assert (touching.code, touching.ids) == (3, [])
    assert any("names far_away, which leads outside" in why for why in reasons(touching))


def test_the_copy_has_the_settings_of_the_database_and_of_the_role_in_it(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    [(name, role)] = query(
        empty_database, "SELECT quote_ident(current_database()), quote_ident(current_user)"
    )
    pending = (
        asserting("current_setting('search_path') = 'public, \\\"$user\\\"'")
        + asserting("current_setting('my.own') = 'it''s so'")
        + asserting("current_setting('work_mem') = '7MB'")
    )
    alias = prepared(
        empty_database,
        write_migrations,
        pending,
        f"""ALTER DATABASE {name} SET search_path = public, "$user" """,
        f"ALTER DATABASE {name} SET my.own = 'it''s so'",
        f"ALTER DATABASE {name} SET work_mem = '5MB'",
        f"ALTER ROLE {role} IN DATABASE {name} SET work_mem = '7MB'",
    )
    before = query(alias, "SELECT count(*) FROM pg_db_role_setting")

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids, reasons(answer)) == (0, [], [])
    assert query(alias, "SELECT count(*) FROM pg_db_role_setting") == before


def test_the_copy_has_large_objects_views_triggers_and_publications(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = (
        asserting("(SELECT lo_get(oid) = 'abc' FROM pg_largeobject_metadata)")
        + asserting("(SELECT count(*) = 1 FROM kept)")
        + asserting("EXISTS (SELECT FROM pg_event_trigger)")
        + asserting("(SELECT count(*) = 1 FROM pg_publication_tables)")
    )
    alias = prepared(
        empty_database,
        write_migrations,
        pending,
        "SELECT lo_from_bytea(0, 'abc')",
        "CREATE MATERIALIZED VIEW kept AS TABLE zoo_cage",
        "CREATE PUBLICATION p FOR TABLE zoo_cage",
        "CREATE FUNCTION noticed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION noticed()",
    )

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids, reasons(answer)) == (0, [], [])


SUBSCRIPTION = "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)"
OF_ALL_KINDS = (
    SUBSCRIPTION,
    *FOREIGN,
    "CREATE SCHEMA annex",
    """CREATE COLLATION annex.plain FROM "C" """,
    "CREATE TABLE parts (n int, t text COLLATE annex.plain) PARTITION BY RANGE (n)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE annex.parts_2 PARTITION OF parts DEFAULT",
    "INSERT INTO parts SELECT n, 'x' FROM generate_series(1, 20) n",
    "CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS n",
    "CREATE RULE nothing AS ON UPDATE TO unlogged DO INSTEAD NOTHING",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE TYPE pair AS (a int, b positive)",
    "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)",
    "CREATE STATISTICS both_columns ON n, t FROM parts_1",
    "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)",
    "ALTER TABLE parts ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY a_few ON parts USING (n > 3)",
)


def test_whatever_else_the_database_has_does_not_stand_in_the_way(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = asserting("(SELECT count(*) = 20 FROM parts) AND (SELECT n = 1 FROM unlogged)")
    alias = prepared(empty_database, write_migrations, pending + DOUBLE, *OF_ALL_KINDS)
    try:
        applies = rehearse(ops, alias)
        execute(connections[alias], "UPDATE zoo_cage SET size = 0")
        fails = rehearse(ops, alias)
    finally:
        for statement in ("DISABLE", "SET (slot_name = NONE)"):
            execute(connections[alias], f"ALTER SUBSCRIPTION s {statement}")
        execute(connections[alias], "DROP SUBSCRIPTION s")

    assert (applies.code, applies.ids, reasons(applies)) == (0, [], [])
    assert (fails.code, fails.ids) == (1, ["rehearsal-failed"])
    assert query(alias, SCRATCH) == []


NAMELESS = "ALTER TABLE zoo_cage REPLICA IDENTITY NOTHING"
UPDATES = """migrations.RunSQL("UPDATE zoo_cage SET name = 'b'"),"""


def test_rows_that_a_publication_forbids_to_update_are_not_updated_on_the_copy_either(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    published = "CREATE PUBLICATION p FOR TABLE zoo_cage"
    alias = prepared(empty_database, write_migrations, UPDATES, NAMELESS, published)

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"])
    assert "replica identity" in answer.report["findings"][0]["message"]
    assert migrate(alias, "zoo") is not None


def test_a_publication_that_the_role_may_not_create_leaves_open_what_it_may_forbid(
    empty_database: str, role: Callable[..., dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    published = "CREATE PUBLICATION p FOR ALL TABLES"
    alias = prepared(empty_database, write_migrations, UPDATES, published)
    user = role("CREATEDB")
    with owner_of_zoo(alias, user) as owner:
        with_keys = rehearse(ops, owner)
        execute(connections[alias], NAMELESS)
        without = rehearse(ops, owner)

    assert (with_keys.code, reasons(with_keys)) == (0, [])
    assert (without.code, without.ids) == (3, [])
    assert any("lacks the publication p" in why for why in reasons(without))


@pytest.mark.long
def test_a_role_without_powers_may_run_sql_that_nothing_shows_where_nobody_else_is(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    pending = """
migrations.RunSQL("DO $$ DECLARE r record; BEGIN FOR r IN SELECT name FROM zoo_cage LOOP"
    " EXECUTE r.name; END LOOP; END $$"),
"""
    alias = prepared(
        empty_database, write_migrations, pending, "UPDATE zoo_cage SET name = 'SELECT 1'"
    )
    user = role("CREATEDB")
    name = sql.Identifier(connections[alias].settings_dict["NAME"])
    give = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    execute(connections[alias], give.format(name, sql.Identifier(user["USER"])))
    with owner_of_zoo(alias, user) as owner:
        shared = rehearse(ops, owner)
        settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
        with_powers, without = rehearse(ops, alias), rehearse(ops, owner)
    execute(connections[alias], give.format(name, sql.SQL("CURRENT_USER")))

    assert (shared.code, shared.ids) == (3, [])
    assert (with_powers.code, with_powers.ids) == (3, [])
    assert (without.code, reasons(without)) == (0, [])


def test_the_copy_gives_way_to_a_statement_that_waits_for_a_lock(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(
        empty_database,
        write_migrations,
        NOTHING,
        "CREATE TABLE large (t text)",
        "INSERT INTO large SELECT repeat(md5(n::text), 100) FROM generate_series(1, 60000) n",
    )
    waited: list[float] = []

    def alter() -> None:
        copying = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'opsmigrate_copy%%'"
        with stranger(alias) as other, other.cursor() as cursor:
            while not waited:
                cursor.execute(f"{copying} AND query LIKE 'COPY%%large%%'")
                if cursor.fetchone() is not None:
                    begun = time.monotonic()
                    cursor.execute("ALTER TABLE large ADD n int")
                    waited.append(time.monotonic() - begun)
                time.sleep(0.01)

    thread = threading.Thread(target=alter)
    thread.start()
    answer = rehearse(ops, alias)
    if not waited:
        waited.append(99)
    thread.join()

    assert (answer.code, answer.ids) == (3, ["copy-lock-conflict"])
    assert waited[0] < 2
    assert query(alias, SCRATCH) == []
    assert rehearse(ops, alias).code == 0
    assert migrate(alias, "zoo") is None
