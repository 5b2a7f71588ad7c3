"""What code of a migration may do to rows, read from its source.

In a database in which the plan makes every table, code that only looks rows up, changes and deletes
them finds nothing to do, and leaves nothing behind. What is not plain to see may do anything.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from django.db.models import Model

from opsmigrate.preflight.ledger import Effect
from opsmigrate.sql import nodes
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Statement

# What may be called of an object: of a manager or query, of the app registry, of a text or a list.
METHODS = frozenset(
    {
        *("aggregate", "all", "annotate", "append", "atomic", "bulk_update", "copy", "count"),
        *("db_manager", "debug", "defer", "delete", "distinct", "endswith", "exclude", "exists"),
        *("extend", "filter", "first", "format", "get", "get_field", "get_model", "in_bulk"),
        *("info", "isoformat", "items", "iterator", "join", "keys", "last", "lower", "only"),
        *("order_by", "pop", "prefetch_related", "replace", "save", "select_for_update"),
        *("select_related", "setdefault", "sort", "split", "startswith", "strip", "title"),
        *("union", "update", "upper", "using", "values", "values_list", "warning", "write"),
    }
)
# Of a manager, these make rows; also where they are only named.
MAKE = frozenset({"add", "bulk_create", "create", "get_or_create", "set", "update_or_create"})
# No more than these of Python's own: map() would call what it is given.
FUNCTIONS = frozenset(
    {
        *("bool", "dict", "enumerate", "float", "frozenset", "getattr", "hasattr", "int"),
        *("isinstance", "len", "list", "max", "min", "print", "range", "repr", "reversed"),
        *("round", "set", "setattr", "sorted", "str", "sum", "tuple", "zip"),
    }
)
VALUES = ("datetime", "decimal", "django.db.models.", "uuid")
# Code that brings more code, or hides it.
OPAQUE = (ast.AsyncFunctionDef, ast.Await, ast.ClassDef, ast.Global, ast.Import, ast.ImportFrom)
# SQL that works on what is there. In UPDATE and DELETE a call may run although there is no row.
ON_ROWS = frozenset({"comment_stmt", "delete_stmt", "index_stmt", "update_stmt"})
CALLING = frozenset({"FuncCall", "SelectStmt", "InsertStmt"})
ALTERING_ROWS = frozenset({
    "AT_AddConstraint", "AT_AlterColumnType", "AT_AlterConstraint", "AT_ColumnDefault",
    "AT_DropConstraint", "AT_DropNotNull", "AT_SetNotNull", "AT_SetOptions", "AT_SetStatistics",
    "AT_SetStorage", "AT_ValidateConstraint",
})  # fmt: skip


def effect_of_sql(statement: str) -> Effect:
    """Return what SQL written by hand may do at most; an INSERT may call anything, too."""
    statements = statements_if_readable(statement)
    plain = statements is not None and all(map(_works_on_rows, statements))
    return Effect.WORKS_ON_ROWS if plain else Effect.ANYTHING


def _works_on_rows(statement: Statement) -> bool:
    kind, node = statement.kind, statement.node
    if kind in ("delete_stmt", "update_stmt"):
        return not any(part.kind in CALLING for part in statement.parts())
    if kind == "alter_table_stmt":
        commands = [nodes.label(each.alter_table_cmd, "subtype") for each in node.cmds]
        return set(commands) <= ALTERING_ROWS
    if kind == "drop_stmt":
        return nodes.label(node, "remove_type") == "OBJECT_INDEX"
    if kind == "vacuum_stmt":
        return not node.is_vacuumcmd
    return kind in ON_ROWS


def effect_of_code(function: Any) -> Effect:
    """Return what a function may do at most, with those that it calls."""
    return _effect(function, set())


class _Source(NamedTuple):
    """A function's source, and what the names in it stand for that are none of its own."""

    body: ast.FunctionDef
    named: dict[str, Any]


def _effect(function: Any, seen: set[Any]) -> Effect:
    if function in seen:
        return Effect.WORKS_ON_ROWS
    seen.add(function)
    source = _read(function)
    if source is None:
        return Effect.ANYTHING
    # Their own types: isinstance() asks an object that stands in for another one, which may work.
    called = [item for item in source.named.values() if issubclass(type(item), FunctionType)]
    effects = [_effect(item, seen) for item in called]
    effects += [_effect_of_node(node, source) for node in ast.walk(source.body)]
    return max(effects, key=lambda effect: effect.value)


def _read(function: Any) -> _Source | None:
    if not issubclass(type(function), FunctionType) or function.__closure__:
        return None
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    if not isinstance(body, ast.FunctionDef) or body.decorator_list:
        return None
    own, known = set(function.__code__.co_varnames), function.__globals__
    names = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)} - own
    named = {name: getattr(builtins, name) for name in names & FUNCTIONS}
    return _Source(body, named | {name: known[name] for name in names if name in known})


def _effect_of_node(node: ast.AST, source: _Source) -> Effect:
    inner = isinstance(node, ast.FunctionDef | ast.Lambda) and node is not source.body
    if inner or isinstance(node, OPAQUE):
        return Effect.ANYTHING
    if isinstance(node, ast.Attribute):
        return Effect.MAKES_ROWS if node.attr in MAKE else Effect.WORKS_ON_ROWS
    if isinstance(node, ast.Call):
        return _effect_of_call(node.func, source.named)
    return Effect.WORKS_ON_ROWS


def _effect_of_call(called: ast.expr, named: dict[str, Any]) -> Effect:
    if isinstance(called, ast.Attribute):
        owner = named.get(called.value.id) if isinstance(called.value, ast.Name) else None
        if not issubclass(type(owner), ModuleType):
            return Effect.WORKS_ON_ROWS if called.attr in METHODS | MAKE else Effect.ANYTHING
        item = getattr(owner, called.attr, None)
    elif isinstance(called, ast.Name) and called.id in named:
        item = named[called.id]
        if issubclass(type(item), FunctionType) or item is getattr(builtins, called.id, None):
            return Effect.WORKS_ON_ROWS
    else:
        return Effect.ANYTHING
    kind: Any = item
    is_value = issubclass(type(kind), type) and not issubclass(kind, Model)
    plain = is_value and f"{kind.__module__}.".startswith(VALUES)
    return Effect.WORKS_ON_ROWS if plain else Effect.ANYTHING
