"""Whether a query of a migration's code finds no row: its table has none, or none that it wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models, router
from django.db.models import Count, Exists, Field, Max, Min, QuerySet, Subquery, lookups
from django.db.models.expressions import Col, ResolvedOuterRef
from django.db.models.sql import Query, UpdateQuery

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.live_query import UnaskableError, finds_rows, tables_of
from opsmigrate.preflight.walk.privileges import live_relation, missing_privilege
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import canonical

# Lookups of the field's own type, and where Django has its classes of them.
LOOKUPS = (
    *(lookups.Exact, lookups.GreaterThan, lookups.GreaterThanOrEqual, lookups.In, lookups.IsNull),
    *(lookups.LessThan, lookups.LessThanOrEqual),
)
# Of texts, which Django casts to text (DatabaseOperations.lookup_cast).
OF_TEXTS = (
    *(lookups.Contains, lookups.EndsWith, lookups.IContains, lookups.IEndsWith, lookups.IExact),
    *(lookups.IStartsWith, lookups.StartsWith),
)
THEIR_MODULES = ("django.db.models.lookups", "django.db.models.fields.related_lookups")
IN_ORDER = (
    *(models.AutoField, models.BigAutoField, models.BigIntegerField, models.CharField),
    *(models.DateField, models.DateTimeField, models.IntegerField, models.TextField),
)
# What runs although no row is found: triggers for each statement, and rules.
RUNS_WITHOUT_ROWS = """
SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND (
    EXISTS (SELECT FROM pg_trigger t
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 1 = 0)
    OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid))
"""


class NotEmptyError(Exception):
    """The query may find rows, or be refused."""


def require_nothing_to_do(
    walk: SchemaWalk,
    query: QuerySet[Any],
    *,
    changes: Mapping[str, Any] | None = None,
    deletes: bool = False,
) -> None:
    """Raise NotEmptyError unless the query, and what it `changes` or `deletes`, meets no row.

    The table must have none, or none that the query finds, and be as the models say: a column of
    another type would have the query refused. Nothing is executed but questions.
    """
    if _is_never_executed(walk, query):
        return
    table, others = require_sound(walk, query, changes=changes, deletes=deletes)
    try:
        for name, value in (changes or {}).items():
            if type(value) is Subquery:
                _require_same_type(walk, query, name, value)
        if _is_asked(walk, query, table, others) and finds_rows(walk, query):
            raise NotEmptyError
    except UnaskableError as error:
        raise NotEmptyError from error


def _is_asked(
    walk: SchemaWalk, query: QuerySet[Any], table: SimulatedTable, others: set[str]
) -> bool:
    """Return whether PostgreSQL itself is to say that the query finds no row."""
    nested = any(_exists(each) is not None for each in query.query.where.leaves())
    sorts = not _sorts_as_django_can(query.query, query.model)
    return bool(others) or nested or sorts or walk.rows(table) != 0


def _is_never_executed(walk: SchemaWalk, query: QuerySet[Any]) -> bool:
    """Return whether Django itself sees that no row can be found, as for `id__in=[]`."""
    try:
        query.query.chain().get_compiler(connection=walk.connection).as_sql()
    except EmptyResultSet:
        return True
    except Exception as error:  # what migrate would raise
        raise NotEmptyError from error
    return False


def require_sound(
    walk: SchemaWalk,
    query: QuerySet[Any],
    *,
    changes: Mapping[str, Any] | None = None,
    deletes: bool = False,
) -> tuple[SimulatedTable, set[str]]:
    """Return the table of the query, and the others that it looks at.

    Raises NotEmptyError where it may be refused although it finds no row.
    """
    model: Any = query.model
    table = walk.schema.table(model._meta.db_table)
    alias = walk.connection.alias
    if table is None or {query.db, _written(query)} != {alias}:
        raise NotEmptyError
    if changes is not None:
        _require_changes(walk, query, changes)
    composed = _composed(walk, query)
    others = tables_of(composed) - {model._meta.db_table}
    if _is_asked(walk, query, table, others):
        _require_plain(composed, asked=True)
    else:
        _require_fitting(composed, model)
    _require_as_described(walk, table, model._meta.local_concrete_fields)
    verbs = ["SELECT", *(["UPDATE"] if changes is not None else []), *(["DELETE"] * deletes)]
    _require_allowed(walk, table, verbs)
    for name in others:
        other = walk.schema.table(name)
        if other is None:
            raise NotEmptyError
        _require_allowed(walk, other, ["SELECT"])
    return table, others


def _require_same_type(walk: SchemaWalk, query: QuerySet[Any], name: str, given: Subquery) -> None:
    """Raise NotEmptyError unless a query gives a column values of its very type."""
    inner: Any = given.query
    if len(inner.select) != 1 or inner.annotations:
        raise NotEmptyError
    tables = [walk.schema.table(each._meta.db_table) for each in (inner.model, query.model)]
    columns = [column_of(inner.select[0].target), column_of(query.model._meta.get_field(name))]
    types = [
        table.types.get(column) if table else None
        for table, column in zip(tables, columns, strict=True)
    ]
    if None in types or canonical(str(types[0])) != canonical(str(types[1])):
        raise NotEmptyError
    # PostgreSQL itself says whether it takes the query; of rows, nothing is asked.
    finds_rows(walk, query.annotate(opsmigrate_new=given))


def _written(query: Any) -> str:
    """Return the alias that what it changes or deletes goes to."""
    return str(query._db or router.db_for_write(query.model))


def _require_changes(walk: SchemaWalk, query: QuerySet[Any], changes: Mapping[str, Any]) -> None:
    model: Any = query.model
    try:
        update: Any = query.query.chain(UpdateQuery)
        update.add_update_values(dict(changes))
        of_parents = update.get_related_updates()
        # With them, Django would look for the rows in order to make the text.
        update.related_updates = {}
        for each in (update, *of_parents):
            _require_sendable(each.get_compiler(connection=walk.connection).as_sql()[1])
        fields = [model._meta.get_field(name) for name in changes]
    except Exception as error:  # what migrate would raise
        raise NotEmptyError from error
    # Where no row is found, those of parents are not executed.
    if not all(map(_is_djangos_own, fields)):
        raise NotEmptyError


def _composed(walk: SchemaWalk, query: QuerySet[Any]) -> Any:
    """Return the query as it would be executed, with all tables that it joins."""
    composed: Any = query.query.chain()
    try:
        _require_sendable(composed.get_compiler(connection=walk.connection).as_sql()[1])
    except Exception as error:
        raise NotEmptyError from error
    return composed


def _require_sendable(params: Sequence[Any]) -> None:
    """Raise unless the driver can send the texts: no NUL, and no half of a surrogate pair."""
    for each in params:
        if isinstance(each, str) and b"\0" in each.encode():
            raise NotEmptyError


def _require_fitting(composed: Any, model: Any) -> None:
    """Raise unless the server has each operator: it refuses others although there is no row."""
    if not _sorts_as_django_can(composed, model):
        raise NotEmptyError
    _require_plain(composed, asked=False)


def _sorts_as_django_can(composed: Any, model: Any) -> bool:
    """Return whether a query sorts nothing, or what may be only types that can be sorted."""
    sorts = composed.distinct or composed.order_by or composed.group_by is not None
    ordered = sorts or composed.extra_order_by or model._meta.ordering
    return not ordered or all(map(_is_djangos_own, model._meta.local_concrete_fields))


def _require_plain(composed: Any, *, asked: bool) -> None:
    """Raise unless the conditions and what is computed are of a kind that fails on no row.

    Where PostgreSQL is `asked`, it says itself whether it has the operators.
    """
    _require_plain_condition(composed.where, asked=asked)
    for annotation in composed.annotations.values():
        sources = [type(source) for source in annotation.get_source_fields()]
        in_order = type(annotation) in (Max, Min) and sources[:1] in [[kind] for kind in IN_ORDER]
        if annotation.filter is not None or not (type(annotation) is Count or in_order):
            raise NotEmptyError


def _exists(condition: Any) -> Any:
    """Return the Exists() that is a condition, which Django compares with True; else None."""
    if type(condition) is lookups.Exact and isinstance(condition.rhs, bool):
        condition = condition.lhs
    return condition if type(condition) is Exists else None


def _require_plain_condition(node: Any, *, asked: bool) -> None:
    for child in node.children:
        if hasattr(child, "children"):
            _require_plain_condition(child, asked=asked)
            continue
        if (exists := _exists(child)) is not None:
            _require_plain_condition(exists.query.where, asked=asked)
            continue
        left = getattr(child, "lhs", None)
        plain = type(left) is Count or (type(left) is Col and _is_djangos_own(left.output_field))
        text = type(left) is Col and type(left.output_field) in (models.CharField, models.TextField)
        kinds = (*LOOKUPS, *(OF_TEXTS if text else ()))
        kind = issubclass(type(child), kinds) and type(child).__module__ in THEIR_MODULES
        if not kind or not plain:
            raise NotEmptyError
        if type(child.rhs) is Query and not child.rhs.annotations:
            _require_plain_condition(child.rhs.where, asked=asked)
        elif type(child.rhs) is Col and asked:
            if not _is_djangos_own(child.rhs.output_field):
                raise NotEmptyError
        elif hasattr(child.rhs, "resolve_expression") and type(child.rhs) is not ResolvedOuterRef:
            raise NotEmptyError


def _is_djangos_own(field: Any) -> bool:
    return f"{type(field).__module__}.".startswith("django.db.models.fields.")


def _require_as_described(
    walk: SchemaWalk, table: SimulatedTable, fields: list[Field[Any, Any]]
) -> None:
    for field in fields:
        type_ = field.db_parameters(connection=walk.connection)["type"]
        found = table.types.get(column_of(field))
        if type_ is None or found is None or canonical(type_) != canonical(found):
            raise NotEmptyError


def _require_allowed(walk: SchemaWalk, table: SimulatedTable, verbs: list[str]) -> None:
    if table.kind not in ("r", "p"):
        raise NotEmptyError
    if table.origin is None:
        return
    live = live_relation(walk.catalog, table.origin)
    if live is None or any(missing_privilege(walk.connection, live, verb) for verb in verbs):
        raise NotEmptyError
    runs = seen_by_project(walk.connection, RUNS_WITHOUT_ROWS, list(table.origin))
    if len(verbs) > 1 and runs:
        raise NotEmptyError
