"""Code of a migration that updates rows: with constants, or with what another row holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import QuerySet, Subquery
from django.db.models.expressions import Col, ResolvedOuterRef
from django.db.models.lookups import Exact

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.operators import equality
from opsmigrate.preflight.walk.empty_query import NotEmptyError, require_sound
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.found import known, rows_of
from opsmigrate.preflight.walk.live_query import UnaskableError, finds_rows
from opsmigrate.preflight.walk.probes import nulls, orphans_of
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable, constant
from opsmigrate.preflight.walk.updated_rows import (
    OpenError,
    require_as_described,
    require_fillable,
    require_updatable,
)
from opsmigrate.preflight.walk.waiting_triggers import note_rows_written
from opsmigrate.schema.types import base, canonical


@dataclass
class Written:
    """What code has written so far, so that it can be taken back where more is not understood."""

    before: list[tuple[SimulatedTable, dict[str, Composable], str | None, str | None]] = field(
        default_factory=list
    )

    def note(
        self, walk: SchemaWalk, table: SimulatedTable, values: Mapping[str, Composable | None]
    ) -> None:
        """Let the columns hold these values from here on, None where nobody knows them."""
        state = (dict(table.values), table.rows_written_in, table.triggers_wait_in)
        self.before.append((table, *state))
        note_rows_written(walk.ledger, walk.schema, table, values)
        for column, value in values.items():
            table.values.pop(column, None)
            if value is not None:
                table.values[column] = value

    def check_now(self, walk: SchemaWalk) -> None:
        """SET CONSTRAINTS ALL IMMEDIATE: no trigger waits any more, until the commit."""
        for table in walk.schema.tables:
            if table.triggers_wait_in == walk.ledger.migration:
                state = (dict(table.values), table.rows_written_in, table.triggers_wait_in)
                self.before.append((table, *state))
                table.triggers_wait_in = None

    def take_back(self) -> None:
        """Let the tables be as they were before."""
        for table, values, written, waits in reversed(self.before):
            table.values, table.rows_written_in, table.triggers_wait_in = values, written, waits


def update_rows(
    walk: SchemaWalk, query: QuerySet[Any], changes: Mapping[str, Any], written: Written
) -> None:
    """Let the rows of the query have what they are given; raise NotEmptyError unless each takes it.

    What a question of the rows is, is asked as of any other operation.
    """
    model: Any = query.model
    table, others = require_sound(walk, query, changes=changes)
    if others or model._meta.parents or table.origin is None:
        raise NotEmptyError
    columns = {column_of(model._meta.get_field(name)): value for name, value in changes.items()}
    found = [each for each in columns.values() if type(each) is Subquery]
    try:
        # PostgreSQL itself says whether it takes the query.
        finds_rows(walk, query)
        if not found:
            require_updatable(walk, table, columns)
            written.note(walk, table, _constants(query, table, columns))
            return
        if len(found) != len(columns) or query.query.where:
            raise NotEmptyError
        values = {
            column: _of_another_row(walk, table, model, column, each)
            for column, each in columns.items()
        }
        require_fillable(walk, table, columns)
    except (OpenError, UnaskableError, Error, FieldDoesNotExist) as error:
        raise NotEmptyError from error
    written.note(walk, table, values)
    _ask(walk, table, values)


def _constants(
    query: QuerySet[Any], table: SimulatedTable, columns: Mapping[str, Any]
) -> dict[str, Composable | None]:
    """Return what the columns hold then; of some of the rows, nobody knows it of all."""
    return {
        column: None
        if query.query.where or not isinstance(value, str | int | None)
        else constant(value, table.types[column])
        for column, value in columns.items()
    }


def _of_another_row(
    walk: SchemaWalk, table: SimulatedTable, model: Any, column: str, given: Subquery
) -> Composable:
    """Return what the one row of another table holds whose key the row has."""
    inner: Any = given.query
    key, outer = _key_condition(inner)
    parts = (inner.distinct, inner.combinator, inner.annotations, inner.group_by, inner.extra)
    # A query remembers joins that it does not make.
    used = [alias for alias in inner.alias_map if inner.alias_refcount[alias]]
    if any(parts) or len(inner.select) != 1 or len(used) != 1 or given.extra:
        raise NotEmptyError
    selected = column_of(inner.select[0].target)
    own = column_of(model._meta.get_field(outer))
    target = require_as_described(walk, inner.model, {key, selected})
    types = target.types, table.types
    pairs = ((selected, column), (key, own))
    same = all(canonical(types[0][one]) == canonical(types[1][other]) for one, other in pairs)
    if not same or not known(table, (own,)) or not known(target, (key, selected)):
        raise NotEmptyError
    return sql.SQL("(SELECT target.{} FROM {} AS target WHERE target.{} {} {})").format(
        sql.Identifier(selected),
        rows_of(target, (key, selected)),
        sql.Identifier(key),
        equality(walk.connection, base(types[0][key])),
        table.values[own],
    )


def _key_condition(inner: Any) -> tuple[str, str]:
    """Return the key's column, and the name of the row's field that it must equal."""
    where = inner.where
    if where.negated or len(where.children) != 1:
        raise NotEmptyError
    [condition] = where.children
    left: Any = getattr(condition, "lhs", None)
    right: Any = getattr(condition, "rhs", None)
    if not isinstance(condition, Exact) or type(left) is not Col:
        raise NotEmptyError
    if left.target is not inner.model._meta.pk or type(right) is not ResolvedOuterRef:
        raise NotEmptyError
    outer: Any = right
    return column_of(left.target), str(outer.name)


def _ask(walk: SchemaWalk, table: SimulatedTable, values: Iterable[str]) -> None:
    for column in sorted(set(values) & table.not_null):
        question = f"whether the new values of {table.label}.{column} are NULL"
        walk.check_rows(table, question, nulls(table, column))
    for key in walk.schema.foreign_keys:
        if key.table is table and set(key.columns) & set(values):
            question = f"whether every {table.label} ({', '.join(key.columns)}) points to a row"
            walk.check_rows(table, question, orphans_of(walk.connection, key))
