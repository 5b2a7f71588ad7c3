"""What is pending in each target of a fleet: by one query, and as `migrate` would say."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from opsmigrate.fleet.pending import Pending, pending
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.opening import owned
from opsmigrate.preflight.plan import MigrateArguments
from tests.conftest import execute
from tests.fleets import schemas, target
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.sessions import held

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
ZOO = MigrateArguments(app_label="zoo")


def said(alias: str, *found: Target) -> dict[str, Pending]:
    with owned(connections[alias]) as connection:
        return {each.target.label: each for each in pending(connection, found, ZOO)}


@pytest.fixture
def fleet(empty_database: str, write_migrations: Write) -> Callable[..., list[Target]]:
    """Return a function that makes schemas with the first migration of the zoo applied."""
    write_migrations(CAGE, AGE)
    return lambda *names: schemas(empty_database, *names)


def test_what_is_pending_is_said_of_each_schema_as_its_history_is(
    fleet: Callable[..., list[Target]], empty_database: str
) -> None:
    targets = fleet("old", "also old", "new", 'o"dd', "never")
    connection = connections[empty_database]
    record = "INSERT INTO new.django_migrations (app, name, applied) VALUES ('zoo', %s, now())"
    execute(connection, record, ["0002_step"])
    execute(connection, "TRUNCATE never.django_migrations")

    found = said(empty_database, *targets, target(empty_database, "nowhere"))

    assert {label: each.migrations for label, each in found.items()} == {
        "old": ("zoo.0002_step",),
        "also old": ("zoo.0002_step",),
        "new": (),
        'o"dd': ("zoo.0002_step",),
        "never": None,
        "nowhere": None,
    }
    assert [label for label, each in found.items() if each.nothing] == ["new"]
    assert found["old"].history == found["also old"].history != found["new"].history
    assert found["never"].why == "nothing is recorded in its schema"


def test_what_cannot_be_read_is_said_and_keeps_nobody_waiting(
    fleet: Callable[..., list[Target]], empty_database: str
) -> None:
    targets = fleet("free", "locked", "seen", "odd")
    connection = connections[empty_database]
    execute(connection, "ALTER TABLE seen.django_migrations RENAME TO kept")
    execute(connection, "CREATE VIEW seen.django_migrations AS SELECT * FROM seen.kept")
    execute(connection, "ALTER TABLE odd.django_migrations DROP COLUMN name")

    with held(empty_database, "LOCK TABLE locked.django_migrations"):
        found = said(empty_database, *targets)

    assert {label: each.migrations for label, each in found.items()} == {
        "free": ("zoo.0002_step",),
        "locked": None,
        "seen": None,
        "odd": None,
    }
    assert "lock timeout" in str(found["locked"].why)


def test_a_history_that_contradicts_itself_is_for_a_command_of_its_own(
    fleet: Callable[..., list[Target]], empty_database: str
) -> None:
    targets = fleet("good", "bad")
    statement = "UPDATE bad.django_migrations SET name = '0002_step' WHERE app = 'zoo'"
    execute(connections[empty_database], statement)

    found = said(empty_database, *targets)

    assert found["good"].migrations == ("zoo.0002_step",)
    assert found["bad"].migrations is None
    assert "before its dependency" in str(found["bad"].why)


def test_the_number_of_statements_does_not_grow_with_that_of_the_targets(
    fleet: Callable[..., list[Target]], empty_database: str
) -> None:
    targets = fleet(*(f"t{number}" for number in range(8)))
    asked: list[Any] = []

    def count(execute: Any, *statement: Any) -> Any:
        asked.append(statement[0])
        return execute(*statement)

    def statements(number: int) -> int:
        asked.clear()
        with connections[empty_database].execute_wrapper(count):
            said(empty_database, *targets[:number])
        return len(asked)

    assert statements(2) == statements(8)
