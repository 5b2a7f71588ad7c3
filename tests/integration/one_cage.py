"""A database with the zoo's first migration applied and one cage in it, and operations to come."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import execute
from tests.integration.sql_pairs import FIRST, ONE
from tests.integration.zoo_migrations import Write, migrate


@pytest.fixture
def prepared(new_database: Callable[..., str], write_migrations: Write) -> Callable[..., str]:
    """Return a function that makes one, executes statements, and returns its alias."""

    def prepare(operations: str, *statements: str) -> str:
        alias = new_database()
        write_migrations(FIRST)
        assert migrate(alias, "zoo") is None
        for each in filter(None, (ONE, *statements)):
            execute(connections[alias], each)
        write_migrations(FIRST, operations)
        return alias

    return prepare
