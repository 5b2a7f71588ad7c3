"""Another server than that of the alias, to restore a backup on."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.management.database import ChosenDatabase

EMBEDDED = "embedded"


def server_of(on: str | None, connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection to the server that `on` says: of an alias, or None: of `connection`.

    Raises UsageError, or UndecidedError where it cannot be reached.
    """
    if on is None:
        return connection
    chosen = ChosenDatabase()
    other = chosen.choose(on, option="--on")
    chosen.reach()
    return other
