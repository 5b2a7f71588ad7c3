"""Where every session of opsmigrate is made: the one place that says what holds in each of them.

Names in it resolve in pg_catalog only. A function of one's own that fits the arguments better than
PostgreSQL's polymorphic one wins wherever its schema stands in the search_path (CVE-2018-1058), and
whoever may create in such a schema would be what we run as. What must see the project's tables and
types by their bare names asks through search_path.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.django_tenants import enter_schema, path_of_engine, sets_path_itself
from opsmigrate.postgres.network_timeouts import with_network_timeouts
from opsmigrate.postgres.tenant import schema_of, search_path_of

# What a session creates for itself comes last: by default, temporary tables come first of all.
PINNED = "pg_catalog, pg_temp"
SET = "SELECT pg_catalog.set_config('search_path', %s, false)"
SET_LOCAL = "SELECT pg_catalog.set_config('search_path', %s, true)"
# A time-out that a role or a database has for the application's statements is not meant for our
# questions, nor for a verdict on others'. The second came with PostgreSQL 17.
TIME_LIMITS = ("statement_timeout", "transaction_timeout")
# In one round trip: expressions of a row are computed from left to right. Behind a pooler libpq's
# own process id is not the server's, and a session's setting would be other people's too.
TAKE = """
SELECT pg_catalog.current_setting('search_path'), pg_catalog.set_config('search_path',
    CASE WHEN {ours} THEN '{pinned}' ELSE pg_catalog.current_setting('search_path') END, false),
"""
TAKE_LIMIT = """pg_catalog.current_setting('{name}', true),
    CASE WHEN {ours} AND pg_catalog.current_setting('{name}', true) IS NOT NULL
    THEN pg_catalog.set_config('{name}', '0', false) END"""
OURS = "pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) '{pid}'"
SET_LIMIT = "SELECT pg_catalog.set_config(%s, %s, false)"
# As both drivers number them (libpq, PQtransactionStatus).
IDLE = 0
# What resolves no name that a schema could hide, or cannot be in a transaction.
BARE = re.compile(
    r"\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|RESET|SHOW|FETCH|VACUUM"
    r"|(?:CREATE|ALTER|DROP)\s+(?:DATABASE|SUBSCRIPTION|SYSTEM|TABLESPACE)|(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY)\b",
    re.IGNORECASE,
)
PATCHED = ("get_connection_params", "get_new_connection", "connect", "close", "_cursor")
_ATTRIBUTE = "opsmigrate_pin"


class Pin:
    """The search_path of one connection: the project's, and whether ours is in force.

    `project` is the project's own, as SHOW says it. `lifted` counts the blocks that have asked for
    it. Behind a pooler (`per_transaction`) nothing is set for longer than a transaction. `limits`
    are the time-outs of the project that are lifted in our session, as SHOW says them.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.project: str | None = None
        self.per_transaction = False
        self.limits: dict[str, str] = {}
        self.lifted = 0
        self.owners = 1
        self._receivers_need_names = False

    @property
    def wanted(self) -> str:
        """Return the search_path that statements are to have now."""
        assert self.project is not None  # noqa: S101 - known since the session was made
        return self.project if self.lifted else PINNED

    def take(self, raw: Any) -> None:
        """Pin the session of the driver's connection `raw`, and remember what it had."""
        found, now, *limits = _in_own_transaction(raw, _take(raw))
        # Behind a pooler the receiver that puts a session into its tenant's schema sets nothing.
        self.project = search_path_of(self.connection) or found
        self.per_transaction = now != PINNED
        self.limits = {} if self.per_transaction else _limits(limits)
        wrappers = self.connection.execute_wrappers
        if self.per_transaction and self._for_one_transaction not in wrappers:
            wrappers.append(self._for_one_transaction)

    def new(self, connection: BaseDatabaseWrapper, params: dict[str, Any]) -> Any:
        """Return a new session, pinned before its first statement."""
        raw = type(connection).get_new_connection(connection, params)
        if not self._receivers_need_names:
            with connection.wrap_database_errors:
                self.take(raw)
        return raw

    def connect(self, connect: Callable[[], None]) -> None:
        """Connect, and pin again what a receiver of connection_created has set of its own."""
        try:
            connect()
        except ProgrammingError:
            # A receiver of the project needs the project's names.
            self.connection.close()
            self._receivers_need_names = True
            connect()
        raw = self.connection.connection
        with self.connection.wrap_database_errors:
            if self._receivers_need_names:
                self.take(raw)
            elif not self.per_transaction:
                before, _, *limits = _in_own_transaction(raw, _take(raw))
                self.project = self.project if before == PINNED else before
                self.limits |= _limits(limits)
            if sets_path_itself(self.connection) and not self.per_transaction:
                self.project = path_of_engine(self.connection)
                _in_own_transaction(raw, SET, [self.wanted])
            elif self.lifted and not self.per_transaction:
                _in_own_transaction(raw, SET, [self.project])

    def cursor(self, name: str | None = None) -> Any:
        """Return a cursor that leaves the search_path as it is, which some engines do not."""
        kind: Any = type(self.connection) if self.lifted else BaseDatabaseWrapper
        return kind._cursor(self.connection, name)

    def put_back(self) -> None:
        """Give the session, where there is one, the project's search_path and time-outs again."""
        raw = self.connection.connection
        if raw is None or self.project is None or self.per_transaction:
            return
        # Lost, or in a transaction that failed, which takes the setting along as it is undone.
        with suppress(Exception):
            _in_own_transaction(raw, SET, [self.project])
            for limit in self.limits.items():
                _in_own_transaction(raw, SET_LIMIT, limit)

    def _for_one_transaction(
        self, execute: Callable[..., Any], statement: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute a statement in a transaction with our search_path, of its own if need be."""
        raw = self.connection.connection
        text = statement.as_string(raw) if hasattr(statement, "as_string") else str(statement)
        if BARE.match(text):
            return execute(statement, params, many, context)
        own = raw.autocommit and raw.info.transaction_status == IDLE
        with self.connection.wrap_database_errors, closing(raw.cursor()) as cursor:
            if own:
                cursor.execute("BEGIN")
            try:
                cursor.execute(SET_LOCAL, [self.wanted])
                result = execute(statement, params, many, context)
            except BaseException:
                if own:
                    with suppress(Exception):
                        cursor.execute("ROLLBACK")
                raise
            if own:
                cursor.execute("COMMIT")
            return result


def _take(raw: Any) -> str:
    ours = OURS.format(pid=int(raw.info.backend_pid))
    limits = (TAKE_LIMIT.format(name=name, ours=ours) for name in TIME_LIMITS)
    return TAKE.format(ours=ours, pinned=PINNED) + ", ".join(limits)


def _limits(values: list[str | None]) -> dict[str, str]:
    """Return the time-outs that were set, from what the query of _take() says of each."""
    return {
        name: value
        for name, value in zip(TIME_LIMITS, values[::2], strict=True)
        if value is not None and value != "0"
    }


def _in_own_transaction(raw: Any, query: str, params: Any = None) -> Any:
    """Return the row of a query that leaves no transaction open where there was none."""
    alone = not raw.autocommit and raw.info.transaction_status == IDLE
    if alone:
        raw.autocommit = True
    try:
        with closing(raw.cursor()) as cursor:
            cursor.execute(query, params)
            return cursor.fetchone()
    finally:
        if alone:
            raw.autocommit = False


def pin_of(connection: BaseDatabaseWrapper) -> Pin | None:
    """Return the pin of a connection of opsmigrate, None where it is the project's."""
    found: Pin | None = vars(connection).get(_ATTRIBUTE)
    return found


def own(connection: BaseDatabaseWrapper, *, kept: bool = True) -> None:
    """Make the session of `connection`, and every later one, ours until `release`.

    It waits no longer than LIMITS (network_timeouts.py) for a network that says nothing, its names
    resolve in pg_catalog only, and no time-out ends its statements. `kept` says that a session may
    outlive close(), in a pool. Raises django.db.Error where a session that is there cannot be
    asked.
    """
    there = pin_of(connection)
    if there is not None:
        there.owners += 1
        return
    pin, connect, close = Pin(connection), connection.connect, connection.close

    def limited() -> dict[str, Any]:
        return with_network_timeouts(type(connection).get_connection_params(connection))

    def closing_it() -> None:
        pin.put_back()
        close()

    patches: dict[str, Any] = {
        _ATTRIBUTE: pin,
        "get_connection_params": limited,
        "get_new_connection": lambda params: pin.new(connection, params),
        "connect": lambda: pin.connect(connect),
    }
    if sets_path_itself(connection):
        patches["_cursor"] = pin.cursor
    vars(connection).update(patches, **({"close": closing_it} if kept else {}))
    connection.close_if_health_check_failed()
    if connection.connection is not None:
        with connection.wrap_database_errors:
            pin.take(connection.connection)


def release(connection: BaseDatabaseWrapper, *, closed: bool = False) -> None:
    """Give `connection` back to the project, with its own search_path, or `closed`.

    Where two have made it theirs (`--rehearse-on` with the alias that is examined, say), the second
    to release it does.
    """
    pin = pin_of(connection)
    if pin is None:
        return
    pin.owners -= 1
    if pin.owners:
        return
    if closed:
        pin.project = None
        connection.close()
    pin.put_back()
    if pin._for_one_transaction in connection.execute_wrappers:
        connection.execute_wrappers.remove(pin._for_one_transaction)
    for name in (_ATTRIBUTE, *PATCHED):
        vars(connection).pop(name, None)


@contextmanager
def owned(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Yield `connection` as one of opsmigrate, and give it back to the project at the end."""
    own(connection)
    try:
        yield connection
    finally:
        release(connection)


def work_in_schema(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Put a new session into its tenant's schema (a receiver of connection_created)."""
    path = search_path_of(connection)
    if path is None:
        return
    enter_schema(connection, schema_of(connection))
    pin = pin_of(connection)
    if pin is None or not pin.per_transaction:
        with connection.wrap_database_errors:
            _in_own_transaction(connection.connection, SET, [path])
