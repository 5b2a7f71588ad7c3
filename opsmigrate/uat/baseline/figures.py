"""The figures of every model, computed through the historical models of what is applied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations.loader import MigrationLoader
from django.db.models import DecimalField, Field, IntegerField, Model

from opsmigrate.postgres.catalog import Relation, read_catalog
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import transactions_under_way
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.uat.baseline.record import ModelFigures


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """A model as its table is: the columns that are there and what is computed of them."""

    label: str
    table: Relation
    key: str | None
    decimals: tuple[tuple[str, str], ...]
    nullable: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str], ...]


def measured_models(connection: BaseDatabaseWrapper) -> tuple[MeasuredModel, ...]:
    """Return what can be measured: the models that the applied migrations make.

    Today's models would not do: before a migration the database does not have their columns.
    """
    with project_search_path(connection):
        loader = MigrationLoader(connection)
    applied = [node for node in loader.graph.nodes if node in loader.applied_migrations]
    leaves = [node for node in applied if not _is_followed(loader, node, set(applied))]
    models = loader.project_state(leaves).apps.get_models(include_auto_created=True)
    tables = {each.name: each for each in read_catalog(connection).relations if each.visible}
    return tuple(
        _measured(model, tables[model._meta.db_table])
        for model in sorted(models, key=lambda model: model._meta.label)
        if model._meta.managed and not model._meta.proxy and model._meta.db_table in tables
    )


def measure(
    connection: BaseDatabaseWrapper, models: Iterable[MeasuredModel], marks: Mapping[str, int]
) -> dict[str, ModelFigures]:
    """Return the figures of the models, all as of one instant.

    Of the models in `marks` only the rows up to that key count. A table that may not be read has
    the one figure `readable`.
    """
    found = {}
    with transaction(connection, SNAPSHOT) as cursor:
        for model in models:
            cursor.execute("SAVEPOINT model")
            try:
                found[model.label] = _measure(cursor, model, marks.get(model.label))
            except Error as error:
                cursor.execute("ROLLBACK TO SAVEPOINT model")
                figures = {"readable": f"no: {first_line(error)}"}
                found[model.label] = ModelFigures(figures=figures)
    return found


def stable_marks(
    connection: BaseDatabaseWrapper, models: Iterable[MeasuredModel]
) -> tuple[dict[str, int], bool]:
    """Return the highest key of each model, and whether all rows up to it are there to be seen.

    A transaction under way may hold a lower key that nobody sees yet, so this waits, for some
    seconds, until those that ran when the keys were read have ended.
    """
    marks = {}
    for model in models:
        if model.key is not None:
            query = sql.SQL("SELECT max({}) FROM {}").format(
                sql.Identifier(model.key), _name(model.table)
            )
            with connection.cursor() as cursor:
                cursor.execute(query)
                marks[model.label] = int(cursor.fetchone()[0] or 0)
    return marks, not transactions_under_way(connection)


def _is_followed(loader: MigrationLoader, node: Any, applied: set[Any]) -> bool:
    children = (child.key for child in loader.graph.node_map[node].children)
    return any(child in applied and child[0] == node[0] for child in children)


def _measured(model: type[Model], table: Relation) -> MeasuredModel:
    there = {column.name for column in table.columns}
    fields = [field for field in model._meta.local_concrete_fields if field.column in there]
    key = model._meta.pk
    counted = isinstance(key, IntegerField) and key.column in there
    return MeasuredModel(
        label=model._meta.label,
        table=table,
        key=key.column if counted and key else None,
        decimals=_names(field for field in fields if isinstance(field, DecimalField)),
        nullable=_names(field for field in fields if field.null),
        choices=_names(field for field in fields if field.choices),
    )


def _names(fields: Iterable["Field[Any, Any]"]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, str(field.column)) for field in fields)


def _name(table: Relation) -> Composable:
    return sql.Identifier(table.schema, table.name)


def _measure(cursor: Any, model: MeasuredModel, mark: int | None) -> ModelFigures:
    """Ask for everything in one pass over the table."""
    groups = [sql.SQL("()"), *(sql.SQL("({})").format(_column(each)) for each in model.choices)]
    select = [
        *(sql.SQL("grouping({}) = 0").format(_column(each)) for each in model.choices),
        *(sql.SQL("{}::text").format(_column(each)) for each in model.choices),
        sql.SQL("count(*)"),
        sql.SQL("max({})").format(sql.Identifier(model.key)) if model.key else sql.SQL("NULL"),
        *(sql.SQL("coalesce(sum({}), 0)::text").format(_column(each)) for each in model.decimals),
        *(_fingerprint(model, each) for each in model.decimals),
        *(sql.SQL("count(*) - count({})").format(_column(each)) for each in model.nullable),
    ]
    query = sql.SQL("SELECT {} FROM {} {} {}").format(
        sql.SQL(", ").join(select),
        _name(model.table),
        sql.SQL("WHERE {} <= {}").format(sql.Identifier(str(model.key)), sql.Literal(mark))
        if mark is not None
        else sql.SQL(""),
        sql.SQL("GROUP BY GROUPING SETS ({})").format(sql.SQL(", ").join(groups))
        if model.choices
        else sql.SQL(""),
    )
    cursor.execute(query)
    figures: dict[str, str] = {}
    highest = None
    for row in cursor.fetchall():
        group = _group(model, row)
        figures.update(_figures(model, row, group))
        highest = highest if group else row[2 * len(model.choices) + 1]
    return ModelFigures(figures=figures, mark=int(highest) if highest is not None else None)


def _column(named: tuple[str, str]) -> Composable:
    return sql.Identifier(named[1])


def _fingerprint(model: MeasuredModel, named: tuple[str, str]) -> Composable:
    """Distinguish rows with the same sum: two amounts that were exchanged."""
    if model.key is None:
        return sql.SQL("NULL")
    return sql.SQL("sum(hashtextextended({}::text || ' ' || {}::text, 0))::text").format(
        sql.Identifier(model.key), _column(named)
    )


def _group(model: MeasuredModel, row: tuple[Any, ...]) -> str:
    number = len(model.choices)
    for position, (name, _) in enumerate(model.choices):
        if row[position]:
            value = row[number + position]
            return f"[{name}={'NULL' if value is None else value}]"
    return ""


def _figures(model: MeasuredModel, row: tuple[Any, ...], group: str) -> Iterator[tuple[str, str]]:
    values = iter(row[2 * len(model.choices) :])
    yield f"count{group}", str(next(values))
    next(values)
    for name, _ in model.decimals:
        yield f"sum({name}){group}", str(next(values))
    for name, _ in model.decimals:
        fingerprint = next(values)
        if not group and model.key is not None:
            yield f"fingerprint({name})", str(fingerprint)
    for name, _ in model.nullable:
        nulls = next(values)
        if not group:
            yield f"nulls({name})", str(nulls)
