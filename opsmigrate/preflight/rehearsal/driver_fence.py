"""The fence at the database drivers: the scratch server only, and no SQL that reaches beyond."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.rehearsal.fence_error import FenceError
from opsmigrate.preflight.rehearsal.psycopg2_fence import fence_psycopg2
from opsmigrate.preflight.rehearsal.psycopg_fence import fence_psycopg
from opsmigrate.preflight.rehearsal.same_database import is_same_database

Tell = Callable[[str], None]


def fence_driver(
    connection: BaseDatabaseWrapper,
    others: Iterable[BaseDatabaseWrapper],
    require_inside: Callable[[str], None],
    record: Tell,
    *,
    identity: Sequence[str],
) -> None:
    """Let the process connect to the database of `connection` only; `others` are other aliases'.

    Each session is compared with `identity`, that of the copy: an address may lead to several
    servers, one after another. `require_inside` gets the text of every statement, also of those
    that pass Django by, and raises for what may not run. Connections are refused at the driver, so
    that it does not matter who asks, and at both drivers where both are installed: the one that
    Django did not take would lead out as well. libpq connects in C, where no audit hook sees it.
    """
    allowed = connection.get_connection_params()

    def require_allowed(given: Mapping[str, Any]) -> None:
        # Replication belongs to the whole server, whichever database it is asked of.
        if not is_same_database(given, allowed) or given.get("replication"):
            record(f"it may not connect to another database ({given.get('dbname') or ''})")
            raise FenceError("a rehearsal may connect to its scratch database only")

    def require_there(found: list[str]) -> None:
        if found != list(identity):
            record("its connection led to another database than the copy")
            raise FenceError("a rehearsal may connect to its scratch database only")

    for name, fence in (("psycopg", fence_psycopg), ("psycopg2", fence_psycopg2)):
        try:
            driver = import_module(name)
        except ImportError:
            continue
        fence(driver, require_allowed, require_there, require_inside)
    _fence_others(connection, others, record)


def _fence_others(
    connection: BaseDatabaseWrapper, others: Iterable[BaseDatabaseWrapper], record: Tell
) -> None:
    """Refuse to connect for the aliases of another kind of database, in every thread."""
    for kind in {type(other) for other in others}:
        if getattr(kind, "Database", None) is getattr(connection, "Database", None):
            continue

        def refuse(wrapper: Any, *args: Any) -> Any:
            record(f"it may not connect to another database (alias {wrapper.alias})")
            raise FenceError("a rehearsal may connect to its scratch database only")

        setattr(kind, "get_new_connection", refuse)  # noqa: B010 - a method, by its name
