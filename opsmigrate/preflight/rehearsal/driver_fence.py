"""The fence at the database driver: the scratch server only, and no SQL that reaches beyond."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.rehearsal.places import is_same_place

Tell = Callable[[str], None]
Require = Callable[[str], None]
PSYCOPG_METHODS = ("execute", "executemany", "stream", "copy")
PSYCOPG2_METHODS = ("execute", "executemany", "copy_expert")


class FenceError(RuntimeError):
    """What the code tried would have reached beyond the scratch database."""


def fence_driver(
    connection: BaseDatabaseWrapper,
    others: Iterable[BaseDatabaseWrapper],
    require_inside: Require,
    tell: Tell,
) -> None:
    """Let the process connect to the database of `connection` only; `others` are other aliases'.

    `require_inside` gets the text of every statement, also of those that pass Django by, and
    raises for what may not run. Connections are refused at the driver, so that it does not matter
    who asks. libpq connects in C, where no audit hook sees it.
    """
    allowed = connection.get_connection_params()

    def require_allowed(given: Mapping[str, Any]) -> None:
        if not is_same_place(given, allowed):
            tell(f"it may not connect to another database ({given.get('dbname') or ''})")
            raise FenceError("a rehearsal may connect to its scratch database only")

    driver = getattr(connection, "Database")  # noqa: B009 - the stubs leave it out
    if hasattr(driver, "generators"):
        _fence_psycopg(driver, require_allowed, require_inside)
    else:
        _fence_psycopg2(driver, require_allowed, require_inside)
    _fence_others(connection, others, tell)


def _fence_psycopg(driver: Any, require_allowed: Any, require_inside: Require) -> None:
    generators = driver.generators
    real = generators.connect

    # Every connection comes from here: of pools, of subclasses, asynchronous ones.
    def connect(conninfo: str, *args: Any, **kwargs: Any) -> Any:
        require_allowed(driver.conninfo.conninfo_to_dict(conninfo))
        return real(conninfo, *args, **kwargs)

    generators.connect = connect
    kinds = [driver.Cursor, driver.ServerCursor, driver.AsyncCursor, driver.AsyncServerCursor]
    for kind in kinds:
        for name in PSYCOPG_METHODS:
            if name in vars(kind):
                setattr(kind, name, _checked(getattr(kind, name), require_inside))


def _checked(method: Callable[..., Any], require_inside: Require) -> Callable[..., Any]:
    def run(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        require_inside(_text(query, cursor))
        return method(cursor, query, *args, **kwargs)

    return run


def _fence_psycopg2(driver: Any, require_allowed: Any, require_inside: Require) -> None:
    extensions = driver.extensions
    real_connection, real_cursor = extensions.connection, extensions.cursor

    @lru_cache
    def fenced(kind: type) -> type:
        names = [name for name in PSYCOPG2_METHODS if hasattr(kind, name)]
        checked = {name: _checked(getattr(kind, name), require_inside) for name in names}
        return type("cursor", (kind,), checked)

    # Django names a kind of cursor itself, and so may others.
    def cursor(made: Any, name: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Any:
        kind = cursor_factory or made.cursor_factory or real_cursor
        return real_connection.cursor(made, name, cursor_factory=fenced(kind), **kwargs)

    class Fenced(type):
        """Checks whoever makes a connection, by the class or by a subclass of it."""

        def __call__(cls, dsn: str, *args: Any, **kwargs: Any) -> Any:
            require_allowed(extensions.parse_dsn(dsn))
            return super().__call__(dsn, *args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real_connection)

    fenced_connection = Fenced("connection", (real_connection,), {"cursor": cursor})
    real = driver._connect

    def connect(dsn: str, connection_factory: Any = None, **kwargs: Any) -> Any:
        return real(dsn, connection_factory=connection_factory or fenced_connection, **kwargs)

    driver._connect = connect
    extensions.connection = fenced_connection


def _text(query: Any, cursor: Any) -> str:
    """Return a statement's text, whatever the driver takes for one."""
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    if hasattr(query, "as_string"):
        return str(query.as_string(cursor))
    return str(query)


def _fence_others(
    connection: BaseDatabaseWrapper, others: Iterable[BaseDatabaseWrapper], tell: Tell
) -> None:
    """Refuse to connect for the aliases of another kind of database, in every thread."""
    for kind in {type(other) for other in others}:
        if getattr(kind, "Database", None) is getattr(connection, "Database", None):
            continue

        def refuse(wrapper: Any, *args: Any) -> Any:
            tell(f"it may not connect to another database (alias {wrapper.alias})")
            raise FenceError("a rehearsal may connect to its scratch database only")

        setattr(kind, "get_new_connection", refuse)  # noqa: B010 - a method, by its name
