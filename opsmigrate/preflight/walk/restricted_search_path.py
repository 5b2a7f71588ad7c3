"""Functions in an index that find nothing where the server makes it: PostgreSQL 17 and later.

CREATE INDEX, REINDEX, CLUSTER and ANALYZE then run with a safe search_path, pg_catalog and pg_temp
(release notes of PostgreSQL 17). The index's own expression was read before that; what its
functions name in their bodies is looked up then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import first_line, said_besides, sqlstate
from opsmigrate.postgres.names import as_stored
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.walk.expressions import PLAIN
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT, known, rows_of
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import in_full
from opsmigrate.sql.expressions import functions_named_in
from opsmigrate.sql.grammar import deparse, parse
from opsmigrate.steps import Step, statement

SINCE = 170_000
# Those that could look for something: what is in C, or the server's own, brings what it needs.
FUNCTIONS = """
SELECT p.proname, n.nspname::text,
       format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       array_to_string(ARRAY(SELECT quote_ident(s) FROM unnest(current_schemas(false)) s), ', ')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE p.proname = ANY(%s::text[]) AND pg_function_is_visible(p.oid)
  AND n.nspname <> 'pg_catalog' AND l.lanname NOT IN ('c', 'internal')
ORDER BY 1, 3
"""
SAFE = "SET LOCAL search_path = pg_catalog, pg_temp"


def require_safe_path(
    walk: SchemaWalk, table: SimulatedTable, expression: str, purpose: str
) -> None:
    """Report if a function in an index's expression would not find what its body names."""
    if walk.catalog.version < SINCE:
        return
    names = list(functions_named_in(expression) or ())
    found = seen_by_project(walk.connection, FUNCTIONS, [names]) if names else []
    if not found:
        return
    question = f"whether {purpose} finds what its functions name, without the search_path"
    if not walk.sees_everything():
        walk.ledger.mark_undecided(question)
        return
    error = _error(walk, table, _in_full(expression, dict(row[:2] for row in found)))
    if error is None:
        return
    state = sqlstate(error) or ""
    if not (said_besides(error)["context"] and state.startswith("42")):
        walk.ledger.mark_undecided(f"{question}: {first_line(error)}")
        return
    walk.ledger.find(
        "function-needs-path",
        f"{purpose} calls a function that does not find what it names: {first_line(error)} "
        f"({state}); for an index, PostgreSQL 17 and later search only pg_catalog",
        hint="write the schema in the function, or set the function's own search_path; its owner "
        "types this",
        steps=tuple(_with_path(found)),
        table=table.label,
    )


def _with_path(found: list[tuple[Any, ...]]) -> Iterator[Step]:
    for _, _, function, path in found:
        yield statement(
            f"ALTER FUNCTION {function} SET search_path = {path}",
            risk="it can no longer be inlined into queries that call it",
        )


def _in_full(expression: str, functions: dict[str, str]) -> str:
    """Return the expression with the schema of each of these functions that is named without."""
    (statement,) = parse(f"SELECT {expression}")
    for part in list(statement.parts()):
        if part.kind == "FuncCall" and len(part.value.funcname) == 1:
            [name] = part.value.funcname
            schema = functions.get(as_stored(name.string.sval))
            if schema is not None:
                last = part.value.funcname.add()
                last.CopyFrom(name)
                name.string.sval = schema
    return deparse(statement.node).removeprefix("SELECT ")


def _error(walk: SchemaWalk, table: SimulatedTable, expression: str) -> Error | None:
    """Return what PostgreSQL says under the safe search_path: written out, and for each row."""
    # The plan's expressions have the plan's names, the live ones the live names.
    types = {
        name: type_
        for column, type_ in table.types.items()
        for name in (column, table.origins.get(column, column))
        if name in expression
    }
    nulls = sql.SQL(", ").join(
        sql.SQL("NULL::{} AS {}").format(
            sql.SQL(in_full(PLAIN.get(type_, type_))), sql.Identifier(name)
        )
        for name, type_ in types.items()
    )
    text, source = sql.SQL(expression), sql.Identifier(table.name)
    # OFFSET 0 keeps the planner from computing the function of NULL before it writes it out.
    queries = [
        sql.SQL("SELECT {} FROM (SELECT {} OFFSET 0) AS {} LIMIT 0").format(text, nulls, source)
    ]
    columns = tuple(types)
    if walk.rows(table) and known(table, columns):
        queries.append(
            sql.SQL("SELECT count(({})) FROM {} AS found").format(text, rows_of(table, columns))
        )
    try:
        with transaction(walk.connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(SAFE)
            for query in queries:
                cursor.execute(query)
    except Error as error:
        return error
    return None
