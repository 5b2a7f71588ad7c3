"""Sessions of others: of the application, of a person; they are none of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.conftest import execute


@contextmanager
def stranger(alias: str, *, database: str | None = None) -> Iterator[BaseDatabaseWrapper]:
    """Yield a session as the project's own processes have it, closed at the end."""
    # By another alias, so that nobody takes it for one that a command has opened meanwhile.
    other: BaseDatabaseWrapper = connections[alias].copy(f"stranger {alias}")
    if database is not None:
        other.settings_dict["NAME"] = database
    try:
        yield other
    finally:
        other.close()


@contextmanager
def held(alias: str, *statements: str) -> Iterator[BaseDatabaseWrapper]:
    """Hold a transaction open in which these statements were executed, by an application `till`."""
    with stranger(alias) as other:
        execute(other, "SET application_name = 'till'")
        execute(other, "BEGIN")
        for statement in statements:
            execute(other, statement)
        yield other
