"""The fence around a rehearsal: its code may touch the scratch database, and nothing else."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Audit events of what leaves the process (Python documentation, Audit events table). libpq
# connects in C and raises none; it is fenced at the driver's connect().
LEAVING = frozenset(
    {
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "socket.connect",
        "socket.sendmsg",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
IN_MEMORY = {
    "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
}
MEMORY_STORAGE = {"BACKEND": "django.core.files.storage.InMemoryStorage"}


class FenceError(RuntimeError):
    """What the code tried would have reached beyond the scratch database."""


def raise_fence(connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> None:
    """Refuse, from here to the end of this process, whatever would leave it.

    `connection` points at the scratch database; `tell` hears of everything that was refused.
    Mail, caches and stored files stay in memory.
    """
    for name, value in IN_MEMORY.items():
        setattr(settings, name, value)
    settings.STORAGES = dict.fromkeys((*settings.STORAGES, "default"), MEMORY_STORAGE)
    _fence_connect(connection, tell)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in LEAVING:
            tell(f"{event} {arguments[:1]}")
            raise FenceError(f"a rehearsal may not do this: {event}")

    sys.addaudithook(refuse)


def _fence_connect(connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> None:
    driver = getattr(connection, "Database")  # noqa: B009 - the stubs leave it out
    real = driver.connect
    allowed = _place(connection.get_connection_params())

    def connect(*args: Any, **params: Any) -> Any:
        if args or _place(params) != allowed:
            tell(f"a connection to another database ({params.get('dbname')})")
            raise FenceError("a rehearsal may connect to its scratch database only")
        return real(**params)

    driver.connect = connect
    for alias in connections:
        if connections.settings[alias]["ENGINE"].rpartition(".")[2] not in (
            "postgresql",
            "postgis",
        ):
            connections.settings[alias]["ENGINE"] = "django.db.backends.dummy"


def _place(params: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        str(params.get("dbname") or ""),
        str(params.get("host") or ""),
        str(params.get("port") or ""),
    )
