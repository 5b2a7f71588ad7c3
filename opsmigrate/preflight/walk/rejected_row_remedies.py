"""What to decide about rows that the plan refuses, and each way as steps that keep what was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.found import (
    LIMITS,
    TIMEOUT,
    as_typed,
    names_of_rows,
    rows_of,
)
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.simulated_table import SimulatedTable, live_value
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.schema.kept import keeping, keeps_whole_rows, pointing
from opsmigrate.schema.types import in_full
from opsmigrate.steps import Step

ABOUT_ROWS = {
    "null-values": "give these rows a value, or let an earlier migration do it",
    "check-violated": "correct these rows",
    "orphan-rows": "make these rows point to an existing row or to NULL, or delete them",
    "duplicate-values": "give each row a value of its own",
    "value-not-castable": "correct these values, or choose a wider type",
    "value-cut-off": "shorten these values on purpose, or choose a longer type",
    "rows-exclude-each-other": "change or delete one row of each pair",
    "index-row-too-big": "shorten these values, or index a digest of them",
}
# A partition has a ctid of its own.
ROW = [sql.SQL("tableoid"), sql.SQL("ctid")]
DECIDE = (
    ". Only who knows the rows can say what is right. Where it does not matter, type one of the "
    "ways below: they keep the rows as they were in another table"
)
SHOWN_ONLY = ". Only who knows the rows can say what is right"


@dataclass(frozen=True, kw_only=True)
class BadOnes:
    """Which rows of a table must change: `rest` is FROM … on of a query for their `keys`.

    They are bad by their `column`, where it is one. `named` says in words which they are. NULL in
    one of the columns `emptied` is a way out; texts of a column may be `cut` to so many characters.
    `if_null` is a check on the one column.
    """

    table: SimulatedTable
    keys: tuple[Composable, ...]
    rest: Composable
    named: str = "these rows"
    emptied: tuple[str, ...] = ()
    cut: tuple[str, int] | None = None
    column: str | None = None
    if_null: Composable | None = None

    @property
    def condition(self) -> Composable:
        """Return what is true of these rows of the live table, and of no other."""
        live = [sql.Identifier(key) for key in self.table.keys] or ROW
        return sql.SQL("({}) IN (SELECT {} {})").format(
            sql.SQL(", ").join(live), sql.SQL(", ").join(self.keys), self.rest
        )


def all_but_first(
    table: SimulatedTable,
    columns: tuple[str, ...],
    same: Composable,
    condition: Composable,
    emptied: tuple[str, ...] = (),
) -> BadOnes:
    """Return the rows that have the `same` as another one that comes before them."""
    keys = names_of_rows(table, columns)
    rest = sql.SQL(
        "FROM (SELECT {}, row_number() OVER (PARTITION BY {} ORDER BY {}) AS number"
        " FROM {} AS found WHERE {}) AS same WHERE number OPERATOR(pg_catalog.>) 1"
    ).format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(key, sql.Identifier(f"key {number}"))
            for number, key in enumerate(keys)
        ),
        same,
        sql.SQL(", ").join(keys),
        rows_of(table, columns),
        condition,
    )
    return BadOnes(
        table=table,
        keys=tuple(sql.Identifier(f"key {number}") for number, _ in enumerate(keys)),
        rest=rest,
        named="all rows but the first of each",
        emptied=emptied,
    )


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """The live database, for what can be done about rows."""

    connection: BaseDatabaseWrapper
    catalog: Catalog
    schema: Simulation
    # The names of tables that steps make: each is given once.
    given: set[str] = field(default_factory=set)

    def about(self, id: str, bad: BadOnes | None) -> tuple[str, tuple[Step, ...]]:
        """Return what to decide, in words, and each way as steps."""
        hint = ABOUT_ROWS[id]
        relation = live_relation(self.catalog, bad.table.origin) if bad else None
        if bad is None or relation is None:
            return hint, ()
        table = bad.table.live
        if id == "null-values" and bad.column:
            column = bad.table.live_column(bad.column)
            hint += f": UPDATE {table} SET {column} = … WHERE {column} IS NULL"  # noqa: S608
        if not self._may_keep(relation):
            return hint + SHOWN_ONLY, ()
        condition = self._as_typed(bad.condition)
        ways: list[tuple[str, str]] = [
            *_cut(bad, relation, table),
            *(_emptied(bad, relation, table) if self._takes_null(bad) else ()),
        ]
        others = self._pointing(relation, bad)
        if not keeps_whole_rows(self.connection, relation):
            hint += ". Tables inherit from it, and their own columns would not be kept, so none "
            hint += "is deleted"
        elif others:
            hint += f". Rows of {', '.join(others)} point to some of them, so none is deleted"
        elif others is not None:
            ways.append((f"DELETE FROM {table}", f"loses {bad.named}"))  # noqa: S608
        if not ways:
            return hint + SHOWN_ONLY, ()
        name = self.schema.free_name(
            relation.schema, relation.name, ending="_kept", given=self.given
        )
        self.given.add(name)
        kept = quoted(relation.schema, name)
        steps = [
            keeping(change, table=table, rows=condition, kept=kept, risk=risk, alternative=number)
            for number, (change, risk) in enumerate(ways, start=1)
        ]
        return hint + DECIDE, tuple(step for way in steps for step in way)

    def _may_keep(self, relation: Relation) -> bool:
        """Return whether the role may change the rows, and make a table beside them."""
        return relation.owned and relation.schema in self.catalog.creatable

    def _as_typed(self, words: Composable) -> str:
        with self.connection.cursor() as cursor:
            return as_typed(words.as_string(cursor.cursor))

    def _takes_null(self, bad: BadOnes) -> bool:
        if bad.if_null is None or not bad.emptied:
            return True
        column = bad.emptied[0]
        query = sql.SQL("SELECT coalesce({}, true) FROM (SELECT NULL::{} AS {}) AS found").format(
            bad.if_null, sql.SQL(in_full(bad.table.types[column])), sql.Identifier(column)
        )
        try:
            with transaction_as_project(self.connection, "READ ONLY") as cursor:
                cursor.execute(query)
                return bool(cursor.fetchone()[0])
        except Error:
            return False

    def _pointing(self, relation: Relation, bad: BadOnes) -> list[str] | None:
        """Return the tables of which rows point to these; None where it cannot be known."""
        try:
            with transaction_as_project(self.connection, "READ ONLY") as cursor:
                cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
                return pointing(cursor, self.catalog.relations, relation, bad.condition)
        except Error:
            return None


def _live(bad: BadOnes, relation: Relation, column: str) -> str | None:
    """Return the live name of a column that may be written; None where the plan alters it."""
    name = bad.table.origins.get(column)
    if name is None or bad.table.values.get(column) != live_value(name):
        return None
    there = next((item for item in relation.columns if item.name == name), None)
    return name if there and not there.generated else None


def _emptied(bad: BadOnes, relation: Relation, table: str) -> Iterable[tuple[str, str]]:
    """Yield the way of a NULL, in the first column that takes one now and during the plan."""
    required = {item.name for item in relation.columns if item.not_null}
    for column in bad.emptied:
        name = _live(bad, relation, column)
        if name and name not in required and column not in bad.table.not_null:
            yield (
                f"UPDATE {table} SET {quoted(name)} = NULL",  # noqa: S608
                f"loses {quoted(name)} of {bad.named}",
            )
            return


def _cut(bad: BadOnes, relation: Relation, table: str) -> Iterable[tuple[str, str]]:
    if bad.cut:
        column, length = bad.cut
        name = _live(bad, relation, column)
        if name:
            yield (
                f"UPDATE {table} SET {quoted(name)} = left({quoted(name)}, {length})",  # noqa: S608
                f"loses what is behind the first {length} characters of {quoted(name)}",
            )
