"""Keep the server from ending idle sessions of opsmigrate, which wait for each other."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

# Not idle_in_transaction_session_timeout, nor transaction_timeout: these are time-outs of
# `migrate` too, which preflight_migrate reads from its session. Who holds a transaction for long
# lifts them for itself (no_time_limits).
LIFT = "SELECT pg_catalog.set_config('idle_session_timeout', '0', false)"
PUT_BACK = "RESET idle_session_timeout"


@contextmanager
def without_idle_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lift idle_session_timeout, which a role or a database may have set, while the block runs.

    In the session of `connection`, and in each one that this process opens meanwhile, also where
    one is opened anew.
    """
    connection_created.connect(_lift, dispatch_uid="opsmigrate idle sessions")
    was_open = connection.connection is not None
    try:
        if was_open:
            _lift(connection)
        yield
    finally:
        connection_created.disconnect(dispatch_uid="opsmigrate idle sessions")
        if was_open and connection.connection is not None:
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute(PUT_BACK)


def _lift(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(LIFT)
