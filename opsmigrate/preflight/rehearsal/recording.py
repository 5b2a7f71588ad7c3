"""What the rehearsal's `migrate` executed: statements with time, rows, WAL, locks, rewrites."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.opening import IDLE
from opsmigrate.preflight.rehearsal.fence_error import FenceError
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement
from opsmigrate.preflight.rehearsal.sent_text import written
from opsmigrate.preflight.rehearsal.server_watch import Locks, ServerWatch
from opsmigrate.sql.placeholders import statements_if_readable

# Distinct statements kept for each operation; what exceeds them is counted in one entry.
MOST_DISTINCT = 50
# Django gives every savepoint a name of its own.
SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")
# Code may execute a million statements: the WAL position is read so often at the most.
SECONDS_BETWEEN_POSITIONS = 0.05
IN_TRANSACTION = 2  # PQTRANS_INTRANS, in both drivers: no statement of it has failed
# What takes no lock that others feel: rows that come and go, transactions, settings.
NOT_LOCKING = frozenset({
    "close_portal_stmt", "constraints_set_stmt", "copy_stmt", "deallocate_stmt",
    "declare_cursor_stmt", "delete_stmt", "discard_stmt", "explain_stmt", "fetch_stmt",
    "insert_stmt", "listen_stmt", "merge_stmt", "notify_stmt", "select_stmt", "transaction_stmt",
    "unlisten_stmt", "update_stmt", "variable_set_stmt", "variable_show_stmt",
})  # fmt: skip


@dataclass(frozen=True)
class OperationRef:
    """Where in the plan something happened; None outside of any migration or operation."""

    migration: str | None = None
    operation: str | None = None


@dataclass
class _Executions:
    """What was seen of a statement so far; see RehearsedStatement."""

    count: int = 0
    seconds: float = 0.0
    rows: int = 0
    wal_bytes: int = 0
    locks: Locks | None = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)


class Recording:
    """The statements of a rehearsal, in the order in which they first came."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        where: Callable[[str], OperationRef],
        doubt: Callable[[str], None],
    ) -> None:
        """Record what `connection` executes; `where` tells the place of a statement.

        `doubt` hears where the looking itself may have changed what happens.
        """
        self._connection = connection
        self._where = where
        self._doubt = doubt
        self._watch = ServerWatch(connection)
        self._statements: dict[tuple[OperationRef, str], _Executions] = {}
        self._distinct: dict[OperationRef, int] = {}
        self._position = self._watch.position()
        self._read = time.monotonic()
        self._unread: _Executions | None = None
        self.last_sql: str | None = None

    def statements(self) -> list[RehearsedStatement]:
        """Return the statements that the fence let through, with what they took."""
        return [
            RehearsedStatement(
                **vars(place), sql=sql, **{**vars(seen), "rewrites": tuple(seen.rewrites)}
            )
            for (place, sql), seen in self._statements.items()
            if seen.count
        ]

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute one statement for Django (connection.execute_wrapper) and note it."""
        text = written(sql, self._connection.connection)
        self.last_sql = text
        statement = self._statement(self._where(text), _without_name(text))
        locking = _takes_locks(text)
        alone = not self._connection.in_atomic_block
        if self._unread is not None and statement.count == 0 and self._may_ask_between():
            self._look(self._unread, text, locking=False, alone=alone)
        started = time.monotonic()
        try:
            result = execute(sql, params, many, context)
        except FenceError:
            # It has not reached the server.
            statement.count -= 1
            raise
        finally:
            statement.count += 1
            statement.seconds += time.monotonic() - started
        statement.rows += max(context["cursor"].rowcount, 0)
        if locking or time.monotonic() - self._read > SECONDS_BETWEEN_POSITIONS:
            self._look(statement, text, locking=locking, alone=alone)
        else:
            self._unread = statement
        return result

    def _may_ask_between(self) -> bool:
        """Return whether a question between two statements changes nothing.

        The first query of a transaction fixes what SET TRANSACTION may still change; in one that
        failed none is answered.
        """
        status = self._connection.connection.info.transaction_status
        return bool(status == (IN_TRANSACTION if self._connection.in_atomic_block else IDLE))

    def _statement(self, place: OperationRef, sql: str) -> _Executions:
        found = self._statements.get((place, sql))
        if found is None:
            self._distinct[place] = self._distinct.get(place, 0) + 1
            recorded = sql if self._distinct[place] <= MOST_DISTINCT else FURTHER
            found = self._statements.setdefault((place, recorded), _Executions())
        return found

    def _look(self, statement: _Executions, text: str, *, locking: bool, alone: bool) -> None:
        """Read from the server what the statement did."""
        try:
            position = self._watch.position()
            if locking:
                if alone:
                    statement.locks = None
                elif statement.locks is not None:
                    statement.locks.update(self._watch.new_locks())
                rewrites = self._watch.rewritten()
                if not _truncates(text):
                    statement.rewrites += rewrites
        except Exception as error:
            # A failed query has ended the transaction: what fails from here on proves nothing.
            self._doubt(f"what it did could not be determined: {first_line(error)}")
            return
        statement.wal_bytes += max(position - self._position, 0)
        self._position, self._read, self._unread = position, time.monotonic(), None


def _without_name(text: str) -> str:
    """Return a statement on a savepoint of Django's without its name, any other as it is."""
    found = next((each for each in SAVEPOINTS if text.startswith(f'{each}"')), None)
    return text if found is None else f"{found}…"


def _takes_locks(text: str) -> bool:
    """Return whether a text takes locks that others feel; what cannot be read may."""
    statements = statements_if_readable(text)
    return statements is None or any(
        each.kind not in NOT_LOCKING or any(part.kind == "IntoClause" for part in each.parts())
        for each in statements
    )


def _truncates(text: str) -> bool:
    """Return whether all that a text does is TRUNCATE: new files, for which nothing is written."""
    statements = statements_if_readable(text)
    return bool(statements) and all(each.kind == "truncate_stmt" for each in statements or ())
