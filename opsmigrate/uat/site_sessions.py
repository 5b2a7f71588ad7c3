"""The database sessions of a site that a run serves: they read, and a login is all they write."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any
from weakref import WeakSet

from django.conf import settings as django_settings
from django.db import Error, NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from opsmigrate.postgres.cancellation import cancel
from opsmigrate.postgres.driver_errors import (
    ACTIVE_SQL_TRANSACTION,
    READ_ONLY_TRANSACTION,
    sqlstate,
)
from opsmigrate.postgres.opening import pin_of
from opsmigrate.uat.timed import SECONDS_FOR_AN_ANSWER

REFUSED = (READ_ONLY_TRANSACTION, ACTIVE_SQL_TRANSACTION)
_this_thread = threading.local()


class PooledError(NotSupportedError):
    """A session of the site is behind a pooler, and may be other people's too."""


class SiteSessions:
    """The sessions that the project's own code opens while its site is served."""

    def __init__(self) -> None:
        self._opened: WeakSet[BaseDatabaseWrapper] = WeakSet()
        self._login_table = _session_table()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no session that the project opens in the block write; end what runs at its end."""
        connection_created.connect(self._hold)
        try:
            yield
        finally:
            connection_created.disconnect(self._hold)
            for session in list(self._opened):
                cancel(session)

    @contextmanager
    def writing(self, allowed: bool) -> Iterator[None]:
        """Let the sessions that this thread opens in the block write, where it is `allowed`."""
        _this_thread.writes = allowed
        try:
            yield
        finally:
            _this_thread.writes = False

    def _hold(self, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        # Those of opsmigrate have rules of their own (runner.py).
        if connection.vendor != "postgresql" or pin_of(connection) is not None:
            return
        raw = connection.connection
        if _execute(connection, "SELECT pg_catalog.pg_backend_pid()") != raw.info.backend_pid:
            # What is set there would be set for other people too.
            raise PooledError(
                f"the alias {connection.alias} is behind a pooler: it cannot be made read-only"
            )
        self._opened.add(connection)
        writes = getattr(_this_thread, "writes", False)
        _set(connection, "default_transaction_read_only", "off" if writes else "on")
        if _shown(connection, "statement_timeout") == "0":
            # Nobody waits for longer, and nothing is left running where this process is killed.
            _set(connection, "statement_timeout", f"{SECONDS_FOR_AN_ANSWER * 1000:.0f}")
        wrappers = connection.execute_wrappers
        if self._login_table and self._save_logins not in wrappers:
            wrappers.append(self._save_logins)

    def _save_logins(
        self, execute: Callable[..., Any], statement: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Let a statement write where it is the table of the logins that it writes to."""
        connection = context["connection"]
        table = re.escape(connection.ops.quote_name(self._login_table))
        if not re.match(rf"\s*(?:INSERT INTO|UPDATE|DELETE FROM) {table}\s", str(statement)):
            return execute(statement, params, many, context)
        if connection.in_atomic_block:
            _execute(connection, "SET TRANSACTION READ WRITE")
            return execute(statement, params, many, context)
        before = _shown(connection, "default_transaction_read_only")
        _set(connection, "default_transaction_read_only", "off")
        try:
            return execute(statement, params, many, context)
        finally:
            _set(connection, "default_transaction_read_only", before)


def refused_to_write(error: BaseException | None) -> bool:
    """Return whether an error comes of a session that may not write, or must not be used for it."""
    while error is not None:
        is_refused = isinstance(error, Error) and sqlstate(error) in REFUSED
        if is_refused or isinstance(error, PooledError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _session_table() -> str | None:
    """Return the table in which the project keeps who is logged in, where it is one."""
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    model = getattr(store, "get_model_class", lambda: None)()
    return None if model is None else str(model._meta.db_table)


def _set(connection: BaseDatabaseWrapper, name: str, value: str) -> None:
    _execute(connection, f"SET {name} = {value}")


def _shown(connection: BaseDatabaseWrapper, name: str) -> str:
    return str(_execute(connection, f"SHOW {name}"))


def _execute(connection: BaseDatabaseWrapper, statement: str) -> Any:
    """Execute what resolves no bare name; return the first value of the answer, None without one.

    By the driver's own cursor: the project's wrappers are not to see it.
    """
    with connection.wrap_database_errors, closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
