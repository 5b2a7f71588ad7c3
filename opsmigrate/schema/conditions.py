"""What checks and indexes demand of a row: claimed against live, decided by rows that are tried.

The texts cannot be compared. PostgreSQL keeps a condition in words of its own, and Django's differ
from release to release, as do those for a column whose type was another when the constraint was
made. So both are asked about the same made-up rows. Only where they disagree about one of these is
there a difference, whatever the words; where no such row is found, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

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
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.schema.differences import Drift
from opsmigrate.schema.samples import samples

# NULL is neither: it passes a check, and is not in an index.
CHECK = "(({claimed}) IS FALSE) <> (({live}) IS FALSE)"
PREDICATE = "(({claimed}) IS TRUE) <> (({live}) IS TRUE)"
EXPRESSIONS = "ROW({claimed}) IS DISTINCT FROM ROW({live})"
TIMEOUT = "SET LOCAL statement_timeout = '5s'"
MOST_ROWS = 2000
KINDS = {
    CheckConstraint: ("drift-check", "the check"),
    UniqueConstraint: ("drift-unique", "the unique constraint"),
    DjangosIndex: ("drift-index", "the index"),
}
Live = TypeVar("Live", Constraint, Index)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a constraint or an index demands, or computes; `disagree` compares the two in SQL."""

    table: Relation
    item: CheckConstraint | UniqueConstraint | DjangosIndex
    model: type[Model]
    claimed: str
    live: str
    disagree: str

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
        try:
            parts = list(_parts(item, table, claimed))
            for part, live, disagree in parts:
                yield Demand(
                    table=table,
                    item=item,
                    model=rendered(),
                    claimed=_written(connection, rendered(), part),
                    live=live,
                    disagree=disagree,
                )
        except Exception:  # noqa: S112 - whatever a project's field or expression raises
            continue


def _parts(item: Any, table: Relation, claimed: set[str]) -> Iterator[tuple[Any, str, str]]:
    """Yield each condition or list of expressions, its live text, and how to compare them."""
    there: Constraint | Index | None
    others: Iterable[Constraint | Index]
    if isinstance(item, CheckConstraint):
        checks = [found for found in table.constraints if found.condition]
        there, others = _by_name(item, checks)
        if there and _alone(there, others, claimed):
            yield item.condition, there.condition or "", CHECK
    elif isinstance(item, UniqueConstraint | DjangosIndex):
        there, others = _by_name(item, table.indexes)
        if not there or not _alone(there, others, claimed):
            return
        unique: Any = item
        if unique.condition is not None and there.predicate:
            yield unique.condition, there.predicate, PREDICATE
        inner = [_without_order(each) for each in unique.expressions]
        plain = [isinstance(each, F) for each in inner]
        if there.expressions and plain == [bool(column) for column in there.columns]:
            expressions = [each for each in inner if not isinstance(each, F)]
            yield expressions, there.expressions, EXPRESSIONS


def _by_name(item: Any, live: Iterable[Live]) -> tuple[Live | None, list[Live]]:
    found = {each.name: each for each in live}
    return found.pop(as_stored(item.name), None), list(found.values())


def _alone(
    there: Constraint | Index, others: Iterable[Constraint | Index], claimed: set[str]
) -> bool:
    """Say whether nothing else is on the same columns, but for what bears the name of a claim."""
    columns = sorted(there.columns)
    return all(each.name in claimed or sorted(each.columns) != columns for each in others)


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
        yield _drift(connection, demand, values)


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
    return sql.SQL("SELECT {}::text[] FROM {} WHERE {} LIMIT 1").format(
        sql.SQL("ARRAY[{}]").format(
            sql.SQL(", ").join(
                sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in columns
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
    return [cast.format(sql.Literal(value), sql.SQL(column.type), collate) for value in values]


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
        with transaction(connection, SNAPSHOT) as cursor:
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


def _drift(connection: BaseDatabaseWrapper, demand: Demand, values: list[str | None]) -> Drift:
    columns = [column.name for column in demand.columns]
    row = " AND ".join(
        f"{column} IS NULL" if value is None else f"{column} = {value!r}"
        for column, value in zip(columns, values, strict=True)
    )
    item: Any = demand.item
    id_, what = KINDS[next(kind for kind in KINDS if isinstance(item, kind))]
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        remedy = [item.remove_sql(demand.model, editor), item.create_sql(demand.model, editor)]
    return Drift(
        id=id_,
        table=demand.table.label,
        column=columns[0] if len(columns) == 1 else None,
        name=as_stored(item.name),
        claimed=f"{what} {item.name}: {demand.claimed}",
        live=f"{demand.live}, which is another where {row}",
        remedy="; ".join(map(str, remedy)),
    )
