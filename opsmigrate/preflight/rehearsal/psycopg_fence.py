"""The fence at psycopg 3."""

from collections.abc import Callable, Generator
from typing import Any

from opsmigrate.postgres.identity import IDENTITY
from opsmigrate.preflight.rehearsal.sent_text import sent_texts, texts_of_many

METHODS = ("execute", "stream", "copy")


def fence_psycopg(
    driver: Any,
    require_allowed: Callable[..., None],
    require_there: Callable[[list[str]], None],
    require_inside: Callable[[str], None],
) -> None:
    """Check every connection and every statement; see driver_fence.fence_driver."""
    generators = driver.generators
    real = generators.connect

    # Every connection comes from here: of pools, of subclasses, asynchronous ones.
    def connect(conninfo: str, *args: Any, **kwargs: Any) -> Any:
        require_allowed(driver.conninfo.conninfo_to_dict(conninfo))
        return _comparing(real(conninfo, *args, **kwargs), require_there)

    generators.connect = connect
    # Before it connects, it looks the host up by itself, which would fail in a way of its own.
    for module, name in (
        (driver.connection, "conninfo_attempts"),
        (driver.connection_async, "conninfo_attempts_async"),
    ):
        if hasattr(module, name):
            setattr(module, name, _checked_attempts(getattr(module, name), require_allowed))
    driver.pq.PGconn = _fenced_pgconn(driver, require_allowed)
    for kind in (driver.Connection, driver.AsyncConnection):
        kind.tpc_prepare = _checked_prepare(kind.tpc_prepare, require_inside)
    for kind in (driver.Cursor, driver.ServerCursor, driver.AsyncCursor, driver.AsyncServerCursor):
        _fence_cursor(kind, require_inside)


def _comparing(
    connecting: Any, require_there: Callable[[list[str]], None]
) -> Generator[Any, Any, Any]:
    """Connect as psycopg's generator does, and compare where that has led."""
    session = yield from connecting
    found = session.exec_(IDENTITY.encode())
    try:
        require_there([found.get_value(0, each).decode() for each in range(found.nfields)])
    except BaseException:
        session.finish()
        raise
    return session


def _fenced_pgconn(driver: Any, require_allowed: Callable[..., None]) -> type:
    """Return what stands in the place of the class with which libpq is called directly."""
    real = driver.pq.PGconn

    def checked(method: Callable[..., Any]) -> Any:
        def run(conninfo: bytes) -> Any:
            require_allowed(driver.conninfo.conninfo_to_dict(conninfo.decode()))
            return method(conninfo)

        return staticmethod(run)

    class Fenced(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

    members = {name: checked(getattr(real, name)) for name in ("connect", "connect_start")}
    return Fenced("PGconn", (), {**members, "ping": staticmethod(real.ping)})


def _checked_attempts(
    method: Callable[..., Any], require_allowed: Callable[..., None]
) -> Callable[..., Any]:
    def attempts(params: Any) -> Any:
        require_allowed(params)
        return method(params)

    return attempts


def _checked_prepare(method: Callable[..., Any], require: Callable[[str], None]) -> Any:
    def prepare(connection: Any) -> Any:
        require("PREPARE TRANSACTION ''")
        return method(connection)

    return prepare


def _fence_cursor(kind: Any, require: Callable[[str], None]) -> None:
    for name in METHODS:
        if name in vars(kind):
            setattr(kind, name, _checked(getattr(kind, name), require))
    kind.executemany = _checked_many(kind.executemany, require)


def _checked(method: Callable[..., Any], require: Callable[[str], None]) -> Callable[..., Any]:
    def run(cursor: Any, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        for text in sent_texts(query, params, cursor):
            require(text)
        return method(cursor, query, params, *args, **kwargs)

    return run


def _checked_many(method: Callable[..., Any], require: Callable[[str], None]) -> Callable[..., Any]:
    def run(cursor: Any, query: Any, params_seq: Any, *args: Any, **kwargs: Any) -> Any:
        many = list(params_seq)
        for text in texts_of_many(query, many, cursor):
            require(text)
        return method(cursor, query, many, *args, **kwargs)

    return run
