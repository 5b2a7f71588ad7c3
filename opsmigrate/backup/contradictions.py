"""Why rows cannot be restored that are there: what contradicts them, and the way out."""

import re
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.session import second_connection
from opsmigrate.steps import Step, statement

# As pg_dump writes them; the statement stands after the server's words.
MADE = re.compile(
    r"(?:ALTER TABLE ONLY (?P<of>.+?)\s+ADD CONSTRAINT (?P<constraint>\S.*?) (?:UNIQUE|PRIMARY KEY)"
    r"|CREATE UNIQUE INDEX (?P<index>.+?) ON (?:ONLY )?(?P<on>.+?) USING btree)"
    r"(?: NULLS NOT DISTINCT)? \((?P<keys>[^()]+)\)",
    re.DOTALL,
)
# Nothing but what is spelled in the statement is typed: expressions and their operators are not.
PLAIN = re.compile(r'(?:[\w$]+|"(?:[^"]|"")+")(?:, (?:[\w$]+|"(?:[^"]|"")+"))*')
BY_INDEX = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
NOT_VALID = "ALTER TABLE {} DROP CONSTRAINT {}, ADD CONSTRAINT {} {} NOT VALID"
# A check whose function is no part of PostgreSQL, which then may ask other tables.
CHECKS = """
SELECT k.conname, n.nspname, c.relname, pg_get_constraintdef(k.oid),
       string_agg(DISTINCT format('%%I.%%I(%%s)', m.nspname, p.proname,
                                  pg_get_function_identity_arguments(p.oid)), ', ')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
     AND d.refclassid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_namespace m ON m.oid = p.pronamespace
WHERE k.contype = 'c' AND strpos(%s, k.conname) > 0 AND strpos(%s, c.relname) > 0
GROUP BY k.oid, 1, 2, 3, 4
"""


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """What is to be said besides the server's words, and to be typed on the live database."""

    words: str
    hint: str
    steps: tuple[Step, ...]


def contradiction_in(
    connection: BaseDatabaseWrapper, database: str, error: ClientError
) -> Contradiction | None:
    """Return what fits the failure of a restore into `database`, None where nothing does.

    The server's words are in its language; the names in them are looked up there.
    """
    made = MADE.search(error.besides)
    if made is not None and error.detail:
        return _twice(made, error.detail)
    try:
        with second_connection(connection, database=database) as restored:
            return _refused(restored, str(error))
    except Error:
        return None


def _twice(made: re.Match[str], detail: str) -> Contradiction:
    table, keys = made["of"] or made["on"], made["keys"]
    look: tuple[Step, ...] = ()
    if PLAIN.fullmatch(keys):
        given = " AND ".join(f"{key} IS NOT NULL" for key in keys.split(", "))
        look = (
            *(statement(f"SET {name} TO off") for name in BY_INDEX),
            statement(
                f"SELECT {keys}, count(*) FROM {table} WHERE {given} GROUP BY {keys} "  # noqa: S608
                "HAVING count(*) > 1"
            ),
        )
    return Contradiction(
        words=f"; {detail}",
        hint="rows violate a unique index that is marked as valid: find them without using the "
        "index, give each a value of its own, and take the backup again",
        steps=look,
    )


def _refused(restored: BaseDatabaseWrapper, words: str) -> Contradiction | None:
    with restored.cursor() as cursor:
        cursor.execute("SET search_path = pg_catalog")
        cursor.execute(CHECKS, [words, words])
        found = cursor.fetchall()
        if len(found) != 1:
            return None
        [[name, schema, table, definition, functions]] = found
        change = sql.SQL(
            "ALTER TABLE {} DROP CONSTRAINT {}, ADD CONSTRAINT {} {} NOT VALID"
        ).format(
            sql.Identifier(schema, table),
            sql.Identifier(name),
            sql.Identifier(name),
            sql.SQL(definition),
        )
        text = change.as_string(cursor.cursor)
    return Contradiction(
        words=f"; the check {name} of {schema}.{table} calls {functions}, and PostgreSQL may "
        "restore its rows before those of the tables that the function reads",
        hint="make the check NOT VALID, so that it is restored after all rows and still checks "
        "new ones; or replace it by a trigger. Then take the backup again",
        steps=(statement(text, risk="locks the table for a moment"),),
    )
