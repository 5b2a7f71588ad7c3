"""Code of a migration that looks for rows and finds none, or gives rows constants that they take.

Its source is read, and carried out as far as it is understood: constants, models of the state, and
queries of which only is asked whether they find a row. What is not understood may do anything.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

from django.core.management.color import no_style
from django.db import transaction
from django.db.migrations.state import ProjectState
from django.db.models import (
    Count,
    Exists,
    F,
    Manager,
    Max,
    Min,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.fields.related_descriptors import ManyToManyDescriptor

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.code_stand_ins import (
    APPS,
    CONNECTION,
    EDITOR,
    HOW_MANY,
    INTROSPECTION,
    NOW,
    OPS,
    PARTS,
    STYLE,
    TABLE_NAMES,
    ContentTypes,
    Reset,
    StandIn,
    Through,
)
from opsmigrate.preflight.walk.code_updates import Written, update_rows
from opsmigrate.preflight.walk.definitions import definition_of
from opsmigrate.preflight.walk.empty_query import NotEmptyError, require_nothing_to_do
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.sequence_resets import require_resettable
from opsmigrate.preflight.walk.updated_rows import (
    OpenError,
    require_as_described,
    rows_read,
)

DEEPEST = 5
MOST_TIMES = 100
# Of a query, what gives another one and executes nothing.
COMPOSE = frozenset(
    {
        *("all", "annotate", "defer", "distinct", "exclude", "filter", "only", "order_by"),
        *("select_related", "using", "values", "values_list"),
    }
)
# What it gives where there is no row.
WITHOUT_ROWS = {"count": 0, "delete": None, "exists": False, "first": None, "last": None}
EXPRESSIONS = (Count, Exists, F, Max, Min, OuterRef, Q, Subquery)
# Not imported: the app need not be installed.
CONTENT_TYPES = "django.contrib.contenttypes.models.ContentTypeManager"
CONSTANTS = (str, int, float, bool, type(None), list, tuple, set, frozenset, dict)
LENGTHS = (bool, len, list, set, tuple)


class _NotIdleError(Exception):
    """The code does something, or may do something, that is not among what is understood."""


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def is_understood(code: Callable[..., Any], walk: SchemaWalk, state: ProjectState) -> bool:
    """Return whether the code, given the models of `state`, only does what is known here.

    What it gives to rows is noted in the tables of `walk`.
    """
    written = Written()
    try:
        _Reader(code, walk, state, written, depth=0).call((APPS, EDITOR))
    except (_NotIdleError, NotEmptyError):
        written.take_back()
        return False
    return True


def returns_a_constant(function: Callable[..., Any]) -> bool:
    """Return whether a function without arguments does nothing but return a constant."""
    try:
        value = _Reader(function, None, None, Written(), depth=0).call(())
    except _NotIdleError:
        return False
    return _is_constant(value)


class _Reader:
    """Carries out one function; it meets no model where there is no `state`."""

    def __init__(
        self, function: Any, walk: Any, state: ProjectState | None, written: Written, *, depth: int
    ) -> None:
        # Its own type: isinstance() asks an object that stands in for another one, which may work.
        if not issubclass(type(function), FunctionType) or depth > DEEPEST:
            raise _NotIdleError
        if function.__closure__ or hasattr(function, "__wrapped__"):
            raise _NotIdleError
        self.function, self.walk, self.state, self.depth = function, walk, state, depth
        self.written = written
        code = function.__code__
        self.own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
        self.names: dict[str, Any] = {}

    def call(self, arguments: Sequence[Any]) -> Any:
        """Return what it returns."""
        body = definition_of(self.function)
        if body is None:
            raise _NotIdleError
        names = body.args.posonlyargs + body.args.args
        others = body.args.kwonlyargs or body.args.vararg or body.args.kwarg or body.args.defaults
        if others or len(names) != len(arguments):
            raise _NotIdleError
        self.names = {name.arg: value for name, value in zip(names, arguments, strict=True)}
        if isinstance(body, ast.Lambda):
            return self._value(body.body)
        try:
            self._block(body.body)
        except _Returned as returned:
            return returned.value
        return None

    # Statements

    def _block(self, statements: Sequence[ast.stmt]) -> None:
        for each in statements:
            if isinstance(each, ast.Return):
                raise _Returned(None if each.value is None else self._value(each.value))
            if isinstance(each, ast.Expr):
                self._value(each.value)
            elif isinstance(each, ast.Assign):
                self._assign(each)
            elif isinstance(each, ast.If):
                self._block(each.body if self._truth(each.test) else each.orelse)
            elif isinstance(each, ast.For):
                self._loop(each)
            elif isinstance(each, ast.With):
                self._in_a_transaction(each)
            elif not isinstance(each, ast.Pass):
                raise _NotIdleError

    def _assign(self, each: ast.Assign) -> None:
        [target, *others] = each.targets
        if others or not isinstance(target, ast.Name):
            raise _NotIdleError
        self.names[target.id] = self._value(each.value)

    def _comprehension(self, each: Any) -> Any:
        """Return what a list of something is that there is none of."""
        [loop, *others] = each.generators
        if others or self._items(self._value(loop.iter)):
            raise _NotIdleError
        return []

    def _loop(self, each: ast.For) -> None:
        if each.orelse:
            raise _NotIdleError
        for value in self._items(self._value(each.iter)):
            if not isinstance(each.target, ast.Name):
                raise _NotIdleError
            self.names[each.target.id] = value
            self._block(each.body)

    def _items(self, value: Any) -> Sequence[Any]:
        if type(value) is QuerySet:
            require_nothing_to_do(self.walk, value)
            return ()
        if type(value) not in (list, tuple, dict) or len(value) > MOST_TIMES:
            raise _NotIdleError
        return list(value)

    def _in_a_transaction(self, each: ast.With) -> None:
        for item in each.items:
            called = item.context_expr
            if item.optional_vars or not isinstance(called, ast.Call):
                raise _NotIdleError
            for argument in (*called.args, *(keyword.value for keyword in called.keywords)):
                self._value(argument)
            if self._global(called.func) is not transaction.atomic:
                raise _NotIdleError
        self._block(each.body)

    # Expressions

    def _truth(self, test: ast.expr) -> bool:
        return self._truth_of(self._value(test))

    def _truth_of(self, value: Any) -> bool:
        if type(value) is QuerySet:
            require_nothing_to_do(self.walk, value)
            return False
        if type(value) not in CONSTANTS:
            raise _NotIdleError
        return bool(value)

    def _value(self, each: ast.expr) -> Any:
        read = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.BoolOp: self._and_or,
            ast.Compare: self._compare,
            ast.GeneratorExp: self._comprehension,
            ast.JoinedStr: self._text,
            ast.ListComp: self._comprehension,
            ast.List: self._collection,
            ast.Tuple: self._collection,
            ast.Dict: self._dict,
            ast.Subscript: self._part,
            ast.UnaryOp: self._not,
            ast.BinOp: self._either,
        }.get(type(each))
        if read is None:
            raise _NotIdleError
        return read(each)

    def _constant(self, each: Any) -> Any:
        return each.value

    def _name(self, each: Any) -> Any:
        if each.id in self.names:
            return self.names[each.id]
        if each.id in self.own:
            raise _NotIdleError
        value = self.function.__globals__.get(each.id, each)
        if type(value) not in CONSTANTS:
            raise _NotIdleError
        return value

    def _attribute(self, each: Any) -> Any:
        owner = self._value(each.value)
        if type(owner) is Through and each.attr == "through":
            return owner.model
        if owner is EDITOR and each.attr == "connection":
            return CONNECTION
        if owner is CONNECTION and each.attr in PARTS:
            return PARTS[each.attr]
        if owner is CONNECTION and each.attr in ("alias", "vendor"):
            return getattr(self.walk.connection, each.attr)
        if _is_model(owner):
            return self._of_model(owner, each.attr)
        raise _NotIdleError

    def _of_model(self, model: Any, name: str) -> Any:
        if name in ("objects", "_base_manager") and type(getattr(model, name, None)) is Manager:
            return getattr(model, name).all()
        kind = type(getattr(model, name, None)) if name == "objects" else None
        if kind is not None and f"{kind.__module__}.{kind.__qualname__}" == CONTENT_TYPES:
            return ContentTypes(model, model.objects.db)
        if type(item := vars(model).get(name)) is ManyToManyDescriptor:
            return Through(item.through)
        raise _NotIdleError

    def _text(self, each: Any) -> Any:
        parts = [
            part.value if isinstance(part, ast.FormattedValue) else part for part in each.values
        ]
        plain = all(
            part.conversion == -1 and part.format_spec is None
            for part in each.values
            if isinstance(part, ast.FormattedValue)
        )
        values = [self._value(part) for part in parts]
        if not plain or any(type(value) not in (str, int) for value in values):
            raise _NotIdleError
        return "".join(map(str, values))

    def _and_or(self, each: Any) -> Any:
        goes_on = isinstance(each.op, ast.And)
        value: Any = None
        for part in each.values:
            value = self._value(part)
            if self._truth_of(value) is not goes_on:
                break
        return value

    def _part(self, each: Any) -> Any:
        """Return the beginning of a query, `[:1]`, which is not executed."""
        owner, part = self._value(each.value), each.slice
        if type(owner) is not QuerySet or not isinstance(part, ast.Slice) or part.upper is None:
            raise _NotIdleError
        upper = self._value(part.upper)
        if part.lower or part.step or type(upper) is not int or upper < 1:
            raise _NotIdleError
        return owner[:upper]

    def _collection(self, each: Any) -> Any:
        return list(map(self._value, each.elts))

    def _dict(self, each: Any) -> Any:
        if None in each.keys:
            raise _NotIdleError
        return {
            self._hashable(k): self._value(v) for k, v in zip(each.keys, each.values, strict=True)
        }

    def _hashable(self, each: ast.expr) -> Any:
        value = self._value(each)
        if type(value) not in (str, int, bool):
            raise _NotIdleError
        return value

    def _not(self, each: Any) -> Any:
        if isinstance(each.op, ast.Not):
            return not self._truth(each.operand)
        value = self._value(each.operand)
        if isinstance(each.op, ast.USub) and type(value) in (int, float):
            return -value
        if isinstance(each.op, ast.Invert) and type(value) is Q:
            return ~value
        raise _NotIdleError

    def _either(self, each: Any) -> Any:
        values = self._value(each.left), self._value(each.right)
        if any(type(value) is not Q for value in values):
            raise _NotIdleError
        if isinstance(each.op, ast.BitOr):
            return values[0] | values[1]
        if isinstance(each.op, ast.BitAnd):
            return values[0] & values[1]
        raise _NotIdleError

    def _compare(self, each: Any) -> Any:
        values = self._value(each.left), *map(self._value, each.comparators)
        if len(values) == 2 and values[1] is TABLE_NAMES and isinstance(each.ops[0], ast.In):
            return self._has_table(values[0])
        if len(values) == 2 and type(values[0]) is StandIn:
            return self._is_none(each.ops[0], values[1])
        if len(values) > 2 or any(type(value) not in CONSTANTS for value in values):
            raise _NotIdleError
        [operator] = each.ops
        if isinstance(operator, ast.Eq):
            return values[0] == values[1]
        if isinstance(operator, ast.NotEq):
            return values[0] != values[1]
        if isinstance(operator, ast.Is | ast.IsNot) and values[1] is None:
            return (values[0] is None) is isinstance(operator, ast.Is)
        raise _NotIdleError

    def _has_table(self, name: Any) -> bool:
        # Code that ran before may have made it.
        known = type(name) is str and as_stored(name) == name and self.walk.sees_everything()
        table = self.walk.schema.table(name) if known else None
        if not known or (table is not None and table.is_partition):
            raise _NotIdleError
        # Views are not among them (DatabaseIntrospection.table_names).
        return self.walk.schema.visible_kind(name) in ("r", "p", "f")

    def _is_none(self, operator: ast.cmpop, other: Any) -> bool:
        """Compare what the code is given with None."""
        if other is not None or not isinstance(operator, ast.Is | ast.IsNot):
            raise _NotIdleError
        return isinstance(operator, ast.IsNot)

    # Calls

    def _call(self, each: Any) -> Any:
        names = {keyword.arg: self._value(keyword.value) for keyword in each.keywords}
        if None in names or any(isinstance(argument, ast.Starred) for argument in each.args):
            raise _NotIdleError
        values = [self._value(argument) for argument in each.args]
        called = each.func
        if isinstance(called, ast.Attribute) and not self._is_module(called.value):
            return self._call_of(self._value(called.value), called.attr, values, names)
        return self._call_global(self._global(called), values, names)

    def _is_module(self, each: ast.expr) -> bool:
        if not isinstance(each, ast.Name) or each.id in self.own:
            return isinstance(each, ast.Attribute) and self._is_module(each.value)
        return issubclass(type(self.function.__globals__.get(each.id)), ModuleType)

    def _global(self, each: ast.expr) -> Any:
        """Return what a name outside the function means, or a name inside a module."""
        if isinstance(each, ast.Attribute):
            owner = self._global(each.value)
            if issubclass(type(owner), ModuleType) and each.attr in vars(owner):
                return vars(owner)[each.attr]
        elif isinstance(each, ast.Name) and each.id not in self.own:
            known = self.function.__globals__
            if each.id in known:
                return known[each.id]
            return getattr(builtins, each.id, None)
        raise _NotIdleError

    def _call_of(self, owner: Any, method: str, values: list[Any], names: dict[str, Any]) -> Any:
        if owner is APPS and method == "get_model":
            return self._model(values, names)
        if type(owner) is QuerySet:
            return self._call_of_query(owner, method, values, names)
        if names:
            raise _NotIdleError
        if type(owner) is ContentTypes and len(values) == 1:
            return self._content_type(owner, method, values[0])
        if owner is EDITOR and method == "execute" and len(values) == 1:
            return self._execute(values[0])
        if owner is OPS and method == "sequence_reset_sql" and len(values) == 2:
            return self._resets(*values)
        if owner is INTROSPECTION and method == "table_names" and not values:
            return TABLE_NAMES
        raise _NotIdleError

    def _call_of_query(
        self, query: Any, method: str, values: list[Any], names: dict[str, Any]
    ) -> Any:
        if method == "iterator":
            return query
        if method in COMPOSE:
            return self._composed(query, method, values, names)
        if method == "update" and not values and all(map(_is_assigned, names.values())):
            return self._update(query, names)
        if method == "bulk_create" and values == [[]] and names.keys() <= {"batch_size"}:
            return []
        if method not in WITHOUT_ROWS or values or names:
            raise _NotIdleError
        require_nothing_to_do(self.walk, query, deletes=method == "delete")
        return WITHOUT_ROWS[method]

    def _content_type(self, types: ContentTypes, method: str, given: Any) -> Any:
        """Return the key of the content type of a model; one that is not there would be made."""
        if method == "db_manager" and type(given) is str:
            return ContentTypes(types.model, given)
        here = types.alias == self.walk.connection.alias
        if method != "get_for_model" or not here or not _is_model(given):
            raise _NotIdleError
        options = given._meta.concrete_model._meta
        try:
            table = require_as_described(self.walk, types.model)
            rows = rows_read(self.walk, table, ("id", "app_label", "model"))
        except OpenError as error:
            raise _NotIdleError from error
        wanted = [options.app_label, options.model_name]
        found = [int(str(key)) for key, *label in rows if label == wanted]
        if len(found) != 1:
            raise _NotIdleError
        return found[0]

    def _resets(self, style: Any, models: Any) -> list[Reset]:
        if style is not STYLE or not all(map(_is_model, self._items(models))):
            raise _NotIdleError
        return [Reset(model) for model in models]

    def _execute(self, statement: Any) -> None:
        if type(statement) is Reset:
            try:
                require_resettable(self.walk, statement.model)
            except OpenError as error:
                raise _NotIdleError from error
        elif statement == NOW:
            self.written.check_now(self.walk)
        else:
            raise _NotIdleError

    def _update(self, query: Any, changes: dict[str, Any]) -> Any:
        try:
            require_nothing_to_do(self.walk, query, changes=changes)
        except NotEmptyError:
            update_rows(self.walk, query, changes, self.written)
            return HOW_MANY
        return 0

    def _model(self, values: list[Any], names: dict[str, Any]) -> Any:
        assert self.state is not None  # noqa: S101 - who has `apps` has a state
        try:
            return self.state.apps.get_model(*values, **names)
        except Exception as error:
            raise _NotIdleError from error

    def _composed(self, query: Any, method: str, values: list[Any], names: dict[str, Any]) -> Any:
        if not all(_is_plain(each) for each in (*values, *names.values())):
            raise _NotIdleError
        try:
            return getattr(query, method)(*values, **names)
        except Exception as error:  # what migrate would raise: only running says how it ends
            raise _NotIdleError from error

    def _call_global(self, called: Any, values: list[Any], names: dict[str, Any]) -> Any:
        if issubclass(type(called), FunctionType) and not names:
            deeper = _Reader(called, self.walk, self.state, self.written, depth=self.depth + 1)
            return deeper.call(values)
        if called is no_style and not values and not names:
            return STYLE
        if called is print and not names and all(type(value) in CONSTANTS for value in values):
            return None
        if not names and len(values) == 1 and called in LENGTHS:
            return called(self._items(values[0]))
        if called in EXPRESSIONS and all(_is_plain(each) for each in (*values, *names.values())):
            try:
                return called(*values, **names)
            except Exception as error:
                raise _NotIdleError from error
        raise _NotIdleError


def _is_model(value: Any) -> bool:
    return issubclass(type(value), type) and issubclass(value, Model)


def _is_assigned(value: Any) -> bool:
    return type(value) is Subquery or _is_constant(value)


def _is_plain(value: Any) -> bool:
    """Return whether a query may be composed of it: no model."""
    return type(value) in (*EXPRESSIONS, QuerySet) or _is_constant(value)


def _is_constant(value: Any) -> bool:
    if type(value) is dict:
        value = list(value.values())
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_constant, value))
    return type(value) in CONSTANTS
