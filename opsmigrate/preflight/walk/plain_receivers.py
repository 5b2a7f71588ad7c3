"""Receivers whose code says plainly that they touch no database: caches that are cleared, signals
that are connected, what is switched off by a setting."""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import textwrap
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.cache import cache as default_cache
from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import Signal

DEEPEST = 5
LRU_CACHE = type(functools.lru_cache(len))
LOGS = frozenset({"debug", "info", "warning"})
IN_MEMORY = tuple(
    f"django.core.cache.backends.{name}" for name in ("locmem.LocMemCache", "dummy.DummyCache")
)
FORGETS = frozenset({"clear", "delete", "delete_many"})


class _NotPlainError(Exception):
    """The code does something, or may do something, that is not among what is known."""


def is_plain(function: Callable[..., Any]) -> bool:
    """Return whether a call of the receiver only does what cannot fail and touches no database.

    Read from its source; False where that is not there, or is not understood as a whole.
    """
    try:
        _Reader(function, depth=0).read()
    except _NotPlainError:
        return False
    return True


class _Reader:
    """Reads one function, and the functions that it calls."""

    def __init__(self, function: Any, *, depth: int) -> None:
        if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
            raise _NotPlainError
        if depth > DEEPEST or inspect.iscoroutinefunction(function):
            raise _NotPlainError
        self.function = function
        self.depth = depth

    def read(self) -> None:
        """Raise _NotPlainError unless every statement is known."""
        self._block(self._definition().body)

    def setting(self) -> bool:
        """Return what a function says that does nothing but look at a setting."""
        body = self._definition().body
        statements = [each for each in body if not _is_text(each)]
        if (
            len(statements) != 1
            or not isinstance(statements[0], ast.Return)
            or statements[0].value is None
        ):
            raise _NotPlainError
        return self._switch(statements[0].value)

    def _definition(self) -> ast.FunctionDef:
        try:
            [found] = ast.parse(textwrap.dedent(inspect.getsource(self.function))).body
        except (OSError, TypeError, SyntaxError, ValueError) as error:
            raise _NotPlainError from error
        if not isinstance(found, ast.FunctionDef) or found.name != self.function.__name__:
            raise _NotPlainError
        return found

    def _block(self, statements: Sequence[ast.stmt]) -> bool:
        """Read statements, and say whether they end the function."""
        for each in statements:
            if isinstance(each, ast.Return) and each.value is None:
                return True
            if isinstance(each, ast.Pass) or _is_text(each):
                continue
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call):
                self._call(each.value)
            elif isinstance(each, ast.If):
                if self._block(each.body if self._switch(each.test) else each.orelse):
                    return True
            elif isinstance(each, ast.For) and not each.orelse:
                if not isinstance(self._object(each.iter), list | tuple | set | frozenset | dict):
                    raise _NotPlainError
                self._block(each.body)
            else:
                raise _NotPlainError
        return False

    def _call(self, call: ast.Call) -> None:
        """Raise unless the call is of something known, with names and constants."""
        for value in (*call.args, *(item.value for item in call.keywords)):
            if not isinstance(value, ast.Name | ast.Constant):
                raise _NotPlainError
        if isinstance(call.func, ast.Attribute):
            owner = self._object(call.func.value)
            if _is_harmless(owner, call.func.attr):
                return
        _Reader(self._object(call.func), depth=self.depth + 1).read()

    def _switch(self, test: ast.expr) -> bool:
        """Return what a test says that asks for nothing but settings."""
        if isinstance(test, ast.Constant):
            return bool(test.value)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return not self._switch(test.operand)
        if isinstance(test, ast.Attribute) and self._object(test.value) is settings:
            return bool(getattr(settings, test.attr, False))
        if not isinstance(test, ast.Call) or test.keywords:
            raise _NotPlainError
        if not test.args:
            return _Reader(self._object(test.func), depth=self.depth + 1).setting()
        if not (isinstance(test.func, ast.Name) and test.func.id == "getattr"):
            raise _NotPlainError
        where, *names = test.args
        if self._object(where) is not settings or not all(
            isinstance(name, ast.Constant) for name in names
        ):
            raise _NotPlainError
        name, *default = (name.value for name in names if isinstance(name, ast.Constant))
        return bool(getattr(settings, str(name), *default))

    def _object(self, expression: ast.expr) -> Any:
        """Return what a name outside the function means, or an attribute of a module or class."""
        if isinstance(expression, ast.Name):
            code = self.function.__code__
            if expression.id in (*code.co_varnames, *code.co_freevars):
                raise _NotPlainError
            if expression.id in self.function.__globals__:
                return self.function.__globals__[expression.id]
            raise _NotPlainError
        if isinstance(expression, ast.Attribute):
            owner = self._object(expression.value)
            if isinstance(owner, ModuleType | type) and hasattr(owner, expression.attr):
                return getattr(owner, expression.attr)
        raise _NotPlainError


def _is_text(each: ast.stmt) -> bool:
    """Return whether it is a docstring."""
    return isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)


def _is_harmless(owner: Any, method: str) -> bool:
    if isinstance(owner, LRU_CACHE):
        return method == "cache_clear"
    if isinstance(owner, Signal):
        # What is connected to these runs with this very migrate, and was not looked at.
        return method in ("connect", "disconnect") and owner not in (pre_migrate, post_migrate)
    if isinstance(owner, dict | list | set):
        return method == "clear"
    if isinstance(owner, logging.Logger):
        return method in LOGS
    if owner is default_cache:
        # Others are reached through a network, a file or the database itself.
        backend = settings.CACHES.get(DEFAULT_CACHE_ALIAS, {}).get("BACKEND")
        return method in FORGETS and backend in IN_MEMORY
    kind = type(owner)
    return method == "clear_cache" and (kind.__module__, kind.__name__) == (
        "django.contrib.contenttypes.models",
        "ContentTypeManager",
    )
