"""Where every session of ours is made: the one place that says what holds in each of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.silence import with_limits


def own(connection: BaseDatabaseWrapper) -> None:
    """Make every session that `connection` opens from now on one of ours, until `release`.

    It waits no longer than LIMITS (silence.py) for a network that says nothing.
    """

    def limited() -> dict[str, Any]:
        return with_limits(type(connection).get_connection_params(connection))

    connection.get_connection_params = limited  # type: ignore[method-assign]


def release(connection: BaseDatabaseWrapper) -> None:
    """Give `connection` back to the project; sessions that it opens later are the project's."""
    vars(connection).pop("get_connection_params", None)


@contextmanager
def owned(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Yield `connection` as one of ours, and give it back to the project at the end."""
    own(connection)
    try:
        yield connection
    finally:
        release(connection)
