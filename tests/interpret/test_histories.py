"""What Django executes, forwards and backwards, replayed: the interpreter and the server agree."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from tests.interpret.histories import recorded, replay, statements_of

CONTRIB = ("admin", "auth", "contenttypes", "flatpages", "redirects", "sessions", "sites")


@pytest.fixture
def all_of_contrib(settings: Any) -> None:
    """Have every app of Django's that has migrations."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        *(f"django.contrib.{name}" for name in ("flatpages", "redirects", "sites")),
    ]


def test_contrib_and_treasury_as_the_server_has_them(
    all_of_contrib: None, new_database: Callable[..., str]
) -> None:
    recording, replaying = (connections[new_database()] for _ in range(2))
    with recorded(recording) as texts:
        call_command("migrate", database=recording.alias, verbosity=0, stdout=StringIO())

    found = replay(list(statements_of(texts)), replaying)

    print(found)
    assert found.statements > 180
    assert found.differences.total() == 0, "\n".join(found.lines)
