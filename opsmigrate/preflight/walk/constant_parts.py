"""Constants within hand-written SQL: the planner computes them, whether or not there are rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.default_values import INVALID_VALUE, PLANNED, calls_only
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.sql.expressions import deparse, nodes_in
from opsmigrate.sql.statement import Statement

COMPUTED = frozenset({"a_expr", "coalesce_expr", "case_expr", "func_call", "type_cast"})
# What a constant consists of; a column, a parameter or a query is none.
CONSTANT = frozenset(
    {"A_Const", "A_Expr", "BoolExpr", "Boolean", "CaseExpr", "CaseWhen", "CoalesceExpr", "Float"}
    | {"FuncCall", "Integer", "List", "Node", "NullTest", "String", "TypeCast", "TypeName"}
)
# A domain's own words are read with its type as PostgreSQL makes it, which is not asked for.
OF_DOMAINS = frozenset({"create_domain_stmt", "alter_domain_stmt"})


def computes_what_fails(walk: SchemaWalk, statement: Statement) -> bool:
    """Return whether a constant within a statement has no value, as 1 / 0 or 'x'::integer.

    Nothing but functions of PostgreSQL's own that are immutable are called. Some statements only
    keep it, so what follows is no certain failure.
    """
    if statement.kind in OF_DOMAINS:
        return any(each.DESCRIPTOR.name == "A_Const" for each in nodes_in(statement.node))
    return any(_fails(walk, text) for text in _constants(statement.node))


def _constants(node: Any) -> Iterator[str]:
    """Yield the largest parts that are constants, and have to be computed."""
    computed = node.DESCRIPTOR.name == "Node" and node.WhichOneof("node") in COMPUTED
    if computed and {each.DESCRIPTOR.name for each in nodes_in(node)} <= CONSTANT:
        yield deparse(node)
        return
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
                yield from _constants(each)


def _fails(walk: SchemaWalk, text: str) -> bool:
    if not calls_only(walk, text, PLANNED):
        return False
    try:
        with transaction_as_project(walk.connection, "READ ONLY") as cursor:
            cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(text)))
    except Error as error:
        return (sqlstate(error) or "").startswith(INVALID_VALUE)
    return False
