"""The fence around a rehearsal: its code may touch the scratch database, and nothing else."""

import os
import re
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
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "shutil.move",
        "shutil.rmtree",
        "socket.connect",
        "socket.sendmsg",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Not a proof, a net: what DO blocks and functions do is not seen.
BEYOND = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION"
    r"|SYSTEM)\b|\b(?:REASSIGN|DROP)\s+OWNED\b|\bTO\s+PROGRAM\b|\bdblink",
    re.IGNORECASE,
)
IN_MEMORY = {
    "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
}
MEMORY_STORAGE = {"BACKEND": "django.core.files.storage.InMemoryStorage"}


class FenceError(RuntimeError):
    """What the code tried would have reached beyond the scratch database."""


def raise_fence(connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> Callable[[], None]:
    """Refuse whatever would leave this process, until the function that is returned is called.

    `connection` points at the scratch database; `tell` hears of everything that was refused.
    Mail, caches and stored files stay in memory.
    """
    for name, value in IN_MEMORY.items():
        setattr(settings, name, value)
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {name: {**memory, "LOCATION": name} for name in (*settings.CACHES, "default")}
    settings.STORAGES = dict.fromkeys((*settings.STORAGES, "default"), MEMORY_STORAGE)
    _fence_connect(connection, tell)

    standing = [True]

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if standing and (event in LEAVING or (event == "open" and _writes(arguments))):
            tell(f"it may not do this on a copy: {event} {arguments[:1]}")
            raise FenceError(f"a rehearsal may not do this: {event}")

    # An audit hook cannot be removed; it can be told that the rehearsal is over.
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)
    return standing.clear


def require_inside(statement: str, tell: Callable[[str], None]) -> None:
    """Raise FenceError for SQL that takes effect beyond its database: the copy has no server."""
    if BEYOND.search(statement):
        tell(f"it may not do this on a copy: {' '.join(statement.split())[:60]}")
        raise FenceError("a rehearsal may not run SQL that reaches beyond its database")


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    return path != os.devnull and isinstance(flags, int) and bool(flags & WRITING)


def _fence_connect(connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> None:
    driver = getattr(connection, "Database")  # noqa: B009 - the stubs leave it out
    real = driver.connect
    allowed = _place(connection.get_connection_params())

    def connect(*args: Any, **params: Any) -> Any:
        if args or _place(params) != allowed:
            tell(f"it may not connect to another database ({params.get('dbname')})")
            raise FenceError("a rehearsal may connect to its scratch database only")
        return real(**params)

    driver.connect = connect
    # psycopg 3: pools and code of one's own connect through the class.
    kind = getattr(driver, "Connection", None)
    if kind is not None:
        through = kind.connect.__func__

        def checked(cls: Any, /, conninfo: str = "", **params: Any) -> Any:
            given = {**driver.conninfo.conninfo_to_dict(conninfo), **params}
            if _place(given) != allowed:
                tell(f"it may not connect to another database ({given.get('dbname')})")
                raise FenceError("a rehearsal may connect to its scratch database only")
            return through(cls, conninfo, **params)

        kind.connect = classmethod(checked)
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
