"""The fence at psycopg2, whose classes are C's: what cannot be changed is stood in for."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opsmigrate.postgres.identity import IDENTITY
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.rehearsal.sent_text import sent_texts, texts_of_many

Require = Callable[[str], None]


class Hiding(type):
    """Does not show the class that another one stands in for: it would go anywhere."""

    __mro__ = property(lambda cls: (cls, object))
    __bases__ = property(lambda cls: (object,))
    __base__ = property(lambda cls: object)


def fence_psycopg2(
    driver: Any,
    require_allowed: Callable[..., None],
    require_there: Callable[[list[str]], None],
    require: Require,
) -> None:
    """Check every connection and every statement; see driver_fence.fence_driver."""
    extensions = driver.extensions
    real_connection, real_cursor = extensions.connection, extensions.cursor

    class FencedCursor(Hiding):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real_cursor)

    @lru_cache
    def fenced(kind: type) -> type:
        return FencedCursor("cursor", (kind,), _checked_members(kind, require))

    # Django names a kind of cursor itself, and so may others.
    def cursor(made: Any, name: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Any:
        kind = cursor_factory or made.cursor_factory or real_cursor
        return real_connection.cursor(made, name, cursor_factory=fenced(kind), **kwargs)

    def connect(dsn: str, connection_factory: Any = None, **kwargs: Any) -> Any:
        require_allowed(extensions.parse_dsn(dsn))
        return real_connect(
            dsn, connection_factory=connection_factory or fenced_connection, **kwargs
        )

    checks = _Checks(
        lambda dsn: require_allowed(extensions.parse_dsn(dsn)),
        _comparing(real_connection, real_cursor, require_there),
    )
    for kind in _subclasses(real_connection):
        _set(kind, {"__init__": _checked_init(kind, checks)})
    for kind in _subclasses(real_cursor):
        _set(kind, _checked_members(kind, require))
    fenced_connection = _fenced_connection(
        real_connection,
        {"cursor": cursor, **_checked_ways(real_connection, extensions, require)},
        checks,
    )
    real_connect = driver._connect
    for module in (driver, driver._psycopg):
        module._connect = connect
    for module in (extensions, driver._psycopg):
        module.connection, module.cursor = fenced_connection, fenced(real_cursor)


@dataclass(frozen=True)
class _Checks:
    """What is asked of where a connection would lead, and of where it has led."""

    before: Callable[[str], None]
    after: Callable[[Any], None]


def _fenced_connection(real: type, members: dict[str, Any], checks: _Checks) -> type:
    class Fenced(Hiding):
        """Checks whoever makes a connection, by the class or by a subclass of it."""

        def __call__(cls, dsn: str, *args: Any, **kwargs: Any) -> Any:
            checks.before(dsn)
            made = super().__call__(dsn, *args, **kwargs)
            checks.after(made)
            return made

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

    return Fenced("connection", (real,), members)


def _comparing(
    connection: Any, cursor: Any, require_there: Callable[[list[str]], None]
) -> Callable[[Any], None]:
    """Return what asks a new session, past the fence, where it is."""

    def compare(made: Any) -> None:
        # One that connects later, in a loop of its own, is known by its address only.
        if made.async_:
            return
        try:
            with connection.cursor(made, cursor_factory=cursor) as asking:
                cursor.execute(asking, IDENTITY)
                require_there(list(cursor.fetchone(asking)))
            if not made.autocommit:
                made.rollback()
        except BaseException:
            made.close()
            raise

    return compare


def _checked_ways(real: Any, extensions: Any, require: Require) -> dict[str, Any]:
    """Return what a connection can do without a cursor, and in C, so that no audit hook hears."""

    class LargeObject(extensions.lobject):  # type: ignore[misc]
        def export(self, filename: str) -> None:
            with open(filename, "wb"):  # it is heard
                pass
            super().export(filename)

    def lobject(made: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) < 5:
            kwargs.setdefault("lobject_factory", LargeObject)
        return real.lobject(made, *args, **kwargs)

    def tpc_prepare(made: Any) -> None:
        require("PREPARE TRANSACTION ''")
        real.tpc_prepare(made)

    return {"lobject": lobject, "tpc_prepare": tpc_prepare}


def _subclasses(kind: type) -> Iterator[type]:
    each: type
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _set(kind: type, members: dict[str, Any]) -> None:
    for name, value in members.items():
        # Those of C cannot be changed; they are for replication, which is refused as it connects.
        with suppress(TypeError):
            setattr(kind, name, value)


def _checked_init(kind: Any, checks: _Checks) -> Any:
    real = kind.__init__

    def init(made: Any, dsn: str, *args: Any, **kwargs: Any) -> None:
        checks.before(dsn)
        real(made, dsn, *args, **kwargs)
        checks.after(made)

    return init


def _checked_members(kind: Any, require: Require) -> dict[str, Any]:
    execute, many, expert = kind.execute, kind.executemany, kind.copy_expert
    call, copy_from, copy_to = kind.callproc, kind.copy_from, kind.copy_to

    def checked_execute(cursor: Any, query: Any, vars: Any = None) -> Any:
        for text in sent_texts(query, vars, cursor):
            require(text)
        return execute(cursor, query, vars)

    def checked_many(cursor: Any, query: Any, vars_list: Any) -> Any:
        sets = list(vars_list)
        for text in texts_of_many(query, sets, cursor):
            require(text)
        return many(cursor, query, sets)

    def checked_expert(cursor: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        for text in sent_texts(sql, None, cursor):
            require(text)
        return expert(cursor, sql, *args, **kwargs)

    def checked_call(cursor: Any, procname: str, *args: Any, **kwargs: Any) -> Any:
        # As psycopg2 puts it together: the name stands in it as it was given.
        require(f"SELECT * FROM {procname}()")  # noqa: S608 - it is read, not executed
        return call(cursor, procname, *args, **kwargs)

    def checked_copy_from(cursor: Any, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        require(f"COPY {quoted(table)} FROM STDIN")
        return copy_from(cursor, file, table, *args, **kwargs)

    def checked_copy_to(cursor: Any, file: Any, table: str, *args: Any, **kwargs: Any) -> Any:
        require(f"COPY {quoted(table)} TO STDOUT")
        return copy_to(cursor, file, table, *args, **kwargs)

    return {
        "execute": checked_execute,
        "executemany": checked_many,
        "copy_expert": checked_expert,
        "callproc": checked_call,
        "copy_from": checked_copy_from,
        "copy_to": checked_copy_to,
    }
