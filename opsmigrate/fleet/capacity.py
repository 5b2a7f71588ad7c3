"""How many units run at a time on a server: a fleet must not be an outage of one's own making."""

from __future__ import annotations

from collections.abc import Callable

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.connection_limit import free_connections
from opsmigrate.postgres.session import second_connection

# The command's own, that of its lock, that of the process that migrates, one for the copy.
SESSIONS_OF_A_UNIT = 4
# Of the free ones: the others are for the application.
SHARE = 0.5


def units_at_a_time(connection: BaseDatabaseWrapper, at_most: int) -> int:
    """Return how many units may run at a time on the server of a connection: 1 to `at_most`.

    They take half of the connections that are free, at most. Where the server cannot be asked it
    is one: what is in the way, that one says.
    """
    try:
        with second_connection(connection) as other:
            free = free_connections(other)
    except Error:
        return 1
    return max(1, min(at_most, int(free * SHARE) // SESSIONS_OF_A_UNIT))


def limits(servers: dict[str, BaseDatabaseWrapper], at_most: int) -> Callable[[str], int]:
    """Return a function that says of each server how many units may run there at a time.

    `servers` are connections to each; one that is not among them gets `at_most`.
    """
    found = {server: units_at_a_time(each, at_most) for server, each in servers.items()}
    return lambda server: found.get(server, at_most)
