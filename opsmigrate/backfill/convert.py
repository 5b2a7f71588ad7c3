"""Text that holds UUIDs becomes a uuid column: filled beside it, and swapped in a moment."""

from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.phases import ACCESS_EXCLUSIVE, Phase
from opsmigrate.backfill.state import State
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import generated_name

TEXTS = ("text", "character varying", "character(")
# As Python and PostgreSQL write a UUID, or without hyphens, as Django keeps one elsewhere.
VALID = "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$"
SHOWN = 5

CONVERTED = (
    "CASE WHEN {text} IS NULL THEN gen_random_uuid()"
    " WHEN {text}::text ~* {valid} THEN {text}::text::uuid END"
)
# A value that is no UUID is let in as before; the column then stays NULL and stops the run, not
# the writer.
FOLLOW = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}
"""
BODY = """
BEGIN
    IF TG_OP = 'INSERT' OR NEW.{column} IS DISTINCT FROM OLD.{column} THEN
        NEW.{shadow} := {value};
    END IF;
    RETURN NEW;
END
"""
TRIGGER = """
CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OF {column} ON {table}
FOR EACH ROW EXECUTE FUNCTION {function}()
"""
# What hangs on the column and would go with it; its own default, and indexes and constraints of
# this column alone, are made anew.
DEPENDENTS = """
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND d.refobjsubid = %(number)s
  AND NOT EXISTS (SELECT FROM pg_attrdef a WHERE d.classid = 'pg_attrdef'::regclass
                  AND a.oid = d.objid AND a.adnum = d.refobjsubid)
  AND NOT EXISTS (SELECT FROM pg_index i WHERE d.classid = 'pg_class'::regclass
                  AND i.indexrelid = d.objid AND i.indnatts = 1 AND NOT i.indisprimary)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass
                  AND c.oid = d.objid AND c.conrelid = d.refobjid AND c.contype IN ('u', 'c', 'n')
                  AND c.conkey = ARRAY[d.refobjsubid]::smallint[])
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE d.classid = 'pg_trigger'::regclass
                  AND t.oid = d.objid AND t.tgname = %(trigger)s)
UNION
SELECT pg_describe_object('pg_constraint'::regclass, oid, 0) FROM pg_constraint
WHERE contype = 'f' AND confrelid = %(oid)s AND %(number)s = ANY (confkey)
ORDER BY 1
"""
NOT_NULLS = """
SELECT conname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid
WHERE c.conrelid = %s AND c.contype = 'n' AND a.attname = %s AND c.conkey = ARRAY[a.attnum]
"""


def is_text(state: State, goal: Goal) -> bool:
    """Say whether the column is there as text, and is to be a uuid."""
    return goal.type == "uuid" and (state.column_type or "").startswith(TEXTS)


def shadow_of(goal: Goal) -> Goal:
    """Return the goal of the uuid column that is filled beside the text one.

    It forbids NULLs whatever the field does: a text that is no UUID has NULL beside it, and would
    be lost in the swap.
    """
    return replace(
        goal,
        column=generated_name(goal.column, "", "seeded"),
        expression=_converted(_quoted(goal.column)),
        reads_row=True,
        nullable=False,
    )


def _converted(text: str) -> str:
    # Not composed: as_string() of psycopg2 wants a connection. VALID has no quotes.
    return CONVERTED.format(text=text, valid=f"'{VALID}'")


def follow_phase(goal: Goal) -> Phase:
    """Return what adds the uuid column and lets it follow what is written to the text one."""
    names = _names(goal)
    value = _converted(f"NEW.{_quoted(goal.column)}")
    body = sql.SQL(BODY).format(**names, value=sql.SQL(value))
    statements = (
        sql.SQL("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {shadow} uuid").format(**names),
        sql.SQL(FOLLOW).format(
            **names, body=sql.SQL("$opsmigrate$") + body + sql.SQL("$opsmigrate$")
        ),
        sql.SQL("DROP TRIGGER IF EXISTS {trigger} ON {table}").format(**names),
        sql.SQL(TRIGGER).format(**names),
    )
    return Phase("add a uuid column that follows the text", statements, ACCESS_EXCLUSIVE)


def swap_phase(connection: BaseDatabaseWrapper, goal: Goal, oid: int) -> Phase:
    """Return what puts the uuid column in the place of the text one, in one transaction."""
    shadow, names = shadow_of(goal), _names(goal)
    with connection.cursor() as cursor:
        cursor.execute(NOT_NULLS, [oid, shadow.column])
        not_nulls = [row[0] for row in cursor.fetchall()]
    rename = "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}"
    statements = [
        sql.SQL("DROP TRIGGER IF EXISTS {trigger} ON {table}").format(**names),
        sql.SQL("DROP FUNCTION IF EXISTS {function}()").format(**names),
        sql.SQL("ALTER TABLE {table} DROP COLUMN {column}").format(**names),
        sql.SQL("ALTER TABLE {table} RENAME COLUMN {shadow} TO {column}").format(**names),
        sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT gen_random_uuid()").format(
            **names
        ),
    ]
    if goal.nullable:
        drop = sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")
        statements.append(drop.format(**names))
        not_nulls = []
    renamed = [(name, generated_name(goal.table, goal.column, "not_null")) for name in not_nulls]
    renamed += [(shadow.constraint, goal.constraint)] if goal.unique else []
    statements += [
        sql.SQL(rename).format(table=goal.relation, old=sql.Identifier(a), new=sql.Identifier(b))
        for a, b in renamed
        if a != b
    ]
    return Phase("put the uuid column in its place", tuple(statements), ACCESS_EXCLUSIVE)


def require_convertible(connection: BaseDatabaseWrapper, goal: Goal, state: State) -> None:
    """Raise RefusedError where something hangs on the text column, or a value is no UUID."""
    assert state.number is not None  # noqa: S101 - there is a column
    with connection.cursor() as cursor:
        cursor.execute(
            DEPENDENTS,
            {"oid": state.oid, "number": state.number, "trigger": _trigger(goal)},
        )
        dependents = [row[0] for row in cursor.fetchall()]
        if dependents or state.in_hierarchy:
            why = ", ".join(dependents) or "the table has partitions or children"
            raise _refused(
                goal,
                f"is {state.column_type}, and cannot be swapped for a {goal.type} column: {why}",
                "drop or change what depends on it, then make it anew",
            )
        _require_valid(cursor, goal)


def _require_valid(cursor: CursorWrapper, goal: Goal) -> None:
    names = {"column": sql.Identifier(goal.column), "table": goal.relation}
    invalid = sql.SQL("{column}::text !~* {valid}").format(**names, valid=sql.Literal(VALID))
    query = sql.SQL("SELECT count(*) FROM {table} WHERE {invalid}")
    cursor.execute(query.format(**names, invalid=invalid))
    rows = cursor.fetchone()[0]
    if rows:
        query = sql.SQL(
            "SELECT ctid::text, left({column}::text, 60) FROM {table} WHERE {invalid} LIMIT {shown}"
        )
        cursor.execute(query.format(**names, invalid=invalid, shown=sql.Literal(SHOWN)))
        shown = dict(cursor.fetchall())
        raise _refused(
            goal,
            f"holds {rows} values that are no UUID: {', '.join(map(repr, shown.values()))}",
            f"SELECT * FROM {goal.label} WHERE ctid = '{next(iter(shown))}'",  # noqa: S608
            {"invalid": rows, "values": shown},
        )
    if not goal.unique:
        return
    # Texts that differ may be one UUID: upper and lower case, with hyphens and without.
    query = sql.SQL(
        "SELECT {column}::text::uuid::text, count(*) FROM {table} WHERE {column} IS NOT NULL"
        " GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {shown}"
    )
    cursor.execute(query.format(**names, shown=sql.Literal(SHOWN)))
    values = dict(cursor.fetchall())
    if values:
        shown_values = ", ".join(f"{value} on {rows}" for value, rows in values.items())
        raise RefusedError(
            f"values of {goal.label}.{goal.column} stand on more than one row, so it cannot become "
            f"unique: {shown_values}",
            id="duplicates",
            hint=f"SELECT lower({goal.column}), count(*) FROM {goal.label}"  # noqa: S608
            " GROUP BY 1 HAVING count(*) > 1",
            table=goal.label,
            column=goal.column,
            evidence={"values": values},
        )


def _refused(
    goal: Goal, what: str, hint: str, evidence: dict[str, object] | None = None
) -> RefusedError:
    return RefusedError(
        f"column {goal.column} of {goal.label} {what}",
        id="column-type",
        hint=hint,
        table=goal.label,
        column=goal.column,
        evidence=evidence,
    )


def _trigger(goal: Goal) -> str:
    return generated_name(goal.table, goal.column, "opsmigrate")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _names(goal: Goal) -> dict[str, Composable]:
    return {
        "table": goal.relation,
        "column": sql.Identifier(goal.column),
        "shadow": sql.Identifier(shadow_of(goal).column),
        "trigger": sql.Identifier(_trigger(goal)),
        "function": sql.Identifier(goal.schema, _trigger(goal)),
    }
