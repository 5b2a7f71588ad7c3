"""What somebody who may create in a schema of the search_path can plant there, to be called by us.

Each of them fits its arguments better than PostgreSQL's own, or stands before it in the path. As
it is called, it writes its name and the statement that called it into a file of the server's
machine: that works in a session that is read-only, and outlasts a rollback.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import execute

# In a schema that stands after pg_catalog: what fits better all the same.
FIRST = "evil"
SEEN = """
CREATE FUNCTION {schema}.seen(who pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $f$
DECLARE
    told pg_catalog.text := who OPERATOR(pg_catalog.||) ': ' OPERATOR(pg_catalog.||)
        pg_catalog.translate(pg_catalog.current_query(), E'\\n', ' ');
    once pg_catalog.text := 'planted.told_' OPERATOR(pg_catalog.||) pg_catalog.md5(told);
BEGIN
    -- Once for each statement: an operator is called for every row.
    IF pg_catalog.current_setting(once, true) IS NULL AND (
        SELECT r.rolsuper FROM pg_catalog.pg_roles r
        WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER) THEN
        PERFORM pg_catalog.set_config(once, 'x', false);
        EXECUTE pg_catalog.format(
            'COPY (SELECT %L::pg_catalog.text) TO PROGRAM %L', told, {told});
    END IF;
    RETURN true;
END $f$
"""
# Arguments, what is returned, and the answer, as far as it matters.
FUNCTIONS = (
    ("to_jsonb(d pg_catalog.pg_database)", "jsonb", "pg_catalog.to_jsonb(d)"),
    ("quote_ident(n name)", "text", "pg_catalog.quote_ident(n::pg_catalog.text)"),
    ("obj_description(o oid, k text)", "text", "NULL::pg_catalog.text"),
    ("shobj_description(o oid, k text)", "text", "NULL::pg_catalog.text"),
    ("format(f text, a name, b name)", "text", "pg_catalog.format(f, a, b)"),
    ("format(f text, a text, b text)", "text", "pg_catalog.format(f, a, b)"),
    ("format(f text, a name)", "text", "pg_catalog.format(f, a)"),
    ("concat_ws(s text, a text, b text)", "text", "pg_catalog.concat_ws(s, a, b)"),
    ("unnest(a text[])", "SETOF text", "pg_catalog.unnest(a)"),
    ("num_nulls(a bigint)", "int", "pg_catalog.num_nulls(a)"),
    ("pg_column_size(a text)", "int", "pg_catalog.pg_column_size(a)"),
    ("pg_typeof(a text)", "regtype", "pg_catalog.pg_typeof(a)"),
    ("array_position(a name[], b name)", "int", "pg_catalog.array_position(a, b)"),
    ("has_schema_privilege(o oid, k varchar)", "bool", "true"),
)
# Of the same arguments as PostgreSQL's: called where their schema comes first.
SAME_FUNCTIONS = (
    ("now()", "timestamptz", "pg_catalog.now()"),
    ("current_database()", "name", "pg_catalog.current_database()"),
    ("current_schema()", "name", "pg_catalog.current_schema()"),
    ("current_setting(a text)", "text", "pg_catalog.current_setting(a)"),
    ("set_config(a text, b text, c bool)", "text", "pg_catalog.set_config(a, b, c)"),
    ("pg_backend_pid()", "int", "pg_catalog.pg_backend_pid()"),
    ("pg_is_in_recovery()", "bool", "false"),
    ("format_type(o oid, m int)", "text", "pg_catalog.format_type(o, m)"),
    ("to_regclass(n text)", "regclass", "pg_catalog.to_regclass(n)"),
    ("to_regtype(n text)", "regtype", "pg_catalog.to_regtype(n)"),
    ("pg_table_is_visible(o oid)", "bool", "pg_catalog.pg_table_is_visible(o)"),
    ("pg_get_userbyid(o oid)", "name", "pg_catalog.pg_get_userbyid(o)"),
    ("pg_has_role(a name, b oid, c text)", "bool", "true"),
    ("has_table_privilege(o oid, p text)", "bool", "true"),
    ("gen_random_uuid()", "uuid", "pg_catalog.gen_random_uuid()"),
    ("get_byte(a bytea, b int)", "int", "pg_catalog.get_byte(a, b)"),
    ("tidsend(a tid)", "bytea", "pg_catalog.tidsend(a)"),
    ("md5(a text)", "text", "pg_catalog.md5(a)"),
    ("generate_series(a int, b int)", "SETOF int", "pg_catalog.generate_series(a, b)"),
    ("hashtextextended(a text, b bigint)", "bigint", "pg_catalog.hashtextextended(a, b)"),
    ("pg_try_advisory_lock(a int, b int)", "bool", "pg_catalog.pg_try_advisory_lock(a, b)"),
    ("pg_export_snapshot()", "text", "pg_catalog.pg_export_snapshot()"),
    ("text(n name)", "text", "pg_catalog.text(n)"),
)
OPERATORS = (
    ("=", "name", "name", "pg_catalog.nameeq"),
    ("=", "oid", "oid", "pg_catalog.oideq"),
    ("=", "text", "text", "pg_catalog.texteq"),
    ("=", "int4", "int4", "pg_catalog.int4eq"),
    ("=", '"char"', '"char"', "pg_catalog.chareq"),
    ("=", "name", "text", "pg_catalog.nameeqtext"),
    ("=", "tid", "tid", "pg_catalog.tideq"),
    ("<>", "name", "name", "pg_catalog.namene"),
    ("<>", "text", "text", "pg_catalog.textne"),
    ("~", "name", "text", "pg_catalog.nameregexeq"),
    ("!~", "name", "text", "pg_catalog.nameregexne"),
    (">=", "tid", "tid", "pg_catalog.tidge"),
    ("<", "tid", "tid", "pg_catalog.tidlt"),
    ("<", "int4", "int4", "pg_catalog.int4lt"),
    ("%", "int4", "int4", "pg_catalog.int4mod"),
    (">", "int8", "int4", "pg_catalog.int84gt"),
    ("-", "int8", "int8", "pg_catalog.int8mi"),
    ("||", "text", "text", "pg_catalog.textcat"),
)
# Called, arguments, state, what the state becomes (`s` and `a` stand for both), the state at first.
AGGREGATES = (
    ("jsonb_object_agg", "name, boolean", "jsonb", "s", "{}"),
    ("jsonb_object_agg", "text, boolean", "jsonb", "s", "{}"),
    ("array_agg", "text", "text[]", "pg_catalog.array_append(s, a)", "{}"),
    ("string_agg", "text, text", "text", "s", ""),
    ("bool_or", "boolean", "boolean", "s", "f"),
    ("max", "bigint", "bigint", "pg_catalog.int8larger(s, a)", "0"),
    ("count", "*", "bigint", "pg_catalog.int8pl(s, 1)", "0"),
    ("count", "text", "bigint", "pg_catalog.int8pl(s, 1)", "0"),
    ("count", "uuid", "bigint", "pg_catalog.int8pl(s, 1)", "0"),
)
RELATIONS = ("pg_class", "pg_database", "pg_namespace", "pg_locks", "pg_roles", "pg_stat_activity")
TYPES = ("text", "oid", "name", "tid", "uuid", "regclass", "regtype", "int2", "int4", "int8")


@dataclass(frozen=True)
class Planted:
    """What was planted in the database of an alias; the file tells what was called."""

    alias: str
    role: str
    file: Path

    def called(self, *, but_for: Sequence[str] = ()) -> list[str]:
        """Return what was called, each with its statement, but for statements with these texts."""
        called = set(self.file.read_text(encoding="utf-8").splitlines())
        return sorted(each for each in called if not any(text in each for text in but_for))


@contextmanager
def planted(alias: str, role: str, *, first: bool) -> Iterator[Planted]:
    """Have all of it planted by `role`: in public, or `first` in a schema before pg_catalog."""
    # pytest's own folders are closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="opsmigrate-planted-"))
    folder.chmod(0o777)
    file = folder / "called"
    file.touch()
    file.chmod(0o666)
    try:
        _plant(
            alias,
            role,
            FIRST if first else "public",
            f"{{ cat >> {file}; }} 2>&- || cat > /dev/null",
        )
        if first:
            name = sql.Identifier(connections[alias].settings_dict["NAME"])
            path = sql.SQL("ALTER DATABASE {} SET search_path = evil, pg_catalog, public")
            execute(connections[alias], path.format(name))
        connections[alias].close()
        file.write_text("", encoding="utf-8")
        yield Planted(alias, role, file)
    finally:
        if first:
            name = sql.Identifier(connections[alias].settings_dict["NAME"])
            execute(connections[alias], sql.SQL("ALTER DATABASE {} RESET search_path").format(name))
        connections[alias].close()
        shutil.rmtree(folder)


def _plant(alias: str, role: str, schema: str, program: str) -> None:
    connection = connections[alias]
    who, where = sql.Identifier(role), sql.Identifier(schema)
    if schema == FIRST:
        execute(connection, sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(where, who))
    else:
        execute(connection, sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(where, who))
    execute(connection, sql.SQL("SET ROLE {}").format(who))
    # Planted from a session whose names are sure.
    execute(connection, "SET search_path = pg_catalog")
    for statement in _statements(schema, program):
        execute(connection, statement)
    execute(connection, "RESET search_path")
    execute(connection, "RESET ROLE")


def _statements(schema: str, program: str) -> Iterator[str]:
    yield SEEN.format(schema=schema, told=f"'{program}'")
    functions = FUNCTIONS + (SAME_FUNCTIONS if schema == FIRST else ())
    for called, returns, answer in functions:
        yield _function(schema, called, returns, answer)
    for number, (name, left, right, answer) in enumerate(OPERATORS):
        function = f"operator_{number}"
        words = f"{name} ({left}, {right})"
        yield _function(
            schema, f"{function}(a {left}, b {right})", "bool", f"{answer}(a, b)", words
        ).replace("RETURNS bool", f"RETURNS {_result(name, left)}")
        yield (
            f"CREATE OPERATOR {schema}.{name} (LEFTARG = {left}, RIGHTARG = {right},"
            f" FUNCTION = {schema}.{function})"
        )
    for number, (name, arguments, state, becomes, initial) in enumerate(AGGREGATES):
        yield from _aggregate(schema, number, name, arguments, state, becomes, initial)
    yield f"CREATE TYPE {schema}.mood AS ENUM ('sad')"
    yield _function(schema, "mood_as_text(m MOOD)".replace("MOOD", f"{schema}.mood"), "text", "'x'")
    yield (
        f"CREATE CAST ({schema}.mood AS pg_catalog.text)"
        f" WITH FUNCTION {schema}.mood_as_text({schema}.mood) AS IMPLICIT"
    )
    if schema == FIRST:
        for name in RELATIONS:
            yield (
                f"CREATE VIEW {schema}.{name} AS SELECT * FROM pg_catalog.{name}"
                f" WHERE {schema}.seen('view {name}')"
            )
        for name in TYPES:
            yield (
                f"CREATE DOMAIN {schema}.{name} AS pg_catalog.{name}"
                f" CHECK ({schema}.seen('type {name}'))"
            )


def _function(schema: str, called: str, returns: str, answer: str, words: str = "") -> str:
    kind, many = returns, "RETURN"
    if returns.startswith("SETOF "):
        many = "RETURN QUERY SELECT"
    told = (words or re.sub(r"\b\w+ (?=\w)", "", called)).replace("'", "''")
    return (
        f"CREATE FUNCTION {schema}.{called} RETURNS {kind} LANGUAGE plpgsql AS $f$"
        f" BEGIN PERFORM {schema}.seen('{told}'); {many} {answer}; END $f$"
    )


def _result(name: str, left: str) -> str:
    return left if name in {"%", "-", "||"} else "bool"


def _aggregate(
    schema: str, number: int, name: str, arguments: str, state: str, becomes: str, initial: str
) -> Iterator[str]:
    kinds = [] if arguments == "*" else arguments.split(", ")
    named = ", ".join(
        [f"s {state}", *(f"{'ab'[place]} {kind}" for place, kind in enumerate(kinds))]
    )
    words = f"aggregate {name}({arguments})"
    yield _function(schema, f"state_{number}({named})", state, becomes, words)
    yield (
        f"CREATE AGGREGATE {schema}.{name}({arguments})"
        f" (SFUNC = {schema}.state_{number}, STYPE = {state}, INITCOND = '{initial}')"
    )
