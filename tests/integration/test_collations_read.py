"""A column's collation is read where it is another than its type's."""

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from tests.conftest import execute

pytestmark = pytest.mark.major

COLUMNS = {
    "a text": None,
    'a text COLLATE "C"': "C",
    "a varchar(3)": None,
    'a char(3) COLLATE "default"': None,
    'a text[] COLLATE "C"': "C",
    "a text[]": None,
    "a integer": None,
    "a name": None,
    'a name COLLATE "default"': "default",
    "a of_c": None,
    'a of_c COLLATE "default"': "default",
    'a of_c COLLATE "POSIX"': "POSIX",
    "a plain": None,
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_collation_of_its_own_is_read(column: str, empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, 'CREATE DOMAIN of_c AS text COLLATE "C"; CREATE DOMAIN plain AS text')
    execute(connection, f"CREATE TABLE t ({column})")

    [table] = [each for each in read_catalog(connection).relations if each.name == "t"]

    assert [each.collation for each in table.columns] == [COLUMNS[column]]
