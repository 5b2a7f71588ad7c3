"""A statement as a role that has what it was said to need, and with each of these taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.interpret.commands.objects import IN_NO_SCHEMA
from opsmigrate.preflight.interpret.effects import Effects, Right
from opsmigrate.sql.statement import Statement
from opsmigrate.sql.transactions import stands_alone
from tests.interpret.bisimulation import Difference

ROLE = "interpret_migrator"
MAKE_ROLE = f"""
DO $$BEGIN CREATE ROLE {ROLE}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$;
DO $$DECLARE each record; BEGIN
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    FOR each IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|information_schema' LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ROLE}', each.nspname);
        EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM PUBLIC', each.nspname);
    END LOOP;
    FOR each IN SELECT t.oid::regtype::text AS name FROM pg_type t
        LEFT JOIN pg_class c ON c.oid = typrelid
        WHERE typnamespace::regnamespace::text !~ '^pg_|information_schema'
        AND typelem = 0 AND (typtype <> 'c' OR relkind = 'c') AND typtype <> 'm' LOOP
        EXECUTE 'REVOKE ALL ON TYPE ' || each.name || ' FROM PUBLIC';
    END LOOP;
END$$;
"""
OWNED = "pg_has_role('{role}', {owner}, 'USAGE')"
# Of the kinds with owners: word of ALTER, and the query for the oids of owner and schema's owner.
FUNCTION = "{schema}.{name}({arguments})"


def rights_differences(
    statement: Statement, effects: Effects, connection: BaseDatabaseWrapper
) -> Iterator[Difference]:
    """Yield what the server says of the rights, else; nothing stays of what is tried."""
    unknown = effects.unknown
    untold = unknown is not None and not unknown.rights_told
    # Which extensions are for superusers, the schema does not tell.
    if statement.kind == "create_extension_stmt":
        return
    # What code needs that runs, nobody tells.
    if stands_alone(statement) or untold or effects.refusal or (unknown and effects.runs_code):
        return
    # Who has been given what he gives to himself, gives nothing.
    if "OWNER TO CURRENT_USER" in statement.text:
        return
    every = list(dict.fromkeys(map(plain, effects.rights)))
    rights = [each for each in every if each.certain]
    strange = [each for each in every if (each.privilege, each.object_kind) not in GIVING]
    if strange:
        yield Difference("rights", f"not known to the test: {_shown(strange[0])}")
        return
    with connection.cursor() as cursor:
        state, words, _ = _tried(cursor, statement, every, rights)
        if state == INSUFFICIENT_PRIVILEGE and not _is_asked(effects, words):
            shown = ", ".join(map(_shown, every))
            yield Difference("rights", f"with all that ours needs ({shown}), server: {words}")
        if state is not None:
            return
        for taken in rights:
            others = [each for each in every if each != taken]
            state, words, held = _tried(cursor, statement, others, rights)
            if state is None and held is False:
                yield Difference("rights", f"ours needs {_shown(taken)}, the server does without")
            elif state == INSUFFICIENT_PRIVILEGE and held:
                yield Difference("rights", f"without {_shown(taken)} ours holds, server: {words}")


def _is_asked(effects: Effects, words: str) -> bool:
    """Return whether it is a row that row security refuses, of which there was a question."""
    asked = any(each.sqlstate == INSUFFICIENT_PRIVILEGE for each in effects.questions)
    return asked and "row-level security" in words


def is_refused(cursor: Any, statement: Statement, rights: list[Right]) -> bool:
    """Return whether a role with these rights is refused for want of another."""
    return _tried(cursor, statement, rights, [])[0] == INSUFFICIENT_PRIVILEGE


def plain(right: Right) -> Right:
    """Return what suffices for a lock, in the place of the mode that is wanted."""
    if not right.privilege.startswith("LOCK "):
        return right
    weak = right.privilege == "LOCK ACCESS SHARE"
    return replace(right, privilege="SELECT" if weak else "UPDATE")


def _shown(right: Right) -> str:
    of = f" by {right.role}" if right.role else ""
    what = f"{right.object_kind} {'.'.join(right.name)} {right.columns or ''}"
    return f"{right.privilege} of {what}{of}"


def _tried(
    cursor: Any, statement: Statement, given: list[Right], asked: list[Right]
) -> tuple[str | None, str, bool | None]:
    """Return the server's SQLSTATE and words, and whether the role has all that is asked for.

    None stands for a relation of which it has some columns: they may suffice.
    """
    gifts = [each for right in given for each in GIVING[right.privilege, right.object_kind](right)]
    questions = [f"coalesce(({ASKING[right.object_kind](right)}), false)" for right in asked]
    every = " AND ".join(questions) or "true"
    some = " OR ".join(map(_ask_columns, filter(_may_be_of_columns, asked))) or "false"
    held: bool | None = True
    try:
        # Each in one message, of which the last result alone is looked at.
        cursor.execute(";\n".join(["ROLLBACK", "BEGIN", *gifts, f"SELECT {every}, {some}"]))
        while is_psycopg3 and cursor.nextset():
            pass
        all_of_it, part_of_it = cursor.fetchone()
        held = bool(all_of_it) or (None if part_of_it else False)
        cursor.execute(f"SET LOCAL ROLE {ROLE};\n{statement.text}")
    except DatabaseError as error:
        return sqlstate(error) or "?", str(error).strip(), held
    finally:
        cursor.execute("ROLLBACK")
    return None, "", held


def _name(right: Right) -> str:
    return quoted(*right.name[:2])


def _function(right: Right) -> str:
    return f"{quoted(*right.name[:2])}({', '.join(right.name[2:])})"


def _own_relation(right: Right) -> list[str]:
    """Give a relation; a sequence that a table owns goes with the table, an index too."""
    return [
        f"""DO $$DECLARE of oid := '{_name(right).replace("'", "''")}'::regclass; BEGIN
        of := coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = of),
            (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = of
             AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjsubid > 0
             AND (SELECT relkind FROM pg_class WHERE oid = of) = 'S'), of);
        EXECUTE (SELECT CASE WHEN rolsuper THEN format('ALTER TABLE %s OWNER TO {ROLE}',
            of::regclass) ELSE format('GRANT %I TO {ROLE}', rolname) END
            FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE c.oid = of);
        -- What its former owner had taken from himself.
        EXECUTE format('GRANT ALL ON TABLE %s TO {ROLE}', of::regclass); END$$"""
    ]


def _own(word: str, name: Callable[[Right], str] = _name) -> Callable[[Right], list[str]]:
    """Give an object to the role; where a role has it that may less than all, be of that one."""

    def give(right: Right) -> list[str]:
        catalog, owner, _, type_ = OWNERS[right.object_kind]
        shown = name(right).replace("'", "''")
        return [
            f"""DO $$BEGIN EXECUTE (SELECT CASE WHEN rolsuper THEN
            'ALTER {word} {shown} OWNER TO {ROLE}' ELSE format('GRANT %I TO {ROLE}', rolname) END
            FROM {catalog} c JOIN pg_roles r ON r.oid = {owner}
            WHERE c.oid = '{shown}'::{type_}); END$$"""
        ]

    return give


def _own_statistics(right: Right) -> list[str]:
    return [f"ALTER STATISTICS {_name(right)} OWNER TO {ROLE}"]


def _own_object(kind: str) -> Callable[[Right], list[str]]:
    """Give an object of which the schema does not tell: not all kinds have an ALTER … OWNER TO."""

    def give(right: Right) -> list[str]:
        catalog, prefix = OBJECTS[kind]
        to = f"(SELECT oid FROM pg_roles WHERE rolname = '{ROLE}')"
        return [f"UPDATE {catalog} SET {prefix}owner = {to} WHERE {_is_named(prefix, right)}"]

    return give


def _is_named(prefix: str, right: Right) -> str:
    name = right.name[-1].replace("'", "''")
    return f"{prefix}name = '{name}'"


def _own_database(right: Right) -> list[str]:
    to = f"(SELECT oid FROM pg_roles WHERE rolname = '{ROLE}')"
    return [f"UPDATE pg_database SET datdba = {to} WHERE {_of_database(right)}"]


def _of_database(right: Right) -> str:
    return _is_named("dat", right) if right.name else "datname = current_database()"


def _grant(word: str, name: Callable[[Right], str] = _name) -> Callable[[Right], list[str]]:
    def give(right: Right) -> list[str]:
        columns = f" ({', '.join(map(quoted, right.columns))})" if right.columns else ""
        role = quoted(right.role) if right.role else ROLE
        return [f"GRANT {right.privilege}{columns} ON {word} {name(right)} TO {role}"]

    return give


def _grant_database(right: Right) -> list[str]:
    return [
        f"DO $$BEGIN EXECUTE format('GRANT {right.privilege} ON DATABASE %I TO {ROLE}',"
        " current_database()); END$$"
    ]


def _own_owner(right: Right) -> list[str]:
    return [f"GRANT {quoted(right.name[0])} TO {ROLE}"]


# Kind -> catalog, and what its columns begin with.
OBJECTS = {
    "conversion": ("pg_conversion", "con"),
    "event trigger": ("pg_event_trigger", "evt"),
    "extension": ("pg_extension", "ext"),
    "foreign data wrapper": ("pg_foreign_data_wrapper", "fdw"),
    "language": ("pg_language", "lan"),
    "operator": ("pg_operator", "opr"),
    "operator class": ("pg_opclass", "opc"),
    "operator family": ("pg_opfamily", "opf"),
    "publication": ("pg_publication", "pub"),
    "server": ("pg_foreign_server", "srv"),
    "text search configuration": ("pg_ts_config", "cfg"),
    "text search dictionary": ("pg_ts_dict", "dict"),
}
OF_OWNERS = ("OWNER", "DROP", "GRANT")
GIVING: Mapping[tuple[str, str], Callable[[Right], list[str]]] = {
    **{(each, kind): _own_object(kind) for kind in OBJECTS for each in OF_OWNERS},
    **{(each, "database"): _own_database for each in OF_OWNERS},
    **{(each, "relation"): _own_relation for each in OF_OWNERS},
    **{(each, "schema"): _own("SCHEMA") for each in OF_OWNERS},
    **{(each, "type"): _own("TYPE") for each in OF_OWNERS},
    **{(each, "function"): _own("ROUTINE", _function) for each in OF_OWNERS},
    **{(each, "statistics"): _own_statistics for each in OF_OWNERS},
    **{(each, "collation"): _own("COLLATION") for each in OF_OWNERS},
    **{(each, "schema"): _grant("SCHEMA") for each in ("CREATE", "USAGE")},
    **{
        (each, "relation"): _grant("TABLE")
        for each in (
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "REFERENCES",
            "TRIGGER",
            "TRUNCATE",
            "MAINTAIN",
        )
    },
    ("USAGE", "sequence"): _grant("SEQUENCE"),
    ("USAGE", "type"): _grant("TYPE"),
    ("EXECUTE", "function"): _grant("ROUTINE", _function),
    **{(each, "database"): _grant_database for each in ("CREATE", "TEMPORARY")},
    ("MEMBER", "role"): _own_owner,
    ("SUPERUSER", "role"): lambda right: [f"ALTER ROLE {ROLE} SUPERUSER"],
}
# Kind -> catalog, its columns of the owner and of the schema, and how an oid is looked up.
OWNERS = {
    "relation": ("pg_class", "relowner", "relnamespace", "regclass"),
    "type": ("pg_type", "typowner", "typnamespace", "regtype"),
    "function": ("pg_proc", "proowner", "pronamespace", "regprocedure"),
    "schema": ("pg_namespace", "nspowner", "oid", "regnamespace"),
    "collation": ("pg_collation", "collowner", "collnamespace", "regcollation"),
}


def _ask(right: Right) -> str:
    name = (_function(right) if right.object_kind == "function" else _name(right)).replace(
        "'", "''"
    )
    if right.privilege in OF_OWNERS:
        catalog, owner, schema, type_ = OWNERS[right.object_kind]
        held = OWNED.format(role=ROLE, owner=owner)
        if right.privilege == "DROP":
            of = f"(SELECT nspowner FROM pg_namespace n WHERE n.oid = {schema})"
            held += f" OR {OWNED.format(role=ROLE, owner=of)}"
        return f"SELECT {held} FROM {catalog} WHERE oid = '{name}'::{type_}"
    if right.columns:
        every = " AND ".join(
            f"has_column_privilege('{ROLE}', '{name}', '{each}', '{right.privilege}')"
            for each in right.columns
        )
        return f"SELECT {every}"
    function = {"relation": "table"}.get(right.object_kind, right.object_kind)
    role = right.role or ROLE
    return f"SELECT has_{function}_privilege('{role}', '{name}', '{right.privilege}')"


def _may_be_of_columns(right: Right) -> bool:
    plain = right.object_kind == "relation" and not (right.columns or right.role)
    return plain and right.privilege in ("SELECT", "INSERT", "UPDATE")


def _ask_columns(right: Right) -> str:
    name = _name(right).replace("'", "''")
    table = f"'{ROLE}', '{name}', '{right.privilege}'"
    return f"(has_any_column_privilege({table}) AND NOT has_table_privilege({table}))"


def _ask_role(right: Right) -> str:
    if right.privilege == "SUPERUSER":
        return f"SELECT rolsuper FROM pg_roles WHERE rolname = '{ROLE}'"
    return f"SELECT pg_has_role('{ROLE}', '{right.name[0]}', 'MEMBER')"


def _ask_statistics(right: Right) -> str:
    owner, schema = (
        OWNED.format(role=ROLE, owner="stxowner"),
        quoted((*right.name[:-1], "public")[0]),
    )
    of = f"(SELECT nspowner FROM pg_namespace WHERE oid = '{schema}'::regnamespace)"
    either = f"{owner} OR {OWNED.format(role=ROLE, owner=of)}"
    where = f"stxname = '{right.name[-1]}' AND stxnamespace = '{schema}'::regnamespace"
    return f"SELECT {either} FROM pg_statistic_ext WHERE {where}"


def _ask_object(right: Right) -> str:
    catalog, prefix = OBJECTS[right.object_kind]
    held = OWNED.format(role=ROLE, owner=f"{prefix}owner")
    if right.privilege == "DROP" and (right.object_kind not in IN_NO_SCHEMA.values()):
        of = f"(SELECT nspowner FROM pg_namespace n WHERE n.oid = {prefix}namespace)"
        held += f" OR {OWNED.format(role=ROLE, owner=of)}"
    return f"SELECT bool_and({held}) FROM {catalog} WHERE {_is_named(prefix, right)}"


def _ask_database(right: Right) -> str:
    if right.privilege in OF_OWNERS:
        held = OWNED.format(role=ROLE, owner="datdba")
        return f"SELECT {held} FROM pg_database WHERE {_of_database(right)}"
    return f"SELECT has_database_privilege('{ROLE}', current_database(), '{right.privilege}')"


ASKING: Mapping[str, Callable[[Right], str]] = {
    **dict.fromkeys(("relation", "type", "function", "schema", "collation", "sequence"), _ask),
    **dict.fromkeys(OBJECTS, _ask_object),
    "statistics": _ask_statistics,
    "database": _ask_database,
    "role": _ask_role,
}
