"""Whether two ways to connect lead to the same database, whatever each calls the server."""

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.identity import identity_of

DEFAULT_PORT = "5432"
SECONDS_TO_CONNECT = 5


def leads_to_database(alias: BaseDatabaseWrapper, examined: Mapping[str, Any]) -> bool:
    """Return whether an alias leads to the examined database: the same name, port and identity.

    `alias` is a connection to try it with; whoever has another name or port is not asked.
    """
    settings = alias.settings_dict
    if (settings["NAME"] or "", _port(settings["PORT"])) != (
        examined["NAME"] or "",
        _port(examined["PORT"]),
    ):
        return False
    if (settings["HOST"] or "") == (examined["HOST"] or ""):
        return True
    settings["OPTIONS"] = {**settings["OPTIONS"], "connect_timeout": SECONDS_TO_CONNECT}
    try:
        return identity_of(alias) == list(examined["identity"])
    except Error:
        return False
    finally:
        alias.close()


def is_same_database(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    """Return whether libpq's parameters lead to the same database of the same server.

    localhost, 127.0.0.1 and the folder of a socket are the same machine; a name is what it
    resolves to.
    """
    exactly = ("dbname", "service")
    if any(str(given.get(key) or "") != str(allowed.get(key) or "") for key in exactly):
        return False
    if _port(given.get("port")) != _port(allowed.get("port")):
        return False
    # psycopg says what it resolved the name to, and libpq then goes there.
    first, second = (
        str(each.get("hostaddr") or each.get("host") or "") for each in (allowed, given)
    )
    return first == second or not _addresses(first).isdisjoint(_addresses(second))


def _port(value: Any) -> str:
    return str(value or DEFAULT_PORT)


def _addresses(host: str) -> set[str]:
    if not host or host.startswith(("/", "@")):
        return {"here"}
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}
    return {"here" if ip_address(each.partition("%")[0]).is_loopback else each for each in found}
