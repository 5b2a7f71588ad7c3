"""Text that holds UUIDs becomes a uuid column: filled beside it, then swapped."""

from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_attributes import copy_column_attributes
from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.phases import ACCESS_EXCLUSIVE, SHARE_UPDATE, Phase
from opsmigrate.backfill.state import State
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import generated_name, quoted

TEXTS = ("text", "character varying", "character(")
# As Python and PostgreSQL write a UUID, or without hyphens, as Django keeps one elsewhere.
VALID = "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$"
# What the renaming of something costs.
BY_NAME = "whoever uses it by its name fails"
COMPARE = "check that the uuid column matches the text column"

CONVERTED = (
    "CASE WHEN {text} IS NULL THEN pg_catalog.gen_random_uuid()"
    " WHEN {text}::pg_catalog.text OPERATOR(pg_catalog.~*) {valid}"
    " THEN {text}::pg_catalog.text::pg_catalog.uuid END"
)
# A value that is no UUID is let in as before; the column then stays NULL and stops the run, not
# the writer.
FOLLOW = "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}"
BODY = """
BEGIN
    NEW.{shadow} := {value};
    RETURN NEW;
END
"""
# Not UPDATE OF: that would not see a change that another trigger makes. The fill changes no text,
# and so it calls no function.
TRIGGERS = {
    "ins": "CREATE TRIGGER {trigger} BEFORE INSERT ON {table}"
    " FOR EACH ROW EXECUTE FUNCTION {function}()",
    "upd": "CREATE TRIGGER {trigger} BEFORE UPDATE ON {table}"
    " FOR EACH ROW WHEN (NEW.{column} IS DISTINCT FROM OLD.{column})"
    " EXECUTE FUNCTION {function}()",
}
# Where session_replication_role is replica, as with a subscription or pg_restore, only these fire.
ALWAYS = "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"
# What no trigger saw, because somebody disabled them: nothing is lost that this lets through.
SAME = (
    "ALTER TABLE {table} ADD CONSTRAINT {same} CHECK ({column} IS NULL OR {shadow} IS NOT DISTINCT"
    " FROM CASE WHEN {column}::text ~* {valid} THEN {column}::text::uuid END) NOT VALID"
)
FOLLOWS = """
SELECT count(*) FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid
WHERE t.tgrelid = %s AND t.tgname = ANY (%s) AND t.tgenabled = 'A' AND a.attname = %s
"""
NOT_NULLS = """
SELECT conname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid
WHERE c.conrelid = %s AND c.contype = 'n' AND a.attname = %s AND c.conkey = ARRAY[a.attnum]
"""
VALIDATED = "SELECT convalidated FROM pg_constraint WHERE conrelid = %s AND conname = %s"


def is_text(state: State, spec: ColumnSpec) -> bool:
    """Return whether the column is there as text, and is to be a uuid."""
    return spec.type == "uuid" and (state.column_type or "").startswith(TEXTS)


def shadow_of(spec: ColumnSpec) -> ColumnSpec:
    """Return the goal of the uuid column that is filled beside the text one.

    It forbids NULLs whatever the field does: a text that is no UUID has NULL beside it, and would
    be lost in the swap.
    """
    return replace(
        spec,
        column=generated_name(spec.column, "", "seeded"),
        expression=_converted(quoted(spec.column)),
        reads_row=True,
        nullable=False,
    )


def same_check(spec: ColumnSpec) -> str:
    """Return the name of the check that the uuid column holds what the text does."""
    return generated_name(spec.column, "", "opsmigrate_same")


def follow_triggers(spec: ColumnSpec) -> tuple[str, ...]:
    """Return the names of the triggers by which the uuid column follows the text.

    Triggers fire in the order of their names (PostgreSQL documentation, CREATE TRIGGER); a tilde
    comes after all letters, and so these see what others have made of the row.
    """
    return tuple(generated_name(f"~{spec.column}", "", f"opsmigrate_{when}") for when in TRIGGERS)


def follow_phases(connection: BaseDatabaseWrapper, spec: ColumnSpec, oid: int) -> tuple[Phase, ...]:
    """Return what adds the uuid column and lets it follow what is written to the text one."""
    names = _names(spec)
    with connection.cursor() as cursor:
        cursor.execute(FOLLOWS, [oid, list(follow_triggers(spec)), shadow_of(spec).column])
        if cursor.fetchone() == (len(TRIGGERS),):
            return ()
    value = _converted(f"NEW.{quoted(spec.column)}")
    body = sql.SQL(BODY).format(**names, value=sql.SQL(value))
    statements = [
        sql.SQL("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {shadow} uuid").format(**names),
        sql.SQL(FOLLOW).format(
            **names, body=sql.SQL("$opsmigrate$") + body + sql.SQL("$opsmigrate$")
        ),
    ]
    for name, create in zip(follow_triggers(spec), TRIGGERS.values(), strict=True):
        trigger = sql.Identifier(name)
        drop = "DROP TRIGGER IF EXISTS {trigger} ON {table}"
        statements += [
            sql.SQL(each).format(**names, trigger=trigger) for each in (drop, create, ALWAYS)
        ]
    name = "add a uuid column that follows the text column"
    return (Phase(name, tuple(statements), ACCESS_EXCLUSIVE),)


def compare_phases(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, oid: int
) -> tuple[Phase, ...]:
    """Return what proves that the uuid column holds what the text does, from now to the swap."""
    names = _names(spec)
    with connection.cursor() as cursor:
        cursor.execute(VALIDATED, [oid, same_check(spec)])
        row = cursor.fetchone()
    add = Phase(
        "refuse text that the uuid column does not match",
        (sql.SQL(SAME).format(**names, valid=sql.SQL(f"'{VALID}'")),),
        ACCESS_EXCLUSIVE,
    )
    validate = Phase(
        COMPARE,
        (sql.SQL("ALTER TABLE {table} VALIDATE CONSTRAINT {same}").format(**names),),
        SHARE_UPDATE,
        whole=True,
    )
    if row is None:
        return (add, validate)
    return () if row[0] else (validate,)


def swap_phase(connection: BaseDatabaseWrapper, spec: ColumnSpec, oid: int) -> Phase:
    """Return what puts the uuid column in the place of the text one, in one transaction."""
    shadow, names = shadow_of(spec), _names(spec)
    with connection.cursor() as cursor:
        cursor.execute(NOT_NULLS, [oid, shadow.column])
        not_nulls = [row[0] for row in cursor.fetchall()]
        carried = copy_column_attributes(cursor, spec, oid)
    drop_trigger = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
    statements = [
        *(
            drop_trigger.format(sql.Identifier(name), spec.relation)
            for name in follow_triggers(spec)
        ),
        sql.SQL("DROP FUNCTION IF EXISTS {function}()").format(**names),
        # The checks and indexes of the text go with it.
        sql.SQL("ALTER TABLE {table} DROP COLUMN {column}").format(**names),
        sql.SQL("ALTER TABLE {table} RENAME COLUMN {shadow} TO {column}").format(**names),
        sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT gen_random_uuid()").format(
            **names
        ),
        *carried,
    ]
    if spec.nullable:
        drop = sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")
        statements.append(drop.format(**names))
        not_nulls = []
    rename = "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}"
    renamed = [(name, generated_name(spec.table, spec.column, "not_null")) for name in not_nulls]
    renamed += [(shadow.constraint, spec.constraint)] if spec.unique else []
    statements += [
        sql.SQL(rename).format(table=spec.relation, old=sql.Identifier(a), new=sql.Identifier(b))
        for a, b in renamed
        if a != b
    ]
    return Phase("swap the uuid column into its place", tuple(statements), ACCESS_EXCLUSIVE)


def _converted(text: str) -> str:
    # Not composed: as_string() of psycopg2 wants a connection. VALID has no quotes.
    return CONVERTED.format(text=text, valid=f"'{VALID}'")


def _names(spec: ColumnSpec) -> dict[str, Composable]:
    return {
        "table": spec.relation,
        "column": sql.Identifier(spec.column),
        "shadow": sql.Identifier(shadow_of(spec).column),
        "same": sql.Identifier(same_check(spec)),
        "function": sql.Identifier(
            spec.schema, generated_name(spec.table, spec.column, "opsmigrate")
        ),
    }
