"""Sessions of others, which hold what they locked."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.session import open_second
from tests.conftest import execute


@contextmanager
def held(alias: str, *statements: str) -> Iterator[BaseDatabaseWrapper]:
    """Hold a transaction open in which these statements were executed, by an application `till`."""
    other = open_second(connections[alias])
    try:
        execute(other, "SET application_name = 'till'")
        execute(other, "BEGIN")
        for statement in statements:
            execute(other, statement)
        yield other
    finally:
        other.close()
