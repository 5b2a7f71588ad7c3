"""Whether a text column can be swapped for a uuid one; refused before anything is written."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.convert import BY_NAME, VALID, follow_triggers, same_check, shadow_of
from opsmigrate.backfill.duplicate_remedies import ALL_BUT_ONE, all_but_one
from opsmigrate.backfill.expression import GENERATED
from opsmigrate.backfill.state import State
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.names import generated_name, quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.steps import Step, command, statement

SHOWN = 5

# What hangs on the column and would be lost with it, or in the way. Not its own default and NOT
# NULL, and no index that the unique constraint replaces, or that is for LIKE, which a uuid has not.
DEPENDENTS = """
WITH ours AS (
    SELECT i.indexrelid FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_am m ON m.oid = x.relam JOIN pg_opclass o ON o.oid = i.indclass[0]
    WHERE i.indrelid = %(oid)s AND i.indkey[0] = %(number)s AND i.indnatts = 1
      AND m.amname = 'btree' AND (%(unique)s OR o.opcname LIKE '%%\\_pattern\\_ops')
      AND i.indpred IS NULL AND NOT i.indisprimary AND NOT i.indisreplident
      AND NOT i.indisclustered AND x.reloptions IS NULL AND x.reltablespace = 0
      AND obj_description(x.oid, 'pg_class') IS NULL
)
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND d.refobjsubid = %(number)s
  AND NOT EXISTS (SELECT FROM pg_attrdef a WHERE d.classid = 'pg_attrdef'::regclass
                  AND a.oid = d.objid AND a.adrelid = %(oid)s AND a.adnum = %(number)s)
  AND NOT EXISTS (SELECT FROM ours WHERE d.classid = 'pg_class'::regclass
                  AND indexrelid = d.objid)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass
                  AND c.oid = d.objid AND (c.contype = 'n' OR c.conname = %(same)s
                  OR c.contype = 'u' AND c.conindid IN (SELECT indexrelid FROM ours)))
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE d.classid = 'pg_trigger'::regclass
                  AND t.oid = d.objid AND t.tgname = ANY (%(triggers)s))
UNION
SELECT pg_describe_object('pg_constraint'::regclass, oid, 0) FROM pg_constraint
WHERE contype = 'f' AND confrelid = %(oid)s AND %(number)s = ANY (confkey)
UNION
SELECT 'a security label' FROM pg_seclabel
WHERE classoid = 'pg_class'::regclass AND objoid = %(oid)s AND objsubid = %(number)s
UNION
SELECT format('the right that %%I granted', acl.grantor::regrole)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) acl
WHERE c.oid = %(oid)s AND a.attnum = %(number)s AND acl.grantor <> c.relowner
UNION
SELECT 'the table from which it is inherited' FROM pg_attribute
WHERE attrelid = %(oid)s AND attnum = %(number)s AND attinhcount > 0
ORDER BY 1
"""
SHADOW_IS_OURS = """
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = a.attrelid AND tgname = ANY (%s))
FROM pg_attribute a WHERE a.attrelid = %s AND a.attname = %s AND NOT a.attisdropped
"""


def require_convertible(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, state: State, *, again: str
) -> None:
    """Raise RefusedError where something hangs on the text column, or a value is no UUID."""
    with connection.cursor() as cursor:
        _require_free_name(cursor, spec, state, again)
        _require_rights(spec, state)
    require_nothing_hangs_on_it(connection, spec, state, again=again)
    with connection.cursor() as cursor:
        _require_valid(cursor, spec, _new_text(state), again)
        if spec.unique:
            _require_unique(cursor, spec, _new_text(state), again)


def require_nothing_hangs_on_it(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, state: State, *, again: str
) -> None:
    """Raise RefusedError where something would go with the text column, or hold it."""
    params = {
        "oid": state.oid,
        "number": state.number,
        "unique": spec.unique,
        "same": same_check(spec),
        "triggers": list(follow_triggers(spec)),
    }
    dependents = [row[0] for row in seen_by_project(connection, DEPENDENTS, params)]
    if state.in_hierarchy:
        dependents.append("the table has partitions or children")
    if dependents:
        raise _refused(
            spec,
            f"is {state.column_type}, and cannot be swapped for a {spec.type} column: "
            + ", ".join(dependents),
            "drop or change what depends on it, run the seed again, and recreate it",
            (command(again),),
        )


def _require_free_name(cursor: CursorWrapper, spec: ColumnSpec, state: State, again: str) -> None:
    shadow = shadow_of(spec)
    cursor.execute(SHADOW_IS_OURS, [list(follow_triggers(spec)), state.oid, shadow.column])
    if cursor.fetchone() == (False,):
        former = quoted(generated_name(shadow.column, "", "former"))
        rename = f"ALTER TABLE {spec.typed_table} RENAME COLUMN {shadow.typed_column} TO {former}"
        raise _refused(
            spec,
            f"is {state.column_type}; the uuid column to be filled beside it would be called "
            f"{shadow.column}, and a column of this name already exists",
            "rename the existing one",
            (statement(rename, risk=BY_NAME), command(again)),
        )


def _require_rights(spec: ColumnSpec, state: State) -> None:
    grant = f"GRANT CREATE ON SCHEMA {quoted(spec.schema)} TO {state.typed_user}"
    if not state.may_create:
        raise RefusedError(
            f"the role may not create a function in schema {spec.schema}, which the conversion of "
            "text to uuid needs",
            id="missing-privilege",
            hint="as the owner of the schema, or as a superuser: grant it",
            steps=(statement(grant),),
            table=spec.label,
        )


def _new_text(state: State) -> str:
    """Return the SQL of a new UUID that the text column has room for."""
    return f"replace({GENERATED}::text, '-', '')" if "(32)" in str(state.column_type) else GENERATED


def _require_valid(cursor: CursorWrapper, spec: ColumnSpec, new: str, again: str) -> None:
    names = {"column": sql.Identifier(spec.column), "table": spec.relation}
    invalid = sql.SQL("{column}::text !~* {valid}").format(**names, valid=sql.Literal(VALID))
    query = sql.SQL("SELECT count(*) FROM {table} WHERE {invalid}")
    cursor.execute(query.format(**names, invalid=invalid))
    rows = cursor.fetchone()[0]
    if not rows:
        return
    query = sql.SQL(
        "SELECT ctid::text, left({column}::text, 60) FROM {table} WHERE {invalid} LIMIT {shown}"
    )
    cursor.execute(query.format(**names, invalid=invalid, shown=sql.Literal(SHOWN)))
    shown = dict(cursor.fetchall())
    some = counted(rows, "value that is not a UUID", "values that are not UUIDs")
    raise _refused(
        spec,
        f"holds {some}: {', '.join(map(repr, shown.values()))}",
        "look at those rows and decide which values they get; if it does not matter, let the "
        "seed fill them",
        _new_values(spec, new, again),
        {"invalid": rows, "values": shown},
    )


def _new_values(spec: ColumnSpec, new: str, again: str) -> tuple[Step, ...]:
    invalid = f"{spec.typed_column}::text !~* '{VALID}'"
    update = f"UPDATE {spec.typed_table} SET {spec.typed_column} = {new} WHERE {invalid}"  # noqa: S608
    return (
        statement(f"SELECT * FROM {spec.typed_table} WHERE {invalid}"),  # noqa: S608
        statement(update, risk="loses the values that are not UUIDs", alternative=2),
        command(again, alternative=2),
    )


def _require_unique(cursor: CursorWrapper, spec: ColumnSpec, new: str, again: str) -> None:
    # Texts that differ may be one UUID: upper and lower case, with hyphens and without.
    query = sql.SQL(
        "SELECT {column}::text::uuid::text, count(*) FROM {table} WHERE {column} IS NOT NULL"
        " GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {shown}"
    )
    names = {"column": sql.Identifier(spec.column), "table": spec.relation}
    cursor.execute(query.format(**names, shown=sql.Literal(SHOWN)))
    values = dict(cursor.fetchall())
    if values:
        shown = ", ".join(f"{value} in {rows}" for value, rows in values.items())
        raise RefusedError(
            f"values of {spec.label}.{spec.column} are in more than one row, so it cannot become "
            f"unique: {shown}",
            id="duplicates",
            hint=ALL_BUT_ONE,
            steps=all_but_one(spec, f"{spec.typed_column}::text::uuid", new, again=again),
            table=spec.label,
            column=spec.column,
            evidence={"values": values},
        )


def _refused(
    spec: ColumnSpec,
    what: str,
    hint: str,
    steps: tuple[Step, ...],
    evidence: dict[str, Any] | None = None,
) -> RefusedError:
    return RefusedError(
        f"column {spec.column} of {spec.label} {what}",
        id="column-type",
        hint=hint,
        steps=steps,
        table=spec.label,
        column=spec.column,
        evidence=evidence,
    )
