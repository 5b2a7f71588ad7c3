"""Which statements reach schemas that were left out, by a name or without one."""

import pytest

from opsmigrate.postgres.neighbours import Neighbours
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.reached_neighbours import reaches_neighbours
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement

LEFT_OUT = Neighbours(
    schemas=frozenset({"other", "Some-one", 'b"d', "it's", "50%", "\u0130x", "\u0391\u03a3"}),
    referenced=frozenset({"code"}),
    read=(1,),
)


def reached(text: str) -> bool:
    ran = RehearsedStatement(migration=None, operation=None, sql=text)
    planned = Ledger()
    planned.statement(text, (), text)
    by_plan = reaches_neighbours(LEFT_OUT, planned, ())
    assert by_plan is reaches_neighbours(LEFT_OUT, Ledger(), (), [ran])
    return by_plan


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE own ADD COLUMN c int DEFAULT 1",
        'CREATE TABLE "another" (id int)',
        'ALTER TABLE "own" ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES "own" (id) DEFERRABLE',
        "DROP TABLE own CASCADE",
        "DROP INDEX IF EXISTS own_idx",
        "SELECT pg_sleep(1)",
        "UPDATE own SET a = %s",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "SET LOCAL lock_timeout = '1s'",
        "CREATE EXTENSION IF NOT EXISTS vector",
        'SET search_path = "own","public"',
        "SET LOCAL search_path TO own",
        "SHOW search_path",
        r"ALTER TABLE own ADD CHECK (a ~ '\d+')",
        "ALTER TABLE own ADD COLUMN role text",
    ],
)
def test_what_names_only_what_was_read_reaches_nobody(text: str) -> None:
    assert not reached(text)


@pytest.mark.parametrize(
    "text",
    [
        'ALTER TABLE other.own ADD COLUMN "c" int',
        "alter table OTHER.own add column c int",
        'ALTER TABLE "Some-one".own ADD COLUMN c int',
        'DROP TABLE "b""d".own',
        "ALTER TABLE own ADD COLUMN a int REFERENCES code",
        'ALTER TABLE U&"\\006Fther".own ADD COLUMN c int',
        "SET search_path = own, other",
        'SET search_path = "$user", public',
        "SET search_path TO DEFAULT",
        "RESET search_path",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = own AS 'SELECT 1'",
        "SELECT set_config('search_path', 'anything', true)",
        "SELECT set_config(%s, %s, true)",
        "SET SCHEMA 'other'",
        "SELECT nextval($$other.own_id_seq$$)",
        "SELECT nextval($q$other.own_id_seq$q$)",
        r"SELECT nextval(E'\x6fther.own_id_seq')",
        r"SELECT nextval(e'\u006fther.own_id_seq')",
        r"ALTER TABLE own ADD d text DEFAULT U&'\006Fther'",
        'SELECT nextval(\'"b""d".own_id_seq\')',
        "COMMENT ON TABLE own IS 'as b\"d.own'",
        "SELECT nextval('\"it''s\".own_id_seq')",
        'ALTER TABLE "50%%".own ADD COLUMN c int',
        'ALTER TABLE "\u0130x".own ADD COLUMN c int',
        "ALTER TABLE \u0391\u03a3.own ADD COLUMN c int",
    ],
)
def test_a_name_of_theirs_reaches_them(text: str) -> None:
    """However it is written, and whatever may find things by their bare names."""
    assert reached(text)


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("SELECT nspname FROM pg_namespace", True),
        ("SELECT schema_name FROM information_schema.schemata", True),
        ("SELECT relname FROM pg_catalog.pg_class WHERE relname = 'own'", True),
        ("SELECT relname FROM pg_class c WHERE pg_table_is_visible(c.oid)", False),
        ("SELECT pg_catalog.pg_get_serial_sequence('own', 'id')", False),
    ],
)
def test_code_that_looks_into_all_schemas_reaches_them(text: str, does: bool) -> None:
    """What it would do with what it does not find, a copy without neighbours does not show."""
    ran = RehearsedStatement(migration="shop.0002_next", operation="RunPython", sql=text)
    assert reaches_neighbours(LEFT_OUT, Ledger(), (), [ran]) is does


@pytest.mark.parametrize(
    "text",
    [
        "DROP OWNED BY somebody CASCADE",
        "REASSIGN OWNED BY somebody TO somebody_else",
        "DROP SCHEMA shared CASCADE",
        "DROP EXTENSION vector CASCADE",
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE fast",
        "UPDATE own SET a = 1; DROP EXTENSION vector",
        "DO $$ BEGIN PERFORM 1; END $$",
        "what nobody can read",
        "RESET ALL",
        "SET ROLE somebody",
        "RESET ROLE",
        "SET LOCAL SESSION AUTHORIZATION somebody",
        FURTHER,
    ],
)
def test_what_goes_beyond_the_names_in_it_reaches_them(text: str) -> None:
    assert reached(text)


def test_a_value_may_name_them() -> None:
    planned = Ledger()
    planned.statement("SELECT nextval(%s)", (), "SELECT nextval('other.own_id_seq')")
    assert reaches_neighbours(LEFT_OUT, planned, ())
