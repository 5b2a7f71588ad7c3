"""Sessions: who and where we are, second connections, time-outs, poolers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from opsmigrate.errors import UndecidedError
from opsmigrate.postgres.opening import own
from opsmigrate.report import Database

KNOWS_TRANSACTION_TIMEOUT = 170_000
_this_thread = threading.local()


@dataclass(frozen=True, kw_only=True)
class Session:
    """What the server says of this session; `version` as in server_version_num.

    `host` and `port` are what libpq connected to, whether the settings named it, a service or
    PGHOST. For a Unix socket the host is its folder.
    """

    database: str
    oid: int
    version: int
    version_text: str
    system_identifier: int
    user: str
    in_recovery: bool
    read_only: bool
    host: str | None = None
    port: int | None = None

    @property
    def major(self) -> int:
        """The server's major version, 14 to 18 and on."""
        return self.version // 10_000


def read_session(connection: BaseDatabaseWrapper) -> Session:
    """Return what the server says of the session of `connection`, in one query.

    Raises django.db.OperationalError where the server cannot be reached.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), d.oid, current_setting('server_version_num')::int,"
            " current_setting('server_version'),"
            " (SELECT system_identifier FROM pg_control_system()),"
            " current_user, pg_is_in_recovery(),"
            " current_setting('transaction_read_only')::bool"
            " FROM pg_database d WHERE d.datname = current_database()"
        )
        row = cursor.fetchone()
    info = connection.connection.info
    return Session(
        database=row[0],
        oid=row[1],
        version=row[2],
        version_text=row[3],
        system_identifier=row[4],
        user=row[5],
        in_recovery=row[6],
        read_only=row[7],
        host=info.host or None,
        port=int(info.port) if info.port else None,
    )


def describe(connection: BaseDatabaseWrapper, session: Session | None) -> Database:
    """Return the report's words for the database: what the session says, else the settings."""
    if session is not None:
        return Database(
            alias=connection.alias,
            name=session.database,
            host=session.host,
            port=session.port,
            server_version=session.version_text,
            system_identifier=str(session.system_identifier),
            oid=session.oid,
        )
    params = connection.get_connection_params()
    port = str(params.get("port") or "")
    return Database(
        alias=connection.alias,
        name=str(connection.settings_dict["NAME"] or ""),
        host=params.get("host") or None,
        port=int(port) if port.isdigit() else None,
    )


@contextmanager
def second_connection(
    connection: BaseDatabaseWrapper, *, database: str | None = None
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection of its own with the same settings, to `database` or the same one.

    Autocommit whatever the alias says, and closed at the end. Raises UndecidedError where the
    project's database engine leads to another database than `database`.
    """
    other = open_second(connection, database=database)
    try:
        if database is not None:
            _require_database(other, database)
        yield other
    finally:
        other.close()


def open_second(
    connection: BaseDatabaseWrapper, *, database: str | None = None
) -> BaseDatabaseWrapper:
    """Return a connection as second_connection yields it; the caller closes it."""
    # Engines keep their pools by alias: with the original's, a copy would get a session of the
    # original's database (django_db_geventpool.backends.base.DatabaseWrapperMixin.pool).
    alias = None if database is None else f"{connection.alias} {token_hex(4)}"
    other: BaseDatabaseWrapper = connection.copy(alias)
    other.settings_dict["AUTOCOMMIT"] = True
    other.settings_dict["CONN_MAX_AGE"] = 0
    # Django's own pools too (django.db.backends.postgresql.base.DatabaseWrapper.pool).
    other.settings_dict["OPTIONS"].pop("pool", None)
    if database is not None:
        other.settings_dict["NAME"] = database
        _known_while_it_connects(other)
    _close_for_good(other)
    own(other, kept=False)
    return other


@contextmanager
def session_without_receivers(connection: BaseDatabaseWrapper, database: str) -> Iterator[Any]:
    """Yield the driver's own connection to `database`, pinned, of which nobody else learns.

    Receivers of connection_created are code of the project, which may need the project's names.
    """
    other = open_second(connection, database=database)
    try:
        with other.wrap_database_errors:
            session = other.get_new_connection(other.get_connection_params())
            try:
                yield session
            finally:
                session.close()
    finally:
        other.close()


def _known_while_it_connects(connection: BaseDatabaseWrapper) -> None:
    """Let receivers of connection_created, django.contrib.postgres say, ask for it by its alias."""
    connect = connection.connect

    def connecting() -> None:
        connections[connection.alias] = connection
        try:
            connect()
        finally:
            del connections[connection.alias]

    connection.connect = connecting  # type: ignore[method-assign]


def _close_for_good(connection: BaseDatabaseWrapper) -> None:
    """Let close() end the session too, with what it holds, where an engine would keep it."""
    close = connection.close

    def closing() -> None:
        session = connection.connection
        close()
        if session is not None and not session.closed:
            session.close()

    connection.close = closing  # type: ignore[method-assign]


def _require_database(connection: BaseDatabaseWrapper, database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        reached = cursor.fetchone()[0]
    if reached != database:
        raise UndecidedError(
            f"the database engine of this alias leads to {reached} instead of {database}",
            id="engine-leads-elsewhere",
            hint="use an alias whose ENGINE is django.db.backends.postgresql",
        )


def set_for_session(connection: BaseDatabaseWrapper, **settings: str) -> None:
    """SET each of `settings`, for instance lock_timeout='100ms', until the session ends."""
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])


def no_time_limits(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the settings that lift what a role may have set for the application's statements."""
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    connection.ensure_connection()
    if connection.connection.info.server_version >= KNOWS_TRANSACTION_TIMEOUT:
        names.append("transaction_timeout")
    return dict.fromkeys(names, "0")


@dataclass(frozen=True, kw_only=True)
class StatementLimit:
    """The statement_timeout that a new session of the role has; names as one types them in SQL."""

    milliseconds: int
    role: str
    database: str


def statement_limit(connection: BaseDatabaseWrapper) -> StatementLimit | None:
    """Return the statement_timeout of a new session of this role, None where it has none."""
    with second_connection(connection) as other, other.cursor() as cursor:
        # The question itself may take longer than is allowed.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            "SELECT reset_val::int, quote_ident(current_user), quote_ident(current_database())"
            " FROM pg_settings WHERE name = 'statement_timeout'"
        )
        milliseconds, role, database = cursor.fetchone()
    if not milliseconds:
        return None
    return StatementLimit(milliseconds=milliseconds, role=role, database=database)


def backend_pid(connection: BaseDatabaseWrapper) -> int:
    """Return the process id of the server process that answers now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def is_pooled_by_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a pooler hands our server session to others between two transactions.

    Behind a pooler libpq's own process id (from the start-up packet) is not the server's.
    Whether it pools by transaction is seen by holding a transaction on a second connection:
    by session, neither connection's server process can be the other's, nor change.
    """
    connection.ensure_connection()
    first = backend_pid(connection)
    if connection.connection.info.backend_pid == first:
        return False
    with second_connection(connection) as other:
        other.set_autocommit(False)
        held = backend_pid(other)
        return held == first or backend_pid(connection) != first


@contextmanager
def read_only_thread() -> Iterator[None]:
    """Let no PostgreSQL session that this thread opens write, whatever its alias.

    Also one that is opened anew after it was lost: the setting is made whenever one is opened.
    """
    connection_created.connect(_make_read_only, dispatch_uid="opsmigrate read-only thread")
    _this_thread.read_only = True
    try:
        yield
    finally:
        _this_thread.read_only = False


def _make_read_only(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if getattr(_this_thread, "read_only", False) and connection.vendor == "postgresql":
        set_for_session(connection, default_transaction_read_only="on")


def transactions_under_way(connection: BaseDatabaseWrapper, *, patience: float = 10.0) -> bool:
    """Wait until the transactions of this database that run now have ended; say if some have not.

    As CREATE INDEX CONCURRENTLY does: by their virtual transaction ids, which every role may see
    (PostgreSQL docs, 54.12 pg_locks). `patience` is in seconds.
    """
    query = (
        "SELECT l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'virtualxid' AND l.granted AND a.pid <> pg_backend_pid()"
        " AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    deadline = time.monotonic() + patience
    with connection.cursor() as cursor:
        cursor.execute(query)
        running = {row[0] for row in cursor.fetchall()}
        while running and time.monotonic() < deadline:
            time.sleep(0.02)
            cursor.execute(query)
            running &= {row[0] for row in cursor.fetchall()}
    return bool(running)
