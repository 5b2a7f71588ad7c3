"""What each kind of statement needs is told once: by its command, or as its rights alone.

`rights/` has statements of the second kind, a line each.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import connections
from postgast import pg_query_pb2

from opsmigrate.preflight.interpret.commands import COMMANDS, RIGHTS
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from tests.conftest import execute
from tests.interpret.listed import GROUNDS, lines, named_in
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


def test_each_kind_of_statement_has_its_rights_told_in_one_place_or_a_reason() -> None:
    grammar = {
        field.name for field in pg_query_pb2.Node.DESCRIPTOR.fields if field.name.endswith("_stmt")
    }

    told = [*COMMANDS, *RIGHTS, *UNTOLD, *NO_STATEMENTS]

    assert sorted(told) == sorted(grammar)
    assert all(callable(RIGHTS[kind]) for kind in RIGHTS)


def test_what_is_told_alone_is_what_postgresql_asks_for(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, GROUNDS["rights"])
    execute(connection, MAKE_ROLE)
    schema = replace(read_schema(connection), role=ROLE, superuser=False)
    texts = [each.text for each in lines() if each.file == "told_alone"]

    wrong, told = [], 0
    for text in texts:
        [statement] = parse(named_in(connection, text))
        effects = interpret(schema, statement)[1]
        told += effects.unknown is not None and effects.unknown.rights_told
        wrong += [
            f"{each.text} [{text}]" for each in rights_differences(statement, effects, connection)
        ]
        if effects.refusal or (effects.unknown and not effects.unknown.rights_told):
            wrong.append(f"not told: {effects.refusal or effects.unknown} [{text}]")

    assert not wrong, "\n".join(wrong)
    assert told > len(texts) // 2
