"""Why an UPDATE or DELETE that Django makes of rows that are there may be refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Model

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT, found_column, known, rows_of
from opsmigrate.preflight.walk.privileges import live_relation, missing_privilege
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import FOREIGN_KEY, NOT_NULL, SimulatedTable
from opsmigrate.schema.types import INTEGER_LIMITS, INTEGERS, canonical, modifiers

Row = tuple[str | None, ...]
# tgtype: bit 8 is DELETE, 16 UPDATE (PostgreSQL source, catalog/pg_trigger.h); ev_type 2 is ON
# UPDATE, 4 ON DELETE. An UPDATE computes every check anew, and every index with an expression or a
# predicate. A published table needs a replica identity.
IN_THE_WAY = """
SELECT CASE
    WHEN row_security_active(c.oid) THEN 'row security'
    WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                 AND t.tgenabled <> 'D' AND t.tgtype & 24 <> 0) THEN 'triggers'
    WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '4'))
        THEN 'rules'
    WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) THEN 'children'
    WHEN EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid
                 AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL)) THEN 'computed indexes'
    WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
        THEN 'checks'
    WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated <> ''
                 AND NOT a.attisdropped) THEN 'generated columns'
    WHEN EXISTS (SELECT FROM pg_publication_tables p
                 WHERE p.schemaname = n.nspname AND p.tablename = c.relname)
        THEN 'publications' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""


# What always has room in an index.
SHORT = frozenset({*INTEGERS, "uuid", "boolean", "date", "timestamp with time zone"})


class OpenError(Exception):
    """It is not known what will be: the reason, for a sentence."""


def require_as_described(
    walk: SchemaWalk, model: type[Model], columns: Iterable[str] | None = None
) -> SimulatedTable:
    """Return the model's table, which is a live one whose columns the plan leaves as they are.

    Code of the plan may have changed its rows: then, and where a column (of `columns`, else of all)
    is not as the model says, OpenError says so.
    """
    name = model._meta.db_table
    table = walk.schema.table(name)
    if table is None or table.kind != "r" or table.origin is None:
        raise OpenError(f"{name} is no table that is there now")
    wanted = set(columns) if columns is not None else None
    for field in model._meta.local_concrete_fields:
        column = column_of(field)
        if wanted is not None and column not in wanted:
            continue
        type_ = field.db_parameters(connection=walk.connection)["type"]
        found = table.types.get(column)
        if type_ is None or found is None or canonical(type_) != canonical(found):
            raise OpenError(f"{table.label}.{column} is not as the migrations say")
    live = live_relation(walk.catalog, table.origin)
    if live is None or missing_privilege(walk.connection, live, "SELECT"):
        raise OpenError(f"the role may not read {table.label}")
    if walk.rows(table) is None:
        raise OpenError(f"code of the plan may change the rows of {table.label}")
    return table


def rows_read(walk: SchemaWalk, table: SimulatedTable, columns: Sequence[str]) -> list[Row]:
    """Return what the rows will have in these columns after the plan, as text.

    Raises OpenError where they cannot be read.
    """
    if not known(table, tuple(columns)):
        raise OpenError(f"what {table.label} will hold is not known")
    query = sql.SQL("SELECT {} FROM {} AS found").format(
        sql.SQL(", ").join(
            sql.SQL("{}::pg_catalog.text").format(found_column(column)) for column in columns
        ),
        rows_of(table, tuple(columns)),
    )
    try:
        with transaction_as_project(walk.connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
            return list(cursor.fetchall())
    except Error as error:
        raise OpenError(f"{table.label} cannot be read: {first_line(error)}") from error


def require_updatable(
    walk: SchemaWalk, table: SimulatedTable, values: Mapping[str, Any], kept: Iterable[str] = ()
) -> None:
    """Raise OpenError unless an UPDATE of any row to these values is taken.

    `kept` are columns that are written too, with what the row has.
    """
    require_writable(walk, table, "UPDATE", [*values, *kept])
    for column, value in values.items():
        _require_plain(table, column)
        if value is None and column in table.not_null:
            raise OpenError(f"{table.label}.{column} takes no NULL")
        if value is not None and not _suits(table.types[column], value):
            raise OpenError(f"whether {table.label}.{column} takes what is written is not known")


def require_fillable(walk: SchemaWalk, table: SimulatedTable, columns: Iterable[str]) -> None:
    """Raise OpenError unless an UPDATE of these columns fails by NULL or a foreign key at most.

    Values must have the very types of the columns.
    """
    require_writable(walk, table, "UPDATE", columns)
    for column in columns:
        constraints = [each for each in table.constraints.values() if column in each[1]]
        if any(kind not in (NOT_NULL, FOREIGN_KEY) for kind, _ in constraints):
            raise OpenError(f"a constraint looks at {table.label}.{column}")
        for name in table.indexes_with(column):
            index = table.indexes[name]
            plain = not (index.unique or index.partial or index.special)
            if not plain or canonical(table.types[column]) not in SHORT:
                raise OpenError(f"{name} looks at {table.label}.{column}")
        if any(each.kind != "view" for each in table.dependents.get(column, ())):
            raise OpenError(f"something is computed from {table.label}.{column}")


def require_deletable(walk: SchemaWalk, table: SimulatedTable) -> None:
    """Raise OpenError unless any row of the table can be deleted: none points to it."""
    require_writable(walk, table, "DELETE")
    for key in walk.schema.foreign_keys:
        if key.target is table:
            raise OpenError(f"rows of {key.table.label} point to {table.label}")


def require_writable(
    walk: SchemaWalk, table: SimulatedTable, verb: str, columns: Iterable[str] = ()
) -> None:
    """Raise OpenError unless the role may do it, and nothing but constraints looks at the rows."""
    live = live_relation(walk.catalog, table.origin)
    written = [table.origins.get(column, "") for column in columns]
    if live is None or missing_privilege(walk.connection, live, verb, written):
        raise OpenError(f"the role has no {verb} on {table.label}")
    [[in_the_way]] = seen_by_project(walk.connection, IN_THE_WAY, [live.oid])
    if table.is_partition:
        raise OpenError(f"{table.label} is a partition")
    if in_the_way or table.fires_anew or table.generated or table.not_valid:
        raise OpenError(f"{table.label} has {in_the_way or 'what the plan adds'} to ask")


def _require_plain(table: SimulatedTable, column: str) -> None:
    """Raise OpenError if a constraint, an index or a computed column looks at the column."""
    used = [
        name
        for name, (kind, columns) in table.constraints.items()
        if kind != NOT_NULL and column in columns
    ]
    used += table.indexes_with(column)
    used += [each.name for each in table.dependents.get(column, ()) if each.kind != "view"]
    if used:
        raise OpenError(f"{used[0]} looks at {table.label}.{column}")


def _suits(type_: str, value: Any) -> bool:
    """Return whether the column takes the value: what has no limit of its own, in any encoding."""
    kind = canonical(type_)
    if kind.startswith("character varying("):
        return _suits("text", value) and len(value) <= modifiers(kind)[0]
    if kind in INTEGERS:
        limit = INTEGER_LIMITS[kind]
        return type(value) is int and -limit <= value < limit
    if kind == "jsonb":
        return _is_plain_json(value)
    if kind == "text":
        return isinstance(value, str) and value.isascii() and "\0" not in value
    if kind == "timestamp with time zone":
        return isinstance(value, datetime)
    return kind == "boolean" and isinstance(value, bool)


def _is_plain_json(value: Any) -> bool:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    # Of what is escaped, PostgreSQL refuses some, and some that the encoding has no character for.
    return "\\u" not in text
