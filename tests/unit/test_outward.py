"""What reaches beyond a database, by PostgreSQL's grammar: no way around it, no false alarm."""

import pytest

from opsmigrate.preflight.rehearsal.outward import beyond
from opsmigrate.preflight.rehearsal.outward_rules import FenceBounds

SHARED = FenceBounds(database="copy", files=True, isolated=False)
ISOLATED = FenceBounds(database="copy", files=True, isolated=True)
ORDINARY = FenceBounds(database="copy", files=False, isolated=True)

OUTWARD = [
    "DO $$ BEGIN DO 'BEGIN ALTER ROLE somebody CONNECTION LIMIT 7; END'; END $$",
    "DO $$ BEGIN IF true THEN CREATE FUNCTION f() RETURNS void LANGUAGE sql AS"
    " 'ALTER ROLE somebody CONNECTION LIMIT 7'; END IF; END $$",
    "DO $$ BEGIN CREATE OPERATOR @@@@ (LEFTARG = int, RIGHTARG = bigint,"
    " FUNCTION = pg_terminate_backend); END $$",
    "ALTER DATABASE live CONNECTION LIMIT 7",
    "ALTER DATABASE live SET work_mem = '1MB'",
    "ALTER DATABASE live RENAME TO other",
    "ALTER DATABASE live OWNER TO somebody",
    "ALTER DATABASE live REFRESH COLLATION VERSION",
    "CREATE DATABASE other",
    "DROP /* a /* b */ c */ DATABASE other WITH (FORCE)",
    "COMMENT ON DATABASE live IS ''",
    "SECURITY LABEL ON ROLE somebody IS 'x'",
    "SECURITY LABEL FOR p ON DATABASE live IS 'x'",
    "GRANT CONNECT ON DATABASE live TO somebody",
    "GRANT SET ON PARAMETER work_mem TO somebody",
    "CREATE ROLE somebody",
    "CREATE USER somebody",
    "CREATE GROUP somebody",
    "ALTER ROLE somebody PASSWORD 'x'",
    "ALTER ROLE somebody SET work_mem = '1MB'",
    "ALTER ROLE somebody RENAME TO other",
    "DROP ROLE somebody",
    "GRANT pg_monitor TO somebody",
    "REVOKE pg_monitor FROM somebody",
    "REASSIGN OWNED BY somebody TO other",
    "DROP OWNED BY somebody",
    "CREATE TABLESPACE t LOCATION '/tmp'",
    "ALTER TABLESPACE t RENAME TO u",
    "DROP TABLESPACE t",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "SET SESSION AUTHORIZATION somebody",
    "SELECT set_config('session_authorization', 'somebody', false)",
    "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
    "DROP SUBSCRIPTION s",
    "CREATE SERVER s FOREIGN DATA WRAPPER f",
    "CREATE FOREIGN DATA WRAPPER f HANDLER h",
    "ALTER FOREIGN DATA WRAPPER f HANDLER h",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER s",
    "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
    "CREATE EXTENSION IF NOT EXISTS dblink",
    "CREATE LANGUAGE plpython3u",
    "LOAD 'x'",
    "COPY t TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "COPY t FROM '/tmp/x'",
    "PREPARE TRANSACTION 'x'",
    "SELECT pg_terminate_backend(1)",
    'SELECT "pg_terminate_backend"(1)',
    'SELECT U&"pg_terminate\\005fbackend"(1)',
    "SELECT pg_catalog . pg_cancel_backend /* */ (1)",
    "SELECT 1 WHERE EXISTS (SELECT pg_reload_conf())",
    "CALL dblink_connect('x')",
    "CREATE VIEW v AS SELECT pg_read_file('x')",
    "CREATE TABLE t (c text DEFAULT pg_read_file('x'))",
    "EXPLAIN ANALYZE SELECT lo_import('x')",
    "PREPARE p AS SELECT lo_export(1, 'x')",
    "CREATE OPERATOR + (FUNCTION = pg_terminate_backend, LEFTARG = int)",
    "SELECT pg_logical_slot_get_changes('s', NULL, NULL)",
    "SELECT query_to_xml('SELECT pg_terminate_backend(1)', true, true, '')",
    "UPDATE pg_database SET datconnlimit = 7",
    "WITH x AS (DELETE FROM pg_catalog.pg_db_role_setting RETURNING 1) SELECT 1",
    "INSERT INTO pg_auth_members SELECT 1",
    "LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE",
    "SELECT 1 FROM pg_authid FOR UPDATE",
    "SELECT FROM t JOIN pg_database d ON true FOR UPDATE OF d",
    "SELECT FROM t, (a LEFT JOIN (b CROSS JOIN pg_authid) ON true) FOR SHARE",
    "SELECT FROM (SELECT * FROM (SELECT * FROM pg_authid) a JOIN t ON true) s FOR UPDATE OF t, s",
    "SELECT FROM t, pg_authid a FOR SHARE OF t FOR KEY SHARE OF a",
    "SELECT 1 WHERE EXISTS (SELECT FROM t JOIN pg_authid ON true FOR UPDATE)",
    "WITH x AS (SELECT FROM t JOIN pg_authid ON true FOR UPDATE) SELECT FROM x",
    "SELECT FROM (SELECT FROM pg_authid TABLESAMPLE SYSTEM (1) FOR UPDATE) s",
    "DO $$ BEGIN PERFORM FROM t JOIN pg_database d ON true FOR UPDATE OF d; END $$",
    "DO $$ DECLARE r record; BEGIN FOR r IN SELECT FROM pg_authid for no key update LOOP"
    " NULL; END LOOP; END $$",
    "VACUUM FULL pg_authid",
    "REINDEX SYSTEM copy",
    "DO LANGUAGE plpython3u 'x'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'",
    # Several in one text, behind what looks like a comment or a literal.
    "INSERT INTO t VALUES ('a -- b'); ALTER ROLE own SET work_mem = '77MB'",
    "INSERT INTO t VALUES ('see https://x/y/*'); DROP DATABASE live; INSERT INTO t VALUES ('*/')",
    "INSERT INTO t VALUES (E'it\\'s -- ok'); ALTER ROLE own SET work_mem = '77MB'",
    "SELECT $$ ' $$; DROP DATABASE live; --'",
    # In blocks.
    "DO $$ BEGIN RAISE NOTICE '--- limits ---'; ALTER DATABASE live CONNECTION LIMIT 7; END $$",
    "DO $$ BEGIN DROP /* a /* b */ c */ DATABASE x; END $$",
    'DO $$ BEGIN PERFORM "pg_terminate_backend"(1); END $$',
    "DO $$ BEGIN EXECUTE 'ALTER ROLE x SUPERUSER'; END $$",
    "DO $$ BEGIN EXECUTE $q$DO 'BEGIN DROP ROLE x; END'$q$; END $$",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 7', 'live'); END $$",
    "DO $$ BEGIN UPDATE pg_catalog.pg_database SET datconnlimit = 7; END $$",
    "DO $$ BEGIN LOCK TABLE pg_authid; END $$",
    "DO $$ BEGIN GRANT pg_monitor TO x; END $$",
    "DO $$ BEGIN CREATE EXTENSION dblink; END $$",
    "DO $$ BEGIN SET LOCAL SESSION AUTHORIZATION x; END $$",
    "DO $$ BEGIN COPY t TO PROGRAM 'true'; END $$",
    "DO $$ BEGIN COPY t TO '/tmp/x'; END $$",
    "DO 'BEGIN ALTER SYSTEM SET work_mem = 1; END'",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT pg_terminate_backend(1)'",
    "CREATE OR REPLACE FUNCTION f() RETURNS bool RETURN pg_reload_conf()",
]
OUTWARD += [
    "SET standard_conforming_strings = off",
    "SET LOCAL allow_system_table_mods TO on",
    "ALTER DATABASE copy SET standard_conforming_strings = off",
    "SELECT pg_catalog.set_config('Standard_Conforming_Strings', 'off', true)",
    "DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', true); END $$",
    "DO $$ BEGIN SET LOCAL Standard_conforming_strings TO off; END $$",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql SET standard_conforming_strings = off"
    " AS 'SELECT 1'",
    "ALTER FUNCTION pg_catalog.pg_terminate_backend(int, bigint) RENAME TO x",
    "SELECT * FROM crosstab('SELECT 1', 'SELECT pg_terminate_backend(1)') AS t (a int)",
]
UNSEEN = [
    "DO $$ BEGIN CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS"
    " $q$ BEGIN EXECUTE 'ALTER RO' || 'LE somebody'; END $q$; END $$",
    "CREATE FUNCTION format(t text, n name) RETURNS text LANGUAGE sql AS 'SELECT t'",
    "CREATE AGGREGATE format(text, name) (SFUNC = f, STYPE = text)",
    "ALTER FUNCTION f(text, name) RENAME TO format",
    "DO $$ BEGIN EXECUTE format('CREATE FUNCTION %I() RETURNS int RETURN 1',"
    " 'for' || 'mat'); END $$",
    "this is no SQL",
    "SELECT ts_rewrite('commit', 'SELECT a, b FROM t')",
    "SELECT * FROM connectby('commit', 'a', 'b', 'c', 0) AS t (a int)",
    "SELECT set_config(a, 'off', true) FROM t",
    "DO $$ BEGIN PERFORM set_config('standard_' || a, 'off', true); END $$",
    "DO $$ BEGIN EXECUTE format('SELECT %I(%L)', 'pg_terminate_' || 'backend', 1); END $$",
    "DO $$ BEGIN EXECUTE format('CALL %I()', a); END $$",
    "DO $$ BEGIN EXECUTE format('SET %I = off', a); END $$",
    "DO $$ DECLARE function text := a; BEGIN EXECUTE function; END $$",
    "DO $$ DECLARE function text := a; BEGIN EXECUTE function OPERATOR(pg_catalog.||) ''; END $$",
    "SELECT 1; \0 DROP DATABASE live",
    "DO $$ BEGIN EXECUTE 'ALTER DATA' || 'BASE x'; END $$",
    "DO $$ BEGIN EXECUTE format('ALTER %s x', 'ROLE'); END $$",
    "DO $$ DECLARE k text := 'ROLE'; BEGIN EXECUTE 'ALTER ' || k; END $$",
    "DO $$ BEGIN EXECUTE concat('GR', 'ANT pg_monitor TO own'); END $$",
    "DO $$ BEGIN EXECUTE (SELECT sql FROM t); END $$",
    "DO $$ BEGIN FOR r IN EXECUTE a LOOP END LOOP; END $$",
    "DO $$ BEGIN PERFORM query_to_xml(a, true, true, ''); END $$",
    "DO LANGUAGE plperl 'spi_exec_query($a)'",
    "SELECT query_to_xml(a, true, true, '') FROM t",
    "SELECT " + "1 || " * 200 + "1",
]
INSIDE = [
    "DO $$ BEGIN CREATE TYPE t AS ENUM ('drop role'); EXCEPTION WHEN duplicate_object THEN"
    " ALTER TABLE a ADD b text DEFAULT 'alter'\n' role'; END $$",
    "DO $$ BEGIN CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
    " $q$ BEGIN NEW.a := 'create role'; RETURN NEW; END $q$; END $$",
    "",
    "-- DROP DATABASE live",
    "UPDATE t SET name = 'drop database live'",
    "ALTER TABLE t ADD c text DEFAULT 'please create user first'",
    "COMMENT ON COLUMN t.c IS 'When did we grant access to it'",
    "SELECT 'pg_terminate_backend(1)', \"alter role\" FROM t",
    'ALTER TABLE t ADD COLUMN database text, ADD COLUMN "drop role" text',
    "ALTER TABLE database RENAME COLUMN role TO system",
    "CREATE TABLE dblink (pg_reload_conf int)",
    "SELECT grant_access, load FROM system",
    "ALTER DATABASE copy SET work_mem = '1MB'",
    "COMMENT ON DATABASE copy IS 'x'",
    "GRANT CONNECT ON DATABASE copy TO somebody",
    "GRANT SELECT ON t TO somebody",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "ALTER TABLE t OWNER TO somebody",
    "SET ROLE somebody",
    "RESET SESSION AUTHORIZATION",
    "SELECT set_config('search_path', 'public', false)",
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "CREATE EXTENSION pgcrypto",
    "CREATE PUBLICATION p FOR TABLE t",
    "SELECT * FROM pg_database",
    "SELECT datname INTO x FROM pg_database",
    "SELECT FROM t JOIN pg_database d ON d.datname = t.name FOR UPDATE OF t",
    "SELECT FROM t WHERE EXISTS (SELECT FROM pg_database) FOR UPDATE",
    "WITH d AS (SELECT * FROM pg_database) SELECT FROM t, d FOR UPDATE OF t",
    "DO $$ BEGIN PERFORM FROM pg_database; PERFORM FROM t FOR UPDATE; END $$",
    "NOTIFY zoo",
    "TRUNCATE t",
    "LOCK TABLE t",
    "DO $$ BEGIN RAISE NOTICE 'drop database live'; /* alter role x */ END $$",
    "DO $$ BEGIN INSERT INTO t VALUES ('grant a to b'); SELECT 1 INTO x FROM pg_database; END $$",
    "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD c int'; END $$",
    "DO $$ BEGIN EXECUTE format('ANALYZE %I', 'drop role'); END $$",
    "DO $$ BEGIN EXECUTE format('ALTER TABLE %I ADD c int', 'x'); END $$",
    "DO $$ BEGIN EXECUTE format('SELECT count(*) FROM %I.%I', 'x', 'y'); END $$",
    "DO $$ BEGIN EXECUTE format('CREATE TRIGGER %I BEFORE INSERT ON %I FOR EACH ROW EXECUTE"
    " FUNCTION f()', 'x', 'y'); END $$",
    "DO $$ BEGIN CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); END $$",
    "DO $$ BEGIN GRANT EXECUTE ON FUNCTION f() TO somebody; END $$",
    "DO $$ BEGIN PERFORM set_config('app.tenant', '1', true); END $$",
    "SET standard_conforming_strings TO DEFAULT",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 1'",
    "SELECT query_to_xml('SELECT 1', true, true, 'urn:x')",
    "DO $$ BEGIN NEW.role := 1; NEW.database := NEW.system; END $$",
    "DO $$ BEGIN ALTER DATABASE copy SET jit = off; END $$",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x := 1; END $$",
    "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
]
LOCAL_CATALOGS = [
    "UPDATE pg_index SET indisvalid = true",
    "DELETE FROM pg_catalog.pg_enum",
    "SELECT FROM t JOIN information_schema.enabled_roles ON true FOR UPDATE",
    "SELECT FROM t JOIN pg_index ON true FOR UPDATE",
]


@pytest.mark.parametrize("text", OUTWARD)
def test_what_reaches_beyond_its_database_is_seen_on_any_server(text: str) -> None:
    assert beyond(text, SHARED)
    assert beyond(text, ISOLATED)


@pytest.mark.parametrize("text", UNSEEN)
def test_what_nothing_shows_may_run_on_an_isolated_server_without_its_programs_only(
    text: str,
) -> None:
    found = beyond(text, SHARED)
    assert found
    assert all(each.unseen for each in found)
    assert beyond(text, ISOLATED)
    assert beyond(text, ORDINARY) == ()


@pytest.mark.parametrize("text", INSIDE)
def test_words_in_literals_comments_and_names_are_no_reason(text: str) -> None:
    assert beyond(text, SHARED) == ()


@pytest.mark.parametrize("text", LOCAL_CATALOGS)
def test_a_catalog_of_the_copys_own_may_change_where_nothing_else_is_on_the_server(
    text: str,
) -> None:
    assert beyond(text, SHARED)
    assert beyond(text, ISOLATED) == ()


def test_files_of_the_server_are_refused_where_the_server_would_not() -> None:
    assert beyond("COPY t TO '/tmp/x'", ORDINARY) == ()


def test_to_make_a_function_is_told_apart_from_calling_it() -> None:
    body = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE a; END $$"
    (made,) = beyond(f"CREATE FUNCTION s.f(a text) RETURNS void {body}", SHARED)
    (replaced,) = beyond(f"CREATE OR REPLACE FUNCTION s.f(a text) RETURNS void {body}", SHARED)

    assert (made.created, replaced.created) == ("f", None)
