"""Projects wrap the statements or put something in place of Django's cursor."""

from typing import Any

import pytest
from django.db import connections
from django.db.backends.utils import CursorWrapper

from tests.conftest import Ops
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate


def tags(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
    """As django-querytagger does."""
    return execute(f"{sql} -- tag" if isinstance(sql, str) else sql, params, many, context)


@pytest.fixture
def applied(empty_database: str, write_migrations: Write) -> str:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, 'migrations.AddField("cage", "age", models.IntegerField(null=True)),')
    return empty_database


def test_a_wrapper_of_the_project_does_not_ask(applied: str, ops: Ops) -> None:
    with connections[applied].execute_wrapper(tags):
        answer = ops("preflight_migrate", "zoo", database=applied, rehearse="off")

    assert (answer.code, answer.ids) == (0, [])


def test_what_stands_in_place_of_djangos_cursor_does_not_ask(
    applied: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = CursorWrapper.execute

    def traced(self: Any, sql: Any, params: Any = None) -> Any:
        """As Sentry's integration does."""
        return original(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", traced)
    answer = ops("preflight_migrate", "zoo", database=applied, rehearse="off")

    assert (answer.code, answer.ids) == (0, [])
