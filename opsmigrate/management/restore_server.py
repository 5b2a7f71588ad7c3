"""Another server than that of the alias, to restore a backup on."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.management.database import ChosenDatabase

EMBEDDED = "embedded"


@contextmanager
def restore_server(
    on: str | None, connection: BaseDatabaseWrapper
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to the server that `on` says: of an alias, or None: of `connection`.

    Raises UsageError, or UndecidedError where it cannot be reached.
    """
    if on is None:
        yield connection
        return
    chosen = ChosenDatabase()
    other = chosen.choose(on, option="--on")
    try:
        chosen.reach()
        yield other
    finally:
        chosen.leave()
