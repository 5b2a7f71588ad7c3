"""Where the source of a function says what it does."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import FunctionType
from typing import Any


def definition_of(function: FunctionType) -> ast.FunctionDef | ast.Lambda | None:
    """Return the definition of a function, None where it is not found, or is decorated."""
    try:
        if function.__name__ == "<lambda>":
            return _lambda_of(function)
        [found] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not isinstance(found, ast.FunctionDef) or found.decorator_list:
        return None
    return found


def is_empty(function: Any) -> bool:
    """Return whether a function says nothing but `pass`."""
    # Its own type: isinstance() asks an object that stands in for another one, which may work.
    definition = definition_of(function) if issubclass(type(function), FunctionType) else None
    return isinstance(definition, ast.FunctionDef) and all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in definition.body
    )


def _lambda_of(function: FunctionType) -> ast.Lambda | None:
    """Return the one lambda of the line where the function begins."""
    lines, _ = inspect.findsource(function)
    first = function.__code__.co_firstlineno
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, ast.Lambda) and node.lineno == first
    ]
    return found[0] if len(found) == 1 else None
