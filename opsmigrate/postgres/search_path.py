"""The project's own search_path, for what must see its tables and types by their bare names.

Every session of opsmigrate is pinned to pg_catalog (opening.py). There are three ways to see more:

- `seen_by_project`: our own query about the catalog. Its names resolve in pg_catalog as it is
  parsed; it is executed under the project's search_path, so that what format_type(), pg_get_expr(),
  to_regtype() and their like say is what the project would be told.
- `transaction_as_project`: one transaction in which expressions of the project are evaluated. What
  we write around them there names its functions, types and operators in full:
  `pg_catalog.count(*)`, `OPERATOR(pg_catalog.=)`.
- `project_search_path`: a block in which Django and the project's own code work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3, sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.django_tenants import sets_path_itself
from opsmigrate.postgres.opening import IDLE, PINNED, SET, SET_LOCAL, pin_of
from opsmigrate.postgres.transaction import transaction

Rows = list[tuple[Any, ...]]
Query = str | Composable
Params = Sequence[Any] | Mapping[str, Any] | None
Question = tuple[Query, Params]
INTROSPECTION = (
    "get_constraints",
    "get_relations",
    "get_sequences",
    "get_table_description",
    "get_table_list",
)
_numbers = count(1)


def seen_by_project(connection: BaseDatabaseWrapper, query: Query, params: Params = None) -> Rows:
    """Return the rows of one query about the catalog; see all_seen_by_project."""
    [rows] = all_seen_by_project(connection, (query, params))
    return rows


def all_seen_by_project(connection: BaseDatabaseWrapper, *questions: Question) -> list[Rows]:
    """Return the rows of each query, parsed in pg_catalog and executed as the project sees names.

    In the transaction that is under way, else in one of their own.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw.info.transaction_status != IDLE:
        with connection.cursor() as cursor:
            return _all_seen(cursor, questions)
    if raw.autocommit and len(questions) == 1:
        # One message is one transaction: PostgreSQL documentation, Multiple Statements in a Simple
        # Query.
        with connection.cursor() as cursor:
            return _all_seen(cursor, questions, alone=True)
    with transaction(connection) as cursor:
        return _all_seen(cursor, questions)


def _all_seen(
    cursor: CursorWrapper, questions: Sequence[Question], *, alone: bool = False
) -> list[Rows]:
    """Return the rows of each; what is set ends with the transaction if it is for these `alone`."""
    pin = pin_of(cursor.db)
    if pin is None:
        # The project's own session, as far as this is concerned.
        return [_rows(cursor, *question) for question in questions]
    compose = cursor.db.ops.compose_sql
    names = [f"opsmigrate_{next(_numbers)}" for _ in questions]
    statements = [compose(SET_LOCAL, [PINNED])] if pin.lifted else []
    for name, (query, params) in zip(names, questions, strict=True):
        # A cursor's query is parsed where it is declared, and executed where it is fetched.
        declare = sql.SQL(f"DECLARE {name} NO SCROLL CURSOR FOR ")
        words = query if not isinstance(query, str) else sql.SQL(query)
        statements.append(compose(declare + words, params))
    statements += [compose(SET_LOCAL, [pin.project]), f"FETCH ALL FROM {names[0]}"]
    lifted, pin.lifted = pin.lifted, 0
    try:
        found = [_last_rows(cursor, statements)]
        found += [_rows(cursor, f"FETCH ALL FROM {name}", None) for name in names[1:]]
    finally:
        pin.lifted = lifted
    if not alone:
        cursor.execute(SET_LOCAL, [pin.wanted])
    return found


def _last_rows(cursor: CursorWrapper, statements: Sequence[str]) -> Rows:
    """Return the rows of the last one of several statements, which are sent as one message."""
    # A query may end with a comment.
    cursor.execute("\n;\n".join(statements))
    # psycopg2 keeps no other result than the last one.
    while is_psycopg3 and cursor.nextset():
        pass
    return list(cursor.fetchall())


def _rows(cursor: CursorWrapper, query: Query, params: Params) -> Rows:
    cursor.execute(query, params)
    return list(cursor.fetchall())


@contextmanager
def transaction_as_project(
    connection: BaseDatabaseWrapper, mode: str = ""
) -> Iterator[CursorWrapper]:
    """Yield a cursor in a transaction() that resolves names as the project does."""
    with transaction(connection, mode) as cursor:
        pin = pin_of(connection)
        if pin is None:
            yield cursor
            return
        pin.lifted += 1
        try:
            cursor.execute(SET_LOCAL, [pin.project])
            yield cursor
        finally:
            pin.lifted -= 1
        if connection.in_atomic_block:
            # A savepoint that is released leaves the setting behind.
            cursor.execute(SET_LOCAL, [pin.wanted])


@contextmanager
def project_search_path(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let names resolve as the project's own session does, for Django and the project's code."""
    pin = pin_of(connection)
    if pin is None:
        yield
        return
    connection.ensure_connection()
    pin.lifted += 1
    introspection = connection.introspection
    connection.introspection = asking_catalog(introspection)
    try:
        if pin.lifted == 1 and not pin.per_transaction:
            _set(connection, pin.wanted)
        yield
    finally:
        connection.introspection = introspection
        pin.lifted -= 1
        # A session that is lost takes its settings along; what failed is rolled back to the pin.
        if pin.lifted == 0 and not pin.per_transaction and connection.connection is not None:
            with suppress(Error):
                _set(connection, PINNED)


def _set(connection: BaseDatabaseWrapper, path: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SET, [path])


class _CatalogCursor:
    """A cursor for Django's introspection: what it asks the catalog is asked by seen_by_project."""

    def __init__(self, cursor: CursorWrapper) -> None:
        self._cursor = cursor
        self._rows: Rows | None = None

    def execute(self, statement: str, params: Params = None) -> None:
        self._rows = None
        # The one statement that is about a table of the project: it calls nothing.
        if statement.startswith("SELECT * FROM"):
            self._cursor.execute(statement, params)
        else:
            self._rows = seen_by_project(self._cursor.db, statement, params)

    def fetchall(self) -> Rows:
        return list(self._cursor.fetchall()) if self._rows is None else self._rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def asking_catalog(introspection: Any) -> Any:
    """Return the introspection made to ask so that nothing is called but what is PostgreSQL's.

    Django's own queries would be parsed under the project's search_path: obj_description(oid, text)
    of somebody else fits `obj_description(c.oid, 'pg_class')` better than PostgreSQL's.
    """
    kind = type(introspection)
    if hasattr(kind, "asks_catalog"):
        return introspection
    if sets_path_itself(introspection.connection):
        # In Django 6.1 its module can only be imported after that of the back end, which is here.
        from django.db.backends.postgresql.introspection import DatabaseIntrospection

        # Its own changes the search_path around each question.
        kind = DatabaseIntrospection
    methods = {name: _on_catalog(getattr(kind, name)) for name in INTROSPECTION}
    return type(kind.__name__, (kind,), {**methods, "asks_catalog": True})(introspection.connection)


def _on_catalog(method: Callable[..., Any]) -> Callable[..., Any]:
    def ask(self: Any, cursor: Any, *args: Any, **kwargs: Any) -> Any:
        ours = cursor if isinstance(cursor, _CatalogCursor) else _CatalogCursor(cursor)
        return method(self, ours, *args, **kwargs)

    return ask
