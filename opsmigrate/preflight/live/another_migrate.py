"""Whether another `migrate` is under way: what it has not committed, nobody else can see."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import literal
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.report import Severity
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.steps import Step, statement

# Who has written a row holds ROW EXCLUSIVE until the end of the transaction; who reads, or makes a
# backup, holds less.
WRITERS = """
SELECT DISTINCT ON (l.virtualtransaction) l.pid, a.usename::text, a.application_name, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, p.gid
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
    AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_prepared_xacts p ON p.transaction::text = x.transactionid::text
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                   'AccessExclusiveLock')
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation = %s
"""


def find_another_migrate(connection: BaseDatabaseWrapper, catalog: Catalog, ledger: Ledger) -> None:
    """Report who is writing to the history, and mark the plan after that as undecided."""
    table = next(
        (item for item in catalog.relations if item.name == HISTORY and item.visible), None
    )
    if table is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(WRITERS, [table.oid])
        writers = cursor.fetchall()
    for pid, role, application, state, seconds, gid in writers:
        who = f"the prepared transaction {gid}" if pid is None else f"process {pid}"
        about = ", ".join(filter(None, (role and f"role {role}", application, state)))
        age = "" if seconds is None else f", for {seconds:,.0f} s"
        words = f"{who}{f' ({about})' if about else ''}{age}"
        ledger.find(
            "migrate-under-way",
            f"another migrate is running: {words} has written to {table.label} without committing",
            hint="wait until it has ended, and run this again; end it only if it is stuck",
            steps=_ending(pid, gid),
            table=table.label,
            severity=Severity.WARNING,
            evidence={
                "pid": pid,
                "prepared_transaction": gid,
                "role": role,
                "application": application or None,
                "state": state,
                "seconds": None if seconds is None else round(seconds, 1),
            },
        )
        ledger.mark_undecided(f"what remains of the plan after {who}, another migrate, has ended")


def _ending(pid: int | None, gid: str | None) -> tuple[Step, ...]:
    risk = "loses what it has not committed"
    if pid is not None:
        return (statement(f"SELECT pg_terminate_backend({pid})", risk=risk),)
    return (statement(f"ROLLBACK PREPARED {literal(gid or '')}", risk=risk),)
