"""What Django executes, forwards and backwards, replayed: the interpreter and the server agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from tests.conftest import execute
from tests.integration.data_pairs import DATA_PAIRS
from tests.integration.hidden_pairs import HIDDEN_PAIRS
from tests.integration.pairs import PAIRS, Pair
from tests.integration.zoo_migrations import Write, migrate
from tests.interpret.histories import backwards, forwards, recorded, replay, statements_of

ALL = [*PAIRS, *DATA_PAIRS, *HIDDEN_PAIRS]


@pytest.fixture
def all_of_contrib(settings: Any) -> None:
    """Have every app of Django's that has migrations."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        *(f"django.contrib.{name}" for name in ("flatpages", "redirects", "sites")),
    ]


@pytest.mark.major
def test_contrib_and_treasury_as_the_server_has_them(
    all_of_contrib: None, new_database: Callable[..., str]
) -> None:
    texts = forwards(connections[new_database()])

    found = replay(list(statements_of(texts)), connections[new_database()])

    print(found)
    assert found.statements > 180
    assert found.differences.total() == 0, "\n".join(found.lines)


@pytest.mark.long
def test_contrib_and_treasury_backwards(
    all_of_contrib: None, new_database: Callable[..., str]
) -> None:
    recording = connections[new_database()]
    there, back = forwards(recording), backwards(recording)

    found = replay(list(statements_of([*there, *back])), connections[new_database()])

    print(found)
    assert found.statements > 300
    assert found.differences.total() == 0, "\n".join(found.lines)


@pytest.mark.long
@pytest.mark.parametrize("pair", ALL, ids=lambda pair: pair.name.replace(" ", "-"))
def test_both_databases_of_a_pair(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write
) -> None:
    """Also what the server refuses on the bad one."""
    for drift in dict.fromkeys([(), pair.drift]):
        recording = connections[new_database()]
        with recorded(recording) as texts:
            write_migrations(pair.first)
            assert migrate(recording.alias, "zoo") is None
            for statement in (*pair.setup, *drift):
                execute(recording, statement)
            write_migrations(
                pair.first,
                pair.pending,
                atomic=pair.atomic if pair.drift else True,
                extension="plpgsql" if pair.drift else "no_such_extension",
            )
            migrate(recording.alias, "zoo")

        found = replay(list(statements_of(texts)), connections[new_database()])

        print(found)
        assert found.differences.total() == 0, "\n".join(found.lines)
