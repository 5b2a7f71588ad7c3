"""What checks and indexes demand of a row: claimed against live, decided by rows that are tried.

The texts cannot be compared. PostgreSQL keeps a condition in words of its own, and Django's differ
from release to release, as do those for a column whose type was another when the constraint was
made. So both are asked about the same made-up rows. Only where they disagree about one of these is
there a difference, whatever the words; where no such row is found, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from django.contrib.postgres.indexes import OpClass
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import CheckConstraint, F, Model, UniqueConstraint
from django.db.models import Index as DjangosIndex
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate
from django.db.models.sql import Query

from opsmigrate.postgres.catalog import Column, Constraint, Index, Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import as_stored
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.postgres.transaction import SNAPSHOT
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.samples import samples
from opsmigrate.schema.types import in_full

# NULL is neither: it passes a check, and is not in an index.
CHECK = "(({claimed}) IS FALSE) OPERATOR(pg_catalog.<>) (({live}) IS FALSE)"
PREDICATE = "(({claimed}) IS TRUE) OPERATOR(pg_catalog.<>) (({live}) IS TRUE)"
# IS DISTINCT FROM would look for an operator = along the search_path.
EXPRESSIONS = "pg_catalog.record_ne(ROW({claimed}), ROW({live}))"
TIMEOUT = "SET LOCAL statement_timeout = '5s'"
MOST_ROWS = 5000


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a constraint or an index demands, or computes; `disagree` compares the two in SQL.

    `item` is what is claimed, `there` what is live under its name.
    """

    table: Relation
    item: CheckConstraint | UniqueConstraint | DjangosIndex
    model: type[Model]
    claimed: str
    live: str
    disagree: str
    there: Constraint | Index

    @property
    def columns(self) -> list[Column]:
        """Return the columns of the table that either may name."""
        text = f"{self.claimed} {self.live}"
        columns = self.table.columns
        return [item for item in columns if re.search(rf"\b{re.escape(item.name)}\b", text)]


def demands_of(
    connection: BaseDatabaseWrapper,
    options: Mapping[str, Any],
    rendered: Callable[[], type[Model]],
    table: Relation,
) -> Iterator[Demand]:
    """Yield what the options of a model demand of its table, beside what bears the same name there.

    Left out are classes that are not Django's own, what some other constraint or index of the
    table may stand for, and what Django can no longer write, as after a field was renamed.
    `rendered` returns the class of the model; it takes long, and is called only where needed.
    """
    items = (*options["constraints"], *options["indexes"])
    claimed = {as_stored(item.name) for item in items}
    for item in items:
        if not type(item).__module__.startswith("django."):
            continue
        found = []
        # A field or an expression of the project may raise anything.
        with suppress(Exception):
            found = [
                Demand(
                    table=table,
                    item=item,
                    model=rendered(),
                    claimed=_written(connection, rendered(), part),
                    live=live,
                    disagree=disagree,
                    there=there,
                )
                for there, part, live, disagree in _parts(item, table, claimed)
            ]
        yield from found


Part = tuple[Constraint | Index, Any, str, str]


def _parts(item: Any, table: Relation, claimed: set[str]) -> Iterator[Part]:
    """Yield what is live, each condition or list of expressions, its live text, how to compare."""
    name = as_stored(item.name)
    if isinstance(item, CheckConstraint):
        for check in table.constraints:
            if check.name == name and check.condition and _alone(check, table, claimed):
                yield check, item.condition, check.condition, CHECK
    elif isinstance(item, UniqueConstraint | DjangosIndex):
        for index in table.indexes:
            if index.name == name and index.partial and _alone(index, table, claimed):
                yield from _parts_of_index(item, index)


def _parts_of_index(item: Any, index: Index) -> Iterator[Part]:
    if item.condition is not None and index.predicate:
        yield index, item.condition, index.predicate, PREDICATE
    keys = [_without_order(each) for each in item.expressions]
    if index.expressions and [isinstance(key, F) for key in keys] == list(map(bool, index.columns)):
        expressions = [key for key in keys if not isinstance(key, F)]
        yield index, expressions, index.expressions, EXPRESSIONS


def _alone(item: Constraint | Index, table: Relation, claimed: set[str]) -> bool:
    """Return whether no unclaimed one of the same kind and columns may stand for it."""
    kind = _kind(item)
    others = table.constraints if isinstance(item, Constraint) else table.indexes
    return all(
        other.name == item.name or other.name in claimed or _kind(other) != kind for other in others
    )


def _kind(item: Constraint | Index) -> tuple[Any, ...]:
    columns = sorted(item.columns)
    if isinstance(item, Constraint):
        return item.kind, columns
    return item.unique, item.predicate is None, item.expressions is None, columns


def _without_order(expression: Any) -> Any:
    while isinstance(expression, OrderBy | OpClass | Collate):
        expression = expression.get_source_expressions()[0]
    return expression


def _written(connection: BaseDatabaseWrapper, model: type[Model], part: Any) -> str:
    """Return a condition, or expressions with commas between them, as Django writes them."""
    query: Any = Query(model=model, alias_cols=False)
    compiler = query.get_compiler(connection=connection)
    if isinstance(part, list):
        resolved = [each.resolve_expression(query, allow_joins=False) for each in part]
        written = [compiler.compile(each) for each in resolved]
    else:
        written = [query.build_where(part).as_sql(compiler, connection)]
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        return ", ".join(text % tuple(map(editor.quote_value, params)) for text, params in written)


def condition_drift(connection: BaseDatabaseWrapper, demands: Iterable[Demand]) -> Iterator[Drift]:
    """Yield each demand that the live database makes otherwise; all are asked in one query."""
    questions = [
        (demand, question)
        for demand in demands
        if _bare(demand.claimed) != _bare(demand.live)
        and (question := _question(demand)) is not None
    ]
    for demand, values in _answers(connection, questions):
        yield _drift(demand, values)


def _bare(text: str) -> str:
    """Return the text without what both sides write in ways of their own in the simplest cases."""
    return text.replace('"', "").strip("()")


def _question(demand: Demand) -> Composable | None:
    """Return the query for the values of a row about which the two disagree."""
    columns = demand.columns
    tried = [_tried(column, demand) for column in columns]
    if not all(tried) or not tried:
        return None
    while prod(map(len, tried)) > MOST_ROWS:
        max(tried, key=len).pop()
    sources = [
        sql.SQL("(VALUES {}) AS {} ({})").format(
            sql.SQL(", ").join(sql.SQL("({})").format(value) for value in values),
            sql.Identifier(f"values of {column.name}"),
            sql.Identifier(column.name),
        )
        for column, values in zip(columns, tried, strict=True)
    ]
    return sql.SQL("SELECT {}::pg_catalog.text[] FROM {} WHERE {} LIMIT 1").format(
        sql.SQL("ARRAY[{}]").format(
            sql.SQL(", ").join(
                sql.SQL("{}::pg_catalog.text").format(sql.Identifier(column.name))
                for column in columns
            )
        ),
        sql.SQL(" CROSS JOIN ").join(sources),
        sql.SQL(demand.disagree.format(claimed=demand.claimed, live=demand.live)),
    )


def _tried(column: Column, demand: Demand) -> list[Composable]:
    """Return the values of a column, the most telling first; NULL only where there may be one."""
    values: list[str | None] = [] if column.not_null else [None]
    values += samples(column.type, f"{demand.claimed} {demand.live}")
    collate = (
        sql.SQL(" COLLATE {}").format(sql.Identifier(column.collation))
        if column.collation
        else sql.SQL("")
    )
    cast = sql.SQL("CAST({} AS {}){}")
    return [
        cast.format(sql.Literal(value), sql.SQL(in_full(column.type)), collate) for value in values
    ]


def _answers(
    connection: BaseDatabaseWrapper, questions: list[tuple[Demand, Composable]]
) -> Iterator[tuple[Demand, list[str | None]]]:
    """Yield the demands for which there is a row, with its values.

    Where the server refuses, as what raises for some value, the halves are asked by themselves: in
    the end that one is left out.
    """
    if not questions:
        return
    parts = [
        sql.SQL("SELECT {}, ({})").format(sql.Literal(number), question)
        for number, (_, question) in enumerate(questions)
    ]
    try:
        with transaction_as_project(connection, SNAPSHOT) as cursor:
            cursor.execute(TIMEOUT)
            cursor.execute(sql.SQL(" UNION ALL ").join(parts))
            rows = cursor.fetchall()
    except Error:
        half = len(questions) // 2
        if half:
            yield from _answers(connection, questions[:half])
            yield from _answers(connection, questions[half:])
        return
    yield from ((questions[number][0], values) for number, values in rows if values is not None)


def _drift(demand: Demand, values: list[str | None]) -> Drift:
    columns = [column.name for column in demand.columns]
    row = " AND ".join(
        f"{column} IS NULL" if value is None else f"{column} = {value!r}"
        for column, value in zip(columns, values, strict=True)
    )
    item = demand.item
    drift = Drift(
        id="drift-index",
        table=demand.table.label,
        column=columns[0] if len(columns) == 1 else None,
        name=as_stored(item.name),
        claimed=f"{item.name}: {demand.claimed}",
        live=f"{demand.live}, which differs where {row}",
        there=demand.there,
    )
    if isinstance(item, CheckConstraint):
        return replace(drift, id="drift-check", claimed=f"the check {drift.claimed}")
    if isinstance(item, UniqueConstraint):
        return replace(drift, id="drift-unique", claimed=f"the unique constraint {drift.claimed}")
    return replace(drift, claimed=f"the index {drift.claimed}")
