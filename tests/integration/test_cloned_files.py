"""CREATE DATABASE clones the files of its template where server and file system can."""

import pytest
from django.db import Error, connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.scratch_statements import KNOWS_CLONING, execute_cloning
from tests.conftest import query

pytestmark = pytest.mark.major
METHOD = "current_setting('file_copy_method', true)"


def test_it_is_tried_first_from_18_on_and_set_back(empty_database: str) -> None:
    connection = connections[empty_database]
    connection.ensure_connection()
    knows = connection.connection.info.server_version >= KNOWS_CLONING

    execute_cloning(connection, sql.SQL(f"CREATE TEMP TABLE seen AS SELECT {METHOD} AS how"))

    assert query(empty_database, "SELECT how FROM seen") == [("clone" if knows else None,)]
    assert query(empty_database, f"SELECT {METHOD}") == [("copy" if knows else None,)]


def test_what_cannot_be_cloned_is_copied_and_what_is_in_use_is_not_tried_twice(
    empty_database: str,
) -> None:
    connection = connections[empty_database]
    # As a file system that cannot says it; a statement that fails either way still does.
    refused = f"SELECT 1 / (coalesce({METHOD}, '') <> 'clone')::int"
    execute_cloning(connection, sql.SQL(refused))
    with pytest.raises(Error, match="division by zero"):
        execute_cloning(connection, sql.SQL("SELECT 1 / 0"))
    in_use = "DO $$ BEGIN PERFORM nextval('tries'); RAISE EXCEPTION SQLSTATE '55006'; END $$"
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE tries")
    with pytest.raises(Error):
        execute_cloning(connection, sql.SQL(in_use))
    assert query(empty_database, "SELECT last_value, is_called FROM tries") == [(1, True)]
