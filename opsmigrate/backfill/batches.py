"""The statements of one batch: a range of blocks, one pass over it, locked rows left out or not."""

from dataclasses import dataclass

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.fill_passes import EVERY_ROW, FillPass
from opsmigrate.backfill.tables import Leaf
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import (
    DEADLOCK_DETECTED,
    LOCK_NOT_AVAILABLE,
    SERIALIZATION_FAILURE,
    sqlstate,
)
from opsmigrate.postgres.search_path import transaction_as_project

# An expression of the project fills the column, and its triggers and checks see the search_path
# that they know: all names in the SQL are written in full.
RANGE = (
    "ctid OPERATOR(pg_catalog.>=) {start}::pg_catalog.tid"
    " AND ctid OPERATOR(pg_catalog.<) {end}::pg_catalog.tid AND {column} IS NULL"
)
SHARE = (
    " AND (pg_catalog.get_byte(pg_catalog.tidsend(ctid), 5) OPERATOR(pg_catalog.%) {slots})"
    " OPERATOR(pg_catalog.<) {below}"
)
# Rows for which there is none would be taken again and again.
HAS_VALUE = " AND ({expression}) IS NOT NULL"
FILL = "UPDATE ONLY {table} SET {column} = {expression} WHERE {rows}"
# NO KEY, as the UPDATE itself locks them: an insert that refers to a row holds no batch up.
FILL_UNLOCKED = """
UPDATE ONLY {table} SET {column} = {expression}
WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(
    SELECT ctid FROM ONLY {table} WHERE {rows} LIMIT {limit} FOR NO KEY UPDATE SKIP LOCKED))
  AND {column} IS NULL
"""
COUNT_LEFT = "SELECT pg_catalog.count(*) FROM ONLY {table} WHERE {rows}"
ANY_LEFT = "SELECT EXISTS (SELECT FROM ONLY {table} WHERE {rows})"


@dataclass(frozen=True)
class Window:
    """Blocks `start` to before `end` of a table; `rows` have no value, where they were counted."""

    leaf: Leaf
    start: int
    end: int
    rows: int = 0

    @property
    def blocks(self) -> int:
        """Return how many blocks they are."""
        return self.end - self.start

    @property
    def rows_per_block(self) -> float:
        """Return how many rows a block holds, at least one."""
        return max(self.leaf.rows_per_block, self.rows / self.blocks)

    def parts(self, blocks: int) -> "tuple[Window, ...]":
        """Return the window in parts of that many blocks at most."""
        starts = range(self.start, self.end, max(blocks, 1))
        return tuple(Window(self.leaf, at, min(at + blocks, self.end)) for at in starts)


def fill_batch(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, window: Window, fill_pass: FillPass
) -> tuple[int, bool]:
    """Fill the rows of a pass over a window, in a transaction of its own.

    Return how many, and whether rows were left because others hold them: after one lock_timeout
    of the session the batch is done again without them.
    """
    names = _names(spec, window, fill_pass)
    try:
        return _execute(connection, sql.SQL(FILL).format(**names)), False
    except OperationalError as error:
        if not is_held_by_others(error):
            raise
    return fill_unlocked(connection, spec, window, fill_pass), True


def fill_unlocked(
    connection: BaseDatabaseWrapper,
    spec: ColumnSpec,
    window: Window,
    fill_pass: FillPass = EVERY_ROW,
    limit: int | None = None,
) -> int:
    """Fill the rows of a window that nobody holds, at most `limit`; return how many."""
    statement = sql.SQL(FILL_UNLOCKED).format(
        **_names(spec, window, fill_pass),
        limit=sql.SQL("ALL") if limit is None else sql.Literal(limit),
    )
    try:
        return _execute(connection, statement)
    except OperationalError as error:
        if not is_held_by_others(error):
            raise
        return 0


def count_left(connection: BaseDatabaseWrapper, spec: ColumnSpec, window: Window) -> int | None:
    """Return how many rows of the window have no value; None where others hold the table."""
    return _look(connection, COUNT_LEFT, spec, window)


def any_left(connection: BaseDatabaseWrapper, spec: ColumnSpec, window: Window) -> bool:
    """Return whether a row of the window has no value, or may have none: others hold the table."""
    return _look(connection, ANY_LEFT, spec, window) != 0


def _look(
    connection: BaseDatabaseWrapper, template: str, spec: ColumnSpec, window: Window
) -> int | None:
    statement = sql.SQL(template).format(**_names(spec, window, EVERY_ROW))
    try:
        with transaction_as_project(connection) as cursor:
            cursor.execute(statement)
            return int(cursor.fetchone()[0])
    except OperationalError as error:
        if not is_held_by_others(error):
            raise
        return None


def _execute(connection: BaseDatabaseWrapper, statement: Composable) -> int:
    with transaction_as_project(connection) as cursor:
        cursor.execute(statement)
        return max(int(cursor.rowcount), 0)


def is_held_by_others(error: OperationalError) -> bool:
    """Return whether a statement failed because other sessions lock the rows or the table."""
    # A row that left its partition while the batch waited for it is a failure of serialization.
    return sqlstate(error) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, SERIALIZATION_FAILURE)


def _names(spec: ColumnSpec, window: Window, fill_pass: FillPass) -> dict[str, Composable]:
    template = RANGE if fill_pass.takes_all else RANGE + SHARE
    if spec.reads_row:
        template += HAS_VALUE
    column = sql.Identifier(spec.column)
    rows = sql.SQL(template).format(
        start=sql.Literal(f"({window.start},0)"),
        end=sql.Literal(f"({window.end},0)"),
        column=column,
        slots=sql.Literal(fill_pass.slots),
        below=sql.Literal(fill_pass.below),
        expression=spec.value,
    )
    return {
        "table": window.leaf.relation,
        "column": column,
        "expression": spec.value,
        "rows": rows,
    }
