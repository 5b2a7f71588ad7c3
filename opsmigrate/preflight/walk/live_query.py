"""Whether a query of Django's finds rows, as the tables will be by then: asked of the live rows.

The query is executed read-only, and over what the plan makes of the live rows: a common table
expression bears the name of each table. Names resolve in pg_catalog, so that nothing is called that
others have put into the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import QuerySet

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import split_table
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import in_full


class UnaskableError(Exception):
    """The rows cannot be looked at, or nobody knows what they will be by then."""


def finds_rows(walk: SchemaWalk, query: QuerySet[Any]) -> bool:
    """Return whether the query finds a row; raise UnaskableError where that cannot be known."""
    composed = query.query.chain()
    try:
        text, params = composed.get_compiler(connection=walk.connection).as_sql()
    except Exception as error:  # what migrate would raise
        raise UnaskableError from error
    tables = _as_they_will_be(walk, tables_of(composed))
    try:
        with transaction(walk.connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            before = tables.as_string(cursor.cursor).replace("%", "%%")
            whole = f"WITH {before} SELECT EXISTS (SELECT FROM ({text}) AS found) AND %s"  # noqa: S608
            [[found]] = seen_by_project(walk.connection, whole, [*params, True])
    except Error as error:
        raise UnaskableError from error
    return bool(found)


def tables_of(composed: Any) -> set[str]:
    """Return the tables of a query and of the queries in its conditions."""
    found = {item.table_name for item in composed.alias_map.values()}
    for annotation in composed.annotations.values():
        if hasattr(annotation, "query"):
            found |= tables_of(annotation.query)
    pending = [composed.where]
    while pending:
        node = pending.pop()
        pending += getattr(node, "children", ())
        for part in (node, getattr(node, "lhs", None), getattr(node, "rhs", None)):
            inner = getattr(part, "query", part)
            if hasattr(inner, "alias_map"):
                found |= tables_of(inner)
    return found


def _as_they_will_be(walk: SchemaWalk, names: Iterable[str]) -> Composable:
    parts = []
    for name in sorted(names):
        table = walk.schema.table(name)
        if table is None or table.kind != "r" or split_table(name)[0] is not None:
            raise UnaskableError
        parts.append(sql.SQL("{} AS ({})").format(sql.Identifier(name), _rows(walk, table)))
    if not parts:
        raise UnaskableError
    return sql.SQL(", ").join(parts)


def _rows(walk: SchemaWalk, table: SimulatedTable) -> Composable:
    count = walk.rows(table)
    if count == 0:
        columns = [
            sql.SQL("NULL::{} AS {}").format(sql.SQL(in_full(type_)), sql.Identifier(name))
            for name, type_ in table.types.items()
        ]
        return sql.SQL("SELECT {} WHERE false").format(sql.SQL(", ").join(columns))
    if count is None or table.origin is None:
        raise UnaskableError
    columns = [
        sql.SQL("{} AS {}").format(value, sql.Identifier(name))
        for name, value in table.values.items()
    ]
    return sql.SQL("SELECT {} FROM {} AS live").format(
        sql.SQL(", ").join(columns), sql.Identifier(*table.origin)
    )
