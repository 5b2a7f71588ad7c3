"""Indexes, unique constraints and checks that the options of a model state ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import OpClass
from django.db.migrations.state import ModelState
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate

from opsmigrate.postgres.names import as_stored
from opsmigrate.schema.claims import ClaimedCheck, ClaimedIndex
from opsmigrate.schema.fields import Key, StateFields

Columns = tuple[str, ...]


def claimed_indexes(key: Key, model: ModelState, fields: StateFields) -> tuple[ClaimedIndex, ...]:
    """Return what unique_together, index_together, indexes and constraints ask for.

    Left out is what names a field that is no longer there: where a field is renamed or removed,
    Django does not change these options, while PostgreSQL renames, or drops, what was on it.
    """
    options = model.options

    def known(names: Iterable[str]) -> bool:
        return all(column_named(key, fields, name) for name in names)

    def columns(names: Iterable[str]) -> Columns:
        return tuple(column_named(key, fields, name) for name in names)

    return (
        *_composite_key(key, fields),
        *(
            ClaimedIndex(columns=columns(names), unique=True)
            for names in options.get("unique_together") or ()
            if known(names)
        ),
        *(
            ClaimedIndex(columns=columns(names))
            for names in options.get("index_together") or ()
            if known(names)
        ),
        *(
            _index(key, index, fields)
            for index in options["indexes"]
            if known(_all_names(index, [name for name, _ in index.fields_orders]))
        ),
        *(
            _unique(key, item, fields)
            for item in options["constraints"]
            if isinstance(item, UniqueConstraint) and known(_all_names(item, item.fields))
        ),
    )


def claimed_checks(
    key: Key, model: ModelState, fields: StateFields, checked: Iterable[str]
) -> tuple[ClaimedCheck, ...]:
    """Return the checks of the `checked` columns, and those of the constraints."""
    found = [ClaimedCheck(name=None, columns=frozenset({column})) for column in checked]
    for item in model.options["constraints"]:
        name = as_stored(item.name)
        if isinstance(item, ExclusionConstraint):
            found.append(ClaimedCheck(name=name, columns=None, exclusion=True))
        elif isinstance(item, CheckConstraint):
            condition = getattr(item, "condition", None)
            if all(column_named(key, fields, named) for named in _names(condition)):
                columns = _named_in(key, fields, condition)
                found.append(ClaimedCheck(name=name, columns=columns or None))
    return tuple(found)


def _all_names(item: Any, names: Iterable[str]) -> Iterator[str]:
    """Yield the fields that an index or a unique constraint names anywhere."""
    yield from (*names, *(item.include or ()))
    for part in (item.condition, *item.expressions):
        yield from _names(part)


def column_named(key: Key, fields: StateFields, name: str) -> str:
    """Return the column of a field by its name, by `pk` or by its attname; "" if unknown."""
    own = fields.of(key)
    if name == "pk":
        return as_stored(fields.primary_key(key)[1].column or "")
    field = own.get(name) or next(
        (item for item in own.values() if getattr(item, "attname", None) == name), None
    )
    return as_stored(field.column or "") if field is not None else ""


def _composite_key(key: Key, fields: StateFields) -> Iterator[ClaimedIndex]:
    for field in fields.of(key).values():
        names = field.primary_key and getattr(field, "field_names", None)
        if names:
            columns = tuple(column_named(key, fields, name) for name in names)
            yield ClaimedIndex(columns=columns, primary=True, unique=True)


def _index(key: Key, index: Index, fields: StateFields) -> ClaimedIndex:
    any_index: Any = index
    method = "btree" if any_index.suffix == Index.suffix else str(any_index.suffix)
    plain = index.fields_orders
    columns = (
        tuple(column_named(key, fields, name) for name, _ in plain)
        if plain
        else _columns_of(key, any_index.expressions, fields)
    )
    return ClaimedIndex(
        name=as_stored(index.name),
        columns=columns,
        method=method,
        partial=index.condition is not None,
        include=_include(key, any_index.include, fields),
        descending=tuple(order == "DESC" for _, order in plain) if plain else None,
        opclasses=tuple(any_index.opclasses),
        named=_named_in(key, fields, index.condition, *any_index.expressions),
    )


def _unique(key: Key, constraint: UniqueConstraint, fields: StateFields) -> ClaimedIndex:
    unique: Any = constraint
    return ClaimedIndex(
        name=as_stored(unique.name),
        columns=(
            tuple(column_named(key, fields, name) for name in unique.fields)
            if unique.fields
            else _columns_of(key, unique.expressions, fields)
        ),
        unique=True,
        partial=unique.condition is not None,
        include=_include(key, unique.include, fields),
        opclasses=tuple(unique.opclasses),
        named=_named_in(key, fields, unique.condition, *unique.expressions),
        deferrable=unique.deferrable is not None,
        nulls_distinct=unique.nulls_distinct is not False,
    )


def _include(key: Key, names: Iterable[str] | None, fields: StateFields) -> tuple[str, ...]:
    return tuple(column_named(key, fields, name) for name in names or ())


def _columns_of(key: Key, expressions: Iterable[Any], fields: StateFields) -> Columns:
    """Return the column of each expression that is one, "" for the others.

    PostgreSQL takes a column in brackets, with an operator class or a collation, for the column.
    """
    return tuple(_plain_column(key, expression, fields) for expression in expressions)


def _plain_column(key: Key, expression: Any, fields: StateFields) -> str:
    while isinstance(expression, OrderBy | OpClass | Collate):
        expression = expression.get_source_expressions()[0]
    name = getattr(expression, "name", "")
    return column_named(key, fields, name) if isinstance(expression, F) else ""


def _named_in(key: Key, fields: StateFields, *parts: Any) -> frozenset[str]:
    """Return the columns that conditions and expressions name, as far as they can be known."""
    names = {name for part in parts for name in _names(part)}
    columns = (column_named(key, fields, name) for name in names)
    return frozenset(column for column in columns if column)


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, F):
        yield str(getattr(part, "name")).partition("__")[0]  # noqa: B009 - the stubs leave it out
    elif isinstance(part, Q):
        for child in part.children:
            if isinstance(child, tuple):
                yield child[0].partition("__")[0]
                yield from _names(child[1])
            else:
                yield from _names(child)
    elif hasattr(part, "get_source_expressions"):
        for source in part.get_source_expressions():
            yield from _names(source)
