"""What each kind of statement needs is told once: by its command, or as its rights alone."""

from __future__ import annotations

from dataclasses import replace

from django.db import connections
from postgast import pg_query_pb2

from opsmigrate.preflight.interpret.commands import COMMANDS, RIGHTS
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from tests.conftest import execute
from tests.interpret.rights_taken import MAKE_ROLE, ROLE, rights_differences

# Of these nothing is told: they are left open where anything is another role's.
OF_A_SUPERUSER = (
    "only a superuser may do it, or who may make roles: no migration of a plain role has it"
)
OF_THE_SERVER = "it is about more than the database: the fence lets none of them through"
OF_FOREIGN_DATA = "it reaches another server: the fence lets none of them through"
RARE = "nobody was seen to write it into a migration"
UNTOLD = {
    **dict.fromkeys(
        (
            "alter_system_stmt",
            "alter_table_move_all_stmt",
            "alter_table_space_options_stmt",
            "create_table_space_stmt",
            "createdb_stmt",
            "drop_table_space_stmt",
            "dropdb_stmt",
        ),
        OF_THE_SERVER,
    ),
    **dict.fromkeys(
        (
            "alter_role_set_stmt",
            "alter_role_stmt",
            "create_am_stmt",
            "create_event_trig_stmt",
            "create_op_class_stmt",
            "create_op_family_stmt",
            "create_plang_stmt",
            "create_role_stmt",
            "drop_role_stmt",
            "grant_role_stmt",
            "load_stmt",
        ),
        OF_A_SUPERUSER,
    ),
    **dict.fromkeys(
        (
            "alter_fdw_stmt",
            "alter_foreign_server_stmt",
            "alter_subscription_stmt",
            "alter_user_mapping_stmt",
            "create_fdw_stmt",
            "create_foreign_server_stmt",
            "create_foreign_table_stmt",
            "create_subscription_stmt",
            "create_user_mapping_stmt",
            "drop_subscription_stmt",
            "drop_user_mapping_stmt",
            "import_foreign_schema_stmt",
        ),
        OF_FOREIGN_DATA,
    ),
    **dict.fromkeys(
        (
            "alter_object_depends_stmt",
            "alter_op_family_stmt",
            "create_cast_stmt",
            "create_transform_stmt",
            "drop_owned_stmt",
            "reassign_owned_stmt",
            "sec_label_stmt",
        ),
        RARE,
    ),
}
# Parts of statements, and statements of PL/pgSQL, which parse() gives to nobody.
NO_STATEMENTS = {
    "plassign_stmt",
    "raw_stmt",
    "replica_identity_stmt",
    "return_stmt",
    "set_operation_stmt",
}
OBJECTS = """
CREATE TABLE public.t (id int PRIMARY KEY, n int);
CREATE TABLE public.u (id int PRIMARY KEY, n int);
CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE STATISTICS public.st ON id, n FROM public.t;
CREATE COLLATION public.cc FROM "C";
CREATE TEXT SEARCH CONFIGURATION public.tsc (COPY = pg_catalog.english);
CREATE TEXT SEARCH DICTIONARY public.tsd (TEMPLATE = simple);
CREATE CONVERSION public.cv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE OPERATOR FAMILY public.of USING btree;
CREATE OPERATOR CLASS public.oc FOR TYPE int USING btree FAMILY public.of
    AS FUNCTION 1 btint4cmp(int, int);
CREATE PUBLICATION p FOR TABLE public.t;
CREATE VIEW public.v AS SELECT id FROM public.t;
CREATE SCHEMA other;
"""
STATEMENTS = (
    "ALTER COLLATION cc REFRESH VERSION",
    "ALTER COLLATION cc RENAME TO cd",
    "ALTER COLLATION cc SET SCHEMA other",
    "ALTER CONVERSION cv RENAME TO cw",
    "ALTER CONVERSION cv SET SCHEMA other",
    f"ALTER CONVERSION cv OWNER TO {ROLE}",
    'ALTER DATABASE "{database}" SET timezone TO UTC',
    "ALTER EXTENSION plpgsql UPDATE",
    "ALTER OPERATOR CLASS oc USING btree RENAME TO od",
    "ALTER OPERATOR FAMILY of USING btree SET SCHEMA other",
    "ALTER PUBLICATION p ADD TABLE u",
    "ALTER PUBLICATION p DROP TABLE t",
    "ALTER PUBLICATION p RENAME TO q",
    "ALTER PUBLICATION p SET (publish = 'insert')",
    "ALTER STATISTICS st SET STATISTICS 5",
    "ALTER STATISTICS st RENAME TO su",
    "ALTER STATISTICS st SET SCHEMA other",
    "ALTER TEXT SEARCH CONFIGURATION tsc ALTER MAPPING FOR asciiword WITH simple",
    "ALTER TEXT SEARCH DICTIONARY tsd (accept = false)",
    "ALTER TEXT SEARCH DICTIONARY tsd SET SCHEMA other",
    "COMMENT ON COLLATION cc IS 'x'",
    "COMMENT ON CONVERSION cv IS 'x'",
    "COMMENT ON DATABASE \"{database}\" IS 'x'",
    "COMMENT ON EXTENSION plpgsql IS 'x'",
    "COMMENT ON PUBLICATION p IS 'x'",
    "COMMENT ON STATISTICS st IS 'x'",
    "COMMENT ON TEXT SEARCH CONFIGURATION tsc IS 'x'",
    "CREATE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int)",
    'CREATE COLLATION cd FROM "C"',
    "CREATE CONVERSION cw FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
    "CREATE PUBLICATION q FOR TABLE t",
    "CREATE PUBLICATION q FOR ALL TABLES",
    "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING",
    "CREATE TEMP TABLE x AS SELECT id FROM t",
    "CREATE TEXT SEARCH CONFIGURATION tsx (COPY = english)",
    "CREATE TEXT SEARCH DICTIONARY tsx (TEMPLATE = simple)",
    "CREATE TYPE numbers AS RANGE (SUBTYPE = int)",
    "CREATE TYPE shell",
    "CREATE VIEW w AS VALUES (1)",
    "DECLARE c CURSOR FOR SELECT id FROM t",
    "DROP CONVERSION cv",
    "DROP OPERATOR CLASS oc USING btree",
    "DROP PUBLICATION p",
    "DROP TEXT SEARCH CONFIGURATION tsc",
    "DROP TEXT SEARCH DICTIONARY tsd",
    "EXPLAIN ANALYZE SELECT id FROM t",
    "GRANT USAGE ON SCHEMA other TO PUBLIC",
    "PREPARE x AS DELETE FROM t WHERE id = $1",
    "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC",
    "GRANT SELECT ON ALL SEQUENCES IN SCHEMA other TO PUBLIC",
)


def test_each_kind_of_statement_has_its_rights_told_in_one_place_or_a_reason() -> None:
    grammar = {
        field.name for field in pg_query_pb2.Node.DESCRIPTOR.fields if field.name.endswith("_stmt")
    }

    told = [*COMMANDS, *RIGHTS, *UNTOLD, *NO_STATEMENTS]

    assert sorted(told) == sorted(grammar)
    assert all(callable(RIGHTS[kind]) for kind in RIGHTS)


def test_what_is_told_alone_is_what_postgresql_asks_for(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, OBJECTS)
    execute(connection, MAKE_ROLE)
    schema = replace(read_schema(connection), role=ROLE, superuser=False)
    database = connection.settings_dict["NAME"].replace('"', '""')

    wrong, told = [], 0
    for text in STATEMENTS:
        [statement] = parse(text.replace("{database}", database))
        effects = interpret(schema, statement)[1]
        told += effects.unknown is not None and effects.unknown.rights_told
        wrong += [
            f"{each.text} [{text}]" for each in rights_differences(statement, effects, connection)
        ]
        if effects.refusal or (effects.unknown and not effects.unknown.rights_told):
            wrong.append(f"not told: {effects.refusal or effects.unknown} [{text}]")

    assert not wrong, "\n".join(wrong)
    assert told > len(STATEMENTS) // 2
