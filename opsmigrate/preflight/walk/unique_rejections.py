"""Whether new rows would have values that a unique index of their table allows once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Index
from opsmigrate.postgres.operators import equality
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import base, in_full


def unique_rejections(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    later: type,
) -> Iterator[Rejection]:
    """Yield the unique indexes that a row does not suit, or of which that is not known.

    A value of the kind `later` equals no value of the rows that are there.
    """
    for index in table.indexes.values():
        if not index.unique or set(index.columns) & _fresh(table, columns):
            continue
        others = set(index.columns) - set(columns)
        if index.partial or others & table.defaults or (others and not index.nulls_distinct):
            yield Rejection(f"whether new rows of {table.label} suit {index.name}", certain=False)
        elif not others:
            yield from _of(connection, table, index, columns, rows, later)


def _fresh(table: SimulatedTable, columns: Sequence[str]) -> set[str]:
    """Return the key columns to which the database gives a value of their own each time."""
    return set(table.keys) - set(columns)


def _of(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    index: Index,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    later: type,
) -> Iterator[Rejection]:
    places = [columns.index(column) for column in index.columns]
    keys = [tuple(row[place] for place in places) for row in rows]
    known = [key for key in keys if not any(isinstance(value, later) for value in key)]
    twice = next((key for key, count in Counter(keys).items() if count > 1), None)
    found = twice or _there(connection, table, index, known)
    if found:
        words = ", ".join(str(value) for value in found if not isinstance(value, later))
        where = "would occur twice" if twice else "already exists"
        yield Rejection(
            f"{index.name} is unique, and {words} {where}",
            hint="look at that row: delete one of the two, or drop the index",
            row=keys.index(found),
            of_rows=not twice,
        )


def uncut(type_: str) -> str:
    """Return the type as SQL in a cast that cuts nothing off: `character` alone holds one."""
    name = base(type_)
    return "pg_catalog.bpchar" if name == "character" else in_full(name)


def _there(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    index: Index,
    keys: Sequence[tuple[Any, ...]],
) -> tuple[Any, ...] | None:
    """Return the first of the keys that a row has."""
    if table.origin is None or not keys or set(index.columns) - set(table.origins):
        return None
    numbers = range(len(index.columns))
    same = sql.SQL(" AND ").join(
        sql.SQL("live.{} {} given.{}::{}").format(
            sql.Identifier(table.origins[column]),
            equality(connection, base(table.types[column])),
            sql.Identifier(f"c{number}"),
            sql.SQL(uncut(table.types[column])),
        )
        for number, column in enumerate(index.columns)
    )
    query = sql.SQL(
        "SELECT pg_catalog.min(given.place) FROM ROWS FROM ({}) WITH ORDINALITY AS given({}, place)"
        " WHERE EXISTS (SELECT FROM {} AS live WHERE {})"
    ).format(
        sql.SQL(", ").join(
            sql.SQL("pg_catalog.unnest({}::pg_catalog.text[])").format(
                sql.Literal([str(key[number]) for key in keys])
            )
            for number in numbers
        ),
        sql.SQL(", ").join(sql.Identifier(f"c{number}") for number in numbers),
        sql.Identifier(*table.origin),
        same,
    )
    with transaction_as_project(connection, "READ ONLY") as cursor:
        cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
        cursor.execute(query)
        place = cursor.fetchone()[0]
    return None if place is None else keys[place - 1]
