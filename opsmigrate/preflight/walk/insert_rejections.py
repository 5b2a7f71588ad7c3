"""Whether rows can be inserted, asked with the very rows that `migrate` inserts of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import first_line, sqlstate
from opsmigrate.postgres.names import literal
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.changed_rows import grant_on_new_tables
from opsmigrate.preflight.walk.code_of_others import is_trusted
from opsmigrate.preflight.walk.conditions_of_rows import of_checks, of_row_security
from opsmigrate.preflight.walk.key_owners import lacks_of_owner
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.rows_to_insert import Later, NewRows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.sequence_rejections import sequence_rejections
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.type_compatibility import always_casts
from opsmigrate.preflight.walk.unique_rejections import unique_rejections
from opsmigrate.schema.types import INTEGER_LIMITS, INTEGERS, TEXTS, base, modifiers
from opsmigrate.steps import Step, statement

# tgtype: bit 4 is INSERT (PostgreSQL source, catalog/pg_trigger.h); ev_type 3 is ON INSERT.
AROUND = """
SELECT row_security_active(c.oid),
       ARRAY(SELECT t.tgname::text FROM pg_trigger t WHERE t.tgrelid = c.oid
             AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 4 <> 0 ORDER BY 1),
       ARRAY(SELECT r.rulename::text FROM pg_rewrite r WHERE r.ev_class = c.oid
             AND r.ev_type = '3' AND r.ev_enabled <> 'D' ORDER BY 1),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attidentity = 'a'),
       current_setting('server_encoding')
FROM pg_class c WHERE c.oid = %s
"""
# Columns with a default that may be anything: it calls a function.
DEFAULTS = """
SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid = %s AND a.attgenerated = ''
    AND pg_get_expr(d.adbin, d.adrelid) ~ '[(]'
    AND pg_get_expr(d.adbin, d.adrelid) !~ '^(now|gen_random_uuid|clock_timestamp|nextval)[(]'
"""
SIZED = frozenset({"character varying", "character"})
UNTRANSLATABLE = "22P05"
LONGEST_SHOWN = 40


@dataclass(frozen=True)
class _Around:
    hides_rows: bool
    triggers: Sequence[str]
    rules: Sequence[str]
    always: Sequence[str]
    encoding: str


def insert_rejections(walk: SchemaWalk, new: NewRows) -> Iterator[Rejection]:
    """Yield what stands against the rows, what is certain and what may be."""
    if not new.rows:
        return
    connection, table = walk.connection, new.table
    yield from _of_columns(walk, new)
    if set(new.columns) - set(table.types):
        return
    relation = live_relation(walk.catalog, table.origin)
    around = _around(connection, relation.oid) if relation is not None else None
    yield from _of_types(connection, new, around.encoding if around else None)
    yield from _of_keys_to_others(walk, new)
    if relation is None or around is None:
        yield from _of_new_table(walk, new)
        return
    yield from _of_triggers_and_rules(new, around)
    yield from _of_defaults(connection, new, relation.oid)
    trusted = is_trusted(walk, relation)
    yield from of_checks(connection, new, relation.oid, trusted=trusted)
    if around.hides_rows:
        yield of_row_security(walk, new, relation, trusted=trusted)
        return
    try:
        yield from unique_rejections(connection, table, new.columns, new.rows, Later)
        if new.key is not None and new.key in table.types:
            role = walk.catalog.role
            yield from sequence_rejections(connection, table, new.key, len(new.rows), role=role)
    except Error as error:
        yield Rejection(
            f"whether rows of {table.label} are in the way: {first_line(error)}", certain=False
        )


def _around(connection: BaseDatabaseWrapper, oid: int) -> _Around:
    with connection.cursor() as cursor:
        cursor.execute(AROUND, [oid])
        return _Around(*cursor.fetchone())


def _of_new_table(walk: SchemaWalk, new: NewRows) -> Iterator[Rejection]:
    """Yield what the role takes from itself of the tables that it makes."""
    if new.table.made_after is None:
        return
    for verb in ("INSERT", "SELECT"):
        if verb in walk.catalog.withheld:
            yield Rejection(
                f"the role will not have {verb} on it, which it takes from the tables that it "
                "makes",
                hint="the role types this",
                steps=(grant_on_new_tables(walk, verb),),
            )


def _of_columns(walk: SchemaWalk, new: NewRows) -> Iterator[Rejection]:
    """Yield the columns that want a value, or cannot take one."""
    table = new.table
    for column in walk.needs_value(table, set(new.columns)):
        gone = column not in table.types
        yield Rejection(
            f"its column {column} "
            + ("does not exist" if gone else "requires a value, and is given none"),
            hint="restore the table from a backup" if gone else None,
            steps=fills_itself(table, column),
            column=column,
        )
    for column in sorted(table.generated & set(new.columns)):
        drop = f"ALTER TABLE {table.live} ALTER COLUMN {table.live_column(column)} DROP EXPRESSION"
        yield Rejection(
            f"its column {column} is computed, and accepts no value",
            hint="turn it into a column with stored values",
            steps=() if column in table.virtual else (statement(drop),),
            column=column,
        )


def fills_itself(table: SimulatedTable, column: str) -> tuple[Step, ...]:
    """Return what lets rows come that give no value to the column."""
    if column not in table.types:
        return ()
    name = table.live_column(column)
    alter = f"ALTER TABLE {table.live} ALTER COLUMN {name}"
    if column not in table.keys:
        return (statement(f"{alter} DROP NOT NULL"),)
    sequence = f"pg_get_serial_sequence({literal(table.live)}, {literal(column)})"
    return (
        statement(f"{alter} ADD GENERATED BY DEFAULT AS IDENTITY"),
        statement(f"SELECT setval({sequence}, (SELECT max({name}) FROM {table.live}))"),  # noqa: S608
    )


def _of_types(
    connection: BaseDatabaseWrapper, new: NewRows, encoding: str | None
) -> Iterator[Rejection]:
    """Yield values that are too long, or not to be written in the encoding or the type."""
    for column, claimed in new.types.items():
        live, values = new.table.types[column], new.values(column)
        if base(live) in TEXTS and all(isinstance(value, str) for value in values):
            yield from _of_texts(connection, new, column, encoding)
        elif base(live) in INTEGERS and all(isinstance(value, int) for value in values):
            limit = INTEGER_LIMITS[base(live)]
            if any(not -limit <= value < limit for value in values):
                yield Rejection(f"its column {column} is {live}, too small", column=column)
        elif not always_casts(claimed, live):
            yield Rejection(
                f"whether new rows of {new.table.label} suit {column}, which is {live}",
                certain=False,
                column=column,
            )


def _of_texts(
    connection: BaseDatabaseWrapper, new: NewRows, column: str, encoding: str | None
) -> Iterator[Rejection]:
    live, values = new.table.types[column], new.values(column)
    room = modifiers(live)
    for place, value in enumerate(values):
        short = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
        length = _length(connection, value, encoding)
        if length is None:
            yield Rejection(
                f"its column {column} cannot hold {short!r}, for which the encoding of the "
                f"database, {encoding}, has no characters",
                hint="move the project to a database with the encoding UTF8, or choose another "
                "name",
                column=column,
                row=place,
            )
            return
        if base(live) in SIZED and room and length > room[0]:
            alter = f"ALTER TABLE {new.table.live} ALTER COLUMN {new.table.live_column(column)}"
            yield Rejection(
                f"its column {column} is {live}, too short for {short!r}",
                hint="give the column the length that Django uses",
                steps=(statement(f"{alter} TYPE {new.types[column]}"),),
                column=column,
                row=place,
            )
            return


def _length(connection: BaseDatabaseWrapper, value: str, encoding: str | None) -> int | None:
    """Return the length as the server counts it without spaces at the end, None if unwritable.

    PostgreSQL cuts surplus spaces off (documentation, Character Types), and counts bytes in
    SQL_ASCII.
    """
    if "\0" in value:
        return None
    plain = value.rstrip(" ")
    if encoding in (None, "UTF8") or plain.isascii():
        return len(plain)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT char_length(%s::text)", [plain])
            return int(cursor.fetchone()[0])
    except Error as error:
        if sqlstate(error) == UNTRANSLATABLE:
            return None
        raise


def _of_keys_to_others(walk: SchemaWalk, new: NewRows) -> Iterator[Rejection]:
    """Yield foreign keys that point elsewhere than Django's own, or that nobody may check."""
    targets = new.targets or {}
    for key in walk.schema.foreign_keys:
        if key.table is not new.table:
            continue
        given = [column for column in key.columns if column in new.columns]
        filled = given or set(key.columns) & (new.table.defaults | new.table.identities)
        if filled and len(key.columns) == 1 and targets.get(key.columns[0]) is key.target:
            yield from lacks_of_owner(walk, key)
        elif filled:
            yield Rejection(
                f"whether new rows of {new.table.label} suit the foreign key {key.name} to "
                f"{key.target.label}",
                certain=False,
            )


def _of_triggers_and_rules(new: NewRows, around: _Around) -> Iterator[Rejection]:
    table = new.table
    if table.fires_anew:
        yield Rejection(f"what fires as rows come into {table.label}", certain=False)
    if around.triggers:
        yield Rejection(
            f"what the triggers of {table.label} do: {', '.join(around.triggers)}", certain=False
        )
    if around.rules:
        yield Rejection(
            f"what the rules of {table.label} do: {', '.join(around.rules)}", certain=False
        )
    if table.partition_key:
        yield Rejection(f"whether {table.label} has partitions for new rows", certain=False)
    for name, (kind, _) in table.constraints.items():
        if kind == "x":
            yield Rejection(f"whether new rows of {table.label} suit {name}", certain=False)
    for column in sorted(set(around.always) & set(new.columns)):
        alter = f"ALTER TABLE {table.live} ALTER COLUMN {table.live_column(column)}"
        yield Rejection(
            f"its column {column} is GENERATED ALWAYS, and accepts no value",
            steps=(statement(f"{alter} SET GENERATED BY DEFAULT"),),
            column=column,
        )
    for column in sorted(table.generated - set(new.columns)):
        yield Rejection(f"whether {table.label}.{column} can be computed for them", certain=False)


def _of_defaults(connection: BaseDatabaseWrapper, new: NewRows, oid: int) -> Iterator[Rejection]:
    for column, expression in seen_by_project(connection, DEFAULTS, [oid]):
        if column not in (*new.columns, new.key):
            yield Rejection(
                f"what the default of {new.table.label}.{column} gives: {expression}",
                certain=False,
                column=column,
            )
