"""What a drift says to type is typed: then it is gone, and no value is lost or changed by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.db import connections, transaction

from opsmigrate.schema.differences import Drift
from opsmigrate.schema.remedies import UNKNOWN
from opsmigrate.steps import Step
from tests.conftest import execute
from tests.cures import Typist, contents, contents_seen, losses
from tests.integration.drift_zoo import DRIFTS, LEFT_OUT, ROWS, Injected
from tests.integration.test_drift import drifts, filled_now, leaves_out, zoo  # noqa: F401
from tests.prepared import database_alias

# As often as what is made again has something of its own to be made.
ROUNDS = 3
CONCURRENTLY = " CONCURRENTLY "
# What somebody has to give back who has a backup, before what rests on it can be made.
GIVEN_BACK = {
    "table gone": (
        "CREATE TABLE kept AS TABLE zoo_head",
        "INSERT INTO zoo_head TABLE kept",
    ),
    "table in another schema gone": (
        'CREATE TABLE kept AS TABLE aside."The Ticket"',
        'INSERT INTO aside."The Ticket" (name, head_id, shadow_id, _order)'
        " SELECT name, head_id, shadow_id, _order FROM kept",
    ),
    "column gone": (
        "CREATE TABLE kept AS SELECT id, code FROM zoo_cage",
        "UPDATE zoo_cage c SET code = k.code FROM kept k WHERE k.id = c.id",
    ),
    "oddly named column gone": ("SELECT", 'UPDATE zoo_head SET "The Rank" = 7'),
    "order column gone": ("SELECT", 'UPDATE aside."The Ticket" SET _order = 1'),
}
# The drift that is a decision, and what must be said of it.
WORDS = {
    "a domain": "",
}


@pytest.fixture(scope="module")
def peopled(zoo: str, django_db_blocker: Any) -> str:  # noqa: F811
    """Return the alias of the zoo's database, with rows in its tables."""
    with django_db_blocker.unblock():
        execute(connections[zoo], ROWS)
    return zoo


def first(drift: Drift) -> Iterator[Step]:
    """Yield the steps of the likelier way."""
    yield from (step for step in drift.steps if step.alternative == 1)


@pytest.mark.parametrize("injected", DRIFTS, ids=lambda item: item.name)
def test_a_drift_is_cured_by_what_it_says_to_type(
    peopled: str, injected: Injected, typist: Typist
) -> None:
    connection = connections[peopled]
    if LEFT_OUT in injected.statements and leaves_out(connection):
        return
    keep, give_back = GIVEN_BACK.get(injected.name, ("SELECT", "SELECT"))
    with transaction.atomic(using=peopled), connection.cursor() as cursor:
        before = contents_seen(cursor)
        execute(connection, keep)
        filled_now(peopled, injected.statements)
        damaged = contents_seen(cursor)
        for _ in range(ROUNDS):
            found = drifts(connection)
            for drift in found:
                assert drift.hint != UNKNOWN.hint
                assert drift.hint or drift.steps
                for step in first(drift):
                    # What cannot be done in a transaction is typed below.
                    execute(connection, step.text.replace(CONCURRENTLY, " "))
                    typist.typed(drift.id)
            execute(connection, f"{give_back}; SET CONSTRAINTS ALL IMMEDIATE")
            give_back = "SELECT"
        after = contents_seen(cursor)
        left = [drift.words for drift in drifts(connection) if drift.steps]
        transaction.set_rollback(True, using=peopled)

    assert left == []
    assert losses(before, after) == [] or losses(damaged, after) == []


def test_what_is_made_concurrently_is_typed_as_it_stands(peopled: str, typist: Typist) -> None:
    connections[peopled].close()
    with database_alias(connections[peopled].settings_dict["NAME"]) as alias:
        before, names = contents(alias), []
        for injected in DRIFTS:
            if injected.id in ("drift-index", "drift-index-invalid"):
                filled_now(alias, injected.statements)
                (drift,) = drifts(connections[alias])
                assert any(CONCURRENTLY in step.text for step in drift.steps)
                assert typist.type(alias, asdict(drift)) == []
                names.append(injected.name)
                assert drifts(connections[alias]) == ()

        assert losses(before, contents(alias)) == []
        assert len(names) > 5
