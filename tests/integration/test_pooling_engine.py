"""An engine that pools sessions by alias must not hand out one of another database."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.connection import ConnectionDoesNotExist

from opsmigrate.errors import UndecidedError
from opsmigrate.postgres.session import open_second, second_connection
from tests.conftest import Ops, query
from tests.integration.zoo_migrations import Write, migrate
from tests.pooling_engine.base import DatabaseWrapper
from tests.rehearsals import prepared, rehearse

DATABASE = "SELECT current_database()"
PENDING = """
migrations.RunPython(lambda apps, editor: None),
migrations.RunSQL("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
"""


@pytest.fixture
def pooled(new_database: Callable[..., str]) -> Iterator[str]:
    """Yield the alias of a database whose engine has an idle session in its pool."""
    alias = new_database(ENGINE="tests.pooling_engine")
    with second_connection(connections[alias]):
        query(alias, DATABASE)
    connections[alias].close()
    yield alias
    connections[alias].close()
    for sessions in DatabaseWrapper.idle.values():
        while sessions:
            sessions.pop().close()


def test_a_second_connection_leads_to_the_database_that_was_asked_for(pooled: str) -> None:
    with (
        second_connection(connections[pooled], database="postgres") as other,
        other.cursor() as cursor,
    ):
        cursor.execute(DATABASE)
        assert cursor.fetchone()[0] == "postgres"


def test_a_receiver_may_ask_for_a_new_session_by_its_alias(
    new_database: Callable[..., str],
) -> None:
    asked = []

    def ask(connection: BaseDatabaseWrapper, **_: Any) -> None:
        # As django.contrib.postgres does, to learn which types the database has.
        with connections[connection.alias].cursor() as cursor:
            cursor.execute(DATABASE)
            asked.append(cursor.fetchone()[0])

    alias = new_database()
    connection_created.connect(ask)
    try:
        with second_connection(connections[alias], database="postgres") as other:
            asked_by = other.alias
    finally:
        connection_created.disconnect(ask)

    assert asked == ["postgres"]
    with pytest.raises(ConnectionDoesNotExist):
        connections[asked_by]


def test_a_second_connection_that_is_closed_leaves_no_session(pooled: str) -> None:
    other = open_second(connections[pooled])
    other.ensure_connection()
    session = other.connection
    other.close()

    assert session.closed


def test_an_engine_that_leads_elsewhere_all_the_same_is_not_used(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        DatabaseWrapper,
        "get_new_connection",
        lambda self, params: super(DatabaseWrapper, self).get_new_connection(
            {**params, "dbname": connections[pooled].settings_dict["NAME"]}
        ),
    )

    with (
        pytest.raises(UndecidedError, match="instead of postgres"),
        second_connection(connections[pooled], database="postgres"),
    ):
        pass


def test_it_rehearses_again_and_again_in_one_process(
    pooled: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(pooled, write_migrations, PENDING)

    answers = [rehearse(ops, alias) for _ in range(3)]

    assert [answer.report["verdict"] for answer in answers] == ["passed"] * 3, answers[0].stdout
    assert all("rehearsal" in answer.report["facts"] for answer in answers)
    assert migrate(alias, "zoo") is None
