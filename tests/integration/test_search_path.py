"""Names in a session of ours resolve in pg_catalog; the project's own search_path comes back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import atomic

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.opening import PINNED, own, owned, release
from opsmigrate.postgres.search_path import (
    project_search_path,
    seen_by_project,
    transaction_as_project,
)
from opsmigrate.postgres.session import backend_pid, second_connection
from opsmigrate.postgres.transaction import transaction
from tests.conftest import Ops, execute, query

pytestmark = pytest.mark.major
USUAL = '"$user", public'


def path_of(connection: BaseDatabaseWrapper) -> str:
    """Return the search_path that is in force."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("opened_before", [True, False])
def test_a_session_is_pinned_while_it_is_ours(empty_database: str, opened_before: bool) -> None:
    connection = connections[empty_database]
    if opened_before:
        execute(connection, "SET search_path = public, pg_catalog")
    with owned(connection):
        assert path_of(connection) == PINNED
        with second_connection(connection) as other:
            assert path_of(other) == PINNED
    assert path_of(connection) == ("public, pg_catalog" if opened_before else USUAL)
    connection.close()
    assert path_of(connection) == USUAL


def test_one_that_was_lost_and_got_back_is_pinned_again(empty_database: str) -> None:
    with owned(connections[empty_database]) as connection:
        pid = backend_pid(connection)
        with second_connection(connection) as other:
            execute(other, "SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(Error):
            backend_pid(connection)
        connection.close()
        assert path_of(connection) == PINNED
        with project_search_path(connection):
            connection.close()
            assert path_of(connection) == USUAL
        assert path_of(connection) == PINNED


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_command_puts_the_search_path_back(staging: str, ops: Ops, ends: str) -> None:
    connection = connections[staging]
    execute(connection, "SET search_path = public, pg_catalog")
    arguments: dict[str, Any] = {} if ends == "well" else {"rehearse": "kept"}
    answer = ops("preflight_migrate", database=staging, **arguments)

    assert answer.code == (1 if ends == "well" else answer.code)
    assert path_of(connection) == "public, pg_catalog"


def test_a_failed_transaction_leaves_the_session_pinned(empty_database: str) -> None:
    with owned(connections[empty_database]) as connection:
        with pytest.raises(ProgrammingError), transaction_as_project(connection) as cursor:
            cursor.execute("SELECT nothing_of_this_name()")
        assert path_of(connection) == PINNED
        with pytest.raises(ProgrammingError), project_search_path(connection):
            execute(connection, "SELECT nothing_of_this_name()")
        assert path_of(connection) == PINNED
        with pytest.raises(ProgrammingError), transaction(connection) as cursor:
            seen_by_project(connection, "SELECT nothing_of_this_name()")
        assert path_of(connection) == PINNED


def test_within_an_atomic_block_the_search_path_comes_back(empty_database: str) -> None:
    with owned(connections[empty_database]) as connection:
        connection.ensure_connection()
        with atomic(using=empty_database):
            with transaction_as_project(connection):
                assert path_of(connection) == USUAL
            assert path_of(connection) == PINNED
            assert seen_by_project(connection, "SELECT current_schema()::text") == [("public",)]
            assert path_of(connection) == PINNED


@pytest.fixture
def receiver() -> Any:
    """Connect receivers of connection_created for the length of a test."""
    made: list[Callable[..., None]] = []

    def connect(statement: str) -> None:
        def receive(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
            execute(connection, statement)

        made.append(receive)
        connection_created.connect(receive)

    yield connect
    for each in made:
        connection_created.disconnect(each)


def test_a_receiver_that_sets_the_search_path_does_not_undo_the_pin(
    empty_database: str, receiver: Callable[[str], None]
) -> None:
    receiver("SET search_path = tenant, public")
    with owned(connections[empty_database]) as connection:
        assert path_of(connection) == PINNED
        with project_search_path(connection):
            assert path_of(connection) == "tenant, public"
    assert path_of(connection) == "tenant, public"


def test_a_receiver_that_calls_a_function_of_the_project_still_can(
    empty_database: str, receiver: Callable[[str], None]
) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE FUNCTION public.ours() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    connection.close()
    receiver("SELECT ours()")
    with owned(connection):
        assert path_of(connection) == PINNED
    assert path_of(connection) == USUAL


def test_what_is_asked_of_the_catalog_is_told_as_the_project_sees_it(empty_database: str) -> None:
    connection = connections[empty_database]
    for statement in (
        "CREATE TYPE public.mood AS ENUM ('sad')",
        "CREATE TABLE public.cage (m mood, n int CHECK (n > 0))",
        "CREATE SCHEMA other",
        "CREATE TABLE other.cage (m mood)",
    ):
        execute(connection, statement)
    plain = read_catalog(connection)
    query_of_type = "SELECT format_type(to_regtype('mood'), NULL)"

    with owned(connection):
        assert query(empty_database, query_of_type) == [(None,)]
        assert seen_by_project(connection, query_of_type) == [("mood",)]
        assert read_catalog(connection) == plain
    assert {each.label: each.visible for each in plain.relations} == {
        "public.cage": True,
        "other.cage": False,
    }


def test_djangos_introspection_sees_what_the_project_sees(staging: str) -> None:
    connection = connections[staging]

    def looked() -> Any:
        with connection.cursor() as cursor:
            table = "treasury_payment"
            asked = connection.introspection
            return (
                sorted(asked.table_names(cursor)),
                asked.get_table_description(cursor, table),
                asked.get_constraints(cursor, table),
                asked.get_sequences(cursor, table),
                asked.get_relations(cursor, table),
            )

    plain = looked()
    with owned(connection), project_search_path(connection):
        assert looked() == plain
    assert looked() == plain


def test_what_two_have_made_theirs_is_given_back_by_the_second(empty_database: str) -> None:
    connection = connections[empty_database]
    with owned(connection):
        own(connection)
        assert path_of(connection) == PINNED
        release(connection)
        assert path_of(connection) == PINNED
    assert path_of(connection) == USUAL
    release(connection)
    assert path_of(connection) == USUAL
