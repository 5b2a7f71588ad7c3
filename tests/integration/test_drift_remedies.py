"""What a drift says to type is typed: then it is gone, and no value is lost or changed by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.db import ProgrammingError, connections, transaction

from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.remedies import UNKNOWN
from opsmigrate.steps import Step
from tests.conftest import execute
from tests.integration.drift_zoo import DRIFTS, LEFT_OUT, ROWS, Injected
from tests.integration.test_drift import drifted, drifts, filled_now, leaves_out, zoo  # noqa: F401
from tests.integration.test_findings_pages import (  # noqa: F401
    RUN,
    Prepare,
    examples,
    findings,
    prepare,
)
from tests.prepared import database_alias
from tests.remedies import Typist, alternatives, contents, contents_seen, losses, unannounced

# As often as what is made again has something of its own to be made.
ROUNDS = 3
CONCURRENTLY = " CONCURRENTLY "
# What somebody has to give back who has a backup, before what rests on it can be made.
GIVEN_BACK = {
    "table gone": (
        'CREATE TABLE kept AS SELECT keeper_ptr_id AS k, "The Rank" AS r FROM zoo_head',
        "INSERT INTO zoo_head SELECT k, r FROM kept",
    ),
    "table in another schema gone": (
        'CREATE TABLE kept AS SELECT *, 1 AS one FROM aside."The Ticket"',
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
def test_a_drift_is_found_once_and_cured_by_what_it_says_to_type(
    peopled: str, injected: Injected, typist: Typist
) -> None:
    connection = connections[peopled]
    if LEFT_OUT in injected.statements and leaves_out(connection):
        with pytest.raises(ProgrammingError, match=LEFT_OUT), drifted(peopled, injected.statements):
            pass
        return
    keep, give_back = GIVEN_BACK.get(injected.name, ("SELECT", "SELECT"))
    with transaction.atomic(using=peopled), connection.cursor() as cursor:
        before = contents_seen(cursor)
        execute(connection, keep)
        filled_now(peopled, injected.statements)
        said = found = drifts(connection)
        execute(connection, "RESET ROLE")
        damaged = contents_seen(cursor)
        for number in range(ROUNDS):
            found = drifts(connection) if number else found
            for drift in found:
                assert drift.hint != UNKNOWN.hint
                assert drift.hint or drift.steps
                execute(connection, "SET LOCAL TIME ZONE 'Asia/Tokyo'")
                for step in first(drift):
                    # What cannot be done in a transaction is typed below.
                    execute(connection, step.text.replace(CONCURRENTLY, " "))
                    typist.typed(drift.id)
                execute(connection, "SET LOCAL TIME ZONE 'UTC'")
            execute(connection, f"{give_back}; SET CONSTRAINTS ALL IMMEDIATE")
            give_back = "SELECT"
        after = contents_seen(cursor)
        left = [drift.words for drift in drifts(connection) if drift.steps]
        transaction.set_rollback(True, using=peopled)

    assert [(item.id, item.table, item.column) for item in said] == [
        (injected.id, injected.table, injected.column)
    ], [item.words for item in said]
    if injected.constraint:
        assert said[0].name == injected.constraint
    assert said[0].claimed or said[0].live
    assert left == []
    # What a statement of the damage took away cannot come back.
    assert losses(before, after) == [] or losses(damaged, after) == []


def test_what_is_made_concurrently_is_typed_as_it_stands(peopled: str, typist: Typist) -> None:
    connections[peopled].close()
    with database_alias(connections[peopled].settings_dict["NAME"]) as alias:
        before, names = contents(alias), []
        for injected in DRIFTS:
            if injected.id == "drift-index":
                filled_now(alias, injected.statements)
                (drift,) = drifts(connections[alias])
                assert any(CONCURRENTLY in step.text for step in drift.steps)
                assert typist.type(alias, asdict(drift)) == []
                names.append(injected.name)
                assert drifts(connections[alias]) == ()

        assert losses(before, contents(alias)) == []
        assert len(names) > 5


@pytest.mark.parametrize("id", [id for id in RUN if id.startswith("drift-")])
def test_the_steps_of_its_page_cure_it_for_preflight_and_migrate(
    id: str,
    prepare: Prepare,  # noqa: F811
    typist: Typist,
) -> None:
    bad, _ = examples(id)
    ways = [1]
    for way in ways:
        page = prepare(bad)
        (found,) = [each for each in findings(page, id) if each["id"] == id]
        ways += [each for each in alternatives(found) if each not in ways]

        gone = typist.type(page.alias, found, alternative=way)

        assert unannounced(found, gone, alternative=way) == []
        assert [each["id"] for each in findings(page, id)] in ([], ["drift-column-unknown"])
        assert id not in [each["id"] for each in findings(page, id)]
        assert page.preflight().code == 0
        assert page.migrate() is None
