"""How many rows a live table has, as far as it matters: none, one, or more."""

from collections.abc import Callable

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.found import LIMITS
from opsmigrate.preflight.walk.probes import UNANSWERED
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

TIMEOUT = "5s"


def row_counter(
    connection: BaseDatabaseWrapper, ledger: Ledger, *, fresh: bool = False
) -> Callable[[SimulatedTable], int | None]:
    """Return a function that says 0, 1 or 2 (two or more) rows; None where it cannot be known.

    A table that the plan makes is empty, until code runs that may write rows; after such code
    nobody knows of any table. Each live table is asked once. `fresh` says that the plan makes every
    table: what code does with rows that are there is nothing then.
    """
    known: dict[int, int | None] = {}

    def rows(table: SimulatedTable) -> int | None:
        ran = (
            ledger.last_run_that_made_rows
            if fresh and table.made_after is not None
            else ledger.code_runs
        )
        if table.written or ran > (table.made_after or 0):
            return None
        if table.made_after is not None:
            return 0
        if id(table) not in known:
            known[id(table)] = _count(connection, table)
        return known[id(table)]

    return rows


def _count(connection: BaseDatabaseWrapper, table: SimulatedTable) -> int | None:
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 2) AS found").format(
        sql.Identifier(*(table.origin or (table.schema, table.name)))
    )
    try:
        with transaction(connection) as cursor:
            # Row security would hide rows instead of failing; a scan of dead rows may take long.
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
            return int(cursor.fetchone()[0])
    except Error as error:
        if sqlstate(error) in UNANSWERED:
            return None
        raise
