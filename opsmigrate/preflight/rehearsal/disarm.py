"""Takes from a copy what leads outside: foreign servers, functions with other languages."""

from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.rehearsal.outward import leads_outside
from opsmigrate.preflight.rehearsal.outward_names import is_outward_extension
from opsmigrate.preflight.rehearsal.outward_rules import FenceBounds
from opsmigrate.preflight.rehearsal.sql_fence import DISARMED

SCHEMA = "opsmigrate_fence"
COUNTER = f"{SCHEMA}.refused"
COUNTED = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {COUNTER}"  # noqa: S608
FUNCTIONS = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname), p.proname, p.prokind::text,
       pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.provolatile::text,
       coalesce(p.prosrc, ''), pg_get_function_sqlbody(p.oid), l.lanname, e.extname,
       l.lanpltrusted OR l.lanname = 'internal',
       -- Not for SQL to call: plpgsql cannot stand in for them either.
       'internal'::regtype = ANY(p.proargtypes) OR 'cstring'::regtype = ANY(p.proargtypes)
       OR p.prorettype IN ('internal'::regtype, 'cstring'::regtype, 'fdw_handler'::regtype,
                           'language_handler'::regtype)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind IN ('f', 'p')
"""
MAPPINGS = """
SELECT quote_ident(s.srvname), CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END
FROM pg_user_mappings u JOIN pg_foreign_server s ON s.oid = u.srvid
"""
WRAPPERS = "SELECT fdwname FROM pg_foreign_data_wrapper WHERE fdwhandler <> 0"
FOREIGN = """
SELECT c.relname FROM pg_class c WHERE c.relkind = 'f'
"""
# See outward_format.py.
FORMATS = """
SELECT DISTINCT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE proname = 'format' AND nspname <> 'pg_catalog'
"""
VOLATILITY = {"i": "IMMUTABLE", "s": "STABLE", "v": "VOLATILE"}
POWERS = """
SELECT r.rolsuper OR EXISTS (
    SELECT FROM pg_roles p WHERE p.rolname IN (
        'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
    AND pg_has_role(current_user, p.oid, 'MEMBER'))
FROM pg_roles r WHERE r.rolname = current_user
"""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What SQL could still reach from the copy.

    `files`: the role may read and write files of the server, or start programs there. `names`:
    foreign tables and the like, whose use is refused by name; `foreign` are those among them that
    may be altered, as that reads no row.
    """

    files: bool
    names: tuple[str, ...]
    foreign: tuple[str, ...] = ()


def disarm(copy: BaseDatabaseWrapper, *, isolated: bool) -> Reach:
    """Make what leads outside of the copy raise an error, and return what has to be refused.

    Call it when the definitions are there and before the rows and indexes, which call functions.
    A function in an untrusted language, of an extension that reaches outside, or whose own text
    does, is replaced by one that raises SQLSTATE OPS01 and counts it, so that code that swallows
    errors is seen too. `isolated`: nothing but copies is on the server.
    """
    names: list[str] = []
    with copy.cursor() as cursor:
        cursor.execute(POWERS)
        files = bool(cursor.fetchone()[0])
        cursor.execute(FOREIGN)
        foreign = tuple(row[0] for row in cursor.fetchall())
        names += foreign
        if not (isolated and not files):
            cursor.execute(FORMATS)
            names += [row[0] for row in cursor.fetchall()]
        cursor.execute(MAPPINGS)
        mappings = [
            sql.SQL("DROP USER MAPPING FOR {} SERVER {}").format(
                sql.SQL(user), sql.Identifier(name)
            )
            for name, user in cursor.fetchall()
        ]
        cursor.execute(WRAPPERS)
        wrappers = [
            sql.SQL("ALTER FOREIGN DATA WRAPPER {} NO HANDLER").format(sql.Identifier(row[0]))
            for row in cursor.fetchall()
        ]
        for statement in (*mappings, *wrappers):
            cursor.execute(statement)
        cursor.execute(FUNCTIONS)
        database = str(copy.settings_dict["NAME"])
        bounds = FenceBounds(database=database, files=files, isolated=isolated)
        leading = _leading_outside(cursor.fetchall(), bounds)
    if leading:
        _prepare_counter(copy)
    names += [name for name, statement in leading if not _try(copy, statement)]
    return Reach(files=files, names=tuple(names), foreign=foreign)


def times_refused(copy: BaseDatabaseWrapper) -> int:
    """Return how often something was called that was disarmed, also by rolled-back statements."""
    with copy.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [COUNTER])
        if cursor.fetchone()[0] is None:
            return 0
        cursor.execute(COUNTED)
        return int(cursor.fetchone()[0])


def _leading_outside(
    rows: list[tuple[Any, ...]], bounds: FenceBounds
) -> list[tuple[str, Composable]]:
    found = []
    for label, name, kind, arguments, result, volatility, *rest in rows:
        body, parsed, language, extension, inside, internal = rest
        if internal:
            continue
        if extension is None:
            leads = not inside or leads_outside(language, body, parsed, bounds)
        else:
            leads = is_outward_extension(extension)
        if leads:
            returns = f"RETURNS {result} {VOLATILITY[volatility]}" if kind == "f" else ""
            word = "FUNCTION" if kind == "f" else "PROCEDURE"
            found.append((name, _stub(word, label, arguments, returns)))
    return found


def _stub(word: str, label: str, arguments: str, returns: str) -> Composable:
    # All of it comes from the catalog, quoted there: nothing in it is a value.
    message = sql.Literal(f"a rehearsal may not call {label}, which reaches beyond its database")
    return sql.SQL(
        f"CREATE OR REPLACE {word} {label}({arguments}) {returns} LANGUAGE plpgsql AS"
        f" $opsmigrate$ BEGIN PERFORM pg_catalog.nextval('{COUNTER}');"
        f" RAISE EXCEPTION USING ERRCODE = '{DISARMED}', MESSAGE = ".replace("{", "{{").replace(
            "}", "}}"
        )
        + "{}; END $opsmigrate$"
    ).format(message)


def _prepare_counter(copy: BaseDatabaseWrapper) -> None:
    with copy.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        cursor.execute(f"CREATE SEQUENCE IF NOT EXISTS {COUNTER}")
        # Functions may run as another role: those of a kept database belong to whom they did.
        cursor.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC")
        cursor.execute(f"GRANT USAGE ON SEQUENCE {COUNTER} TO PUBLIC")


def _try(copy: BaseDatabaseWrapper, statement: Composable) -> bool:
    try:
        with transaction(copy) as cursor:
            cursor.execute(statement)
    except Error:
        return False
    return True
