"""One rehearsal shows all that stands in the way: what is known is put right, on the copy only."""

import pytest
from django.db import connections

from opsmigrate.preflight.rehearsal import cures
from opsmigrate.steps import Step, statement
from tests.conftest import Answer, Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, SCRATCH, dump, rehearse

LACKS_UNIQUE = "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key"


def errors(answer: Answer) -> list[tuple[str, str, bool]]:
    """Return of each error its id, its migration, and whether it was found after a cure."""
    return [
        (each["id"], each["migration"], each["after_cure"])
        for each in answer.report["findings"]
        if each["severity"] == "error"
    ]


def broken(
    alias: str, write: Write, *pending: str, drift: tuple[str, ...] = (LACKS_UNIQUE,)
) -> str:
    """Give the database a cage, a drift and the pending migrations; return its alias."""
    write(CAGE)
    assert migrate(alias, "zoo") is None
    for each in (ROW, *drift):
        execute(connections[alias], each)
    write(CAGE, *pending)
    return alias


@pytest.mark.major
def test_what_comes_after_a_known_error_is_found_in_the_same_run(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    zero = "UPDATE zoo_cage SET size = 0"
    alias = broken(empty_database, write_migrations, KEEPER, DOUBLE, drift=(LACKS_UNIQUE, zero))
    before = dump(alias)

    answer = rehearse(ops, alias)

    assert answer.code == 1, answer.stdout
    assert errors(answer) == [
        ("missing-unique", "zoo.0002_step", False),
        ("rehearsal-failed", "zoo.0003_step", True),
    ]
    assert answer.report["facts"]["summary"].startswith("migrate would fail at zoo.0002_step")
    cured = answer.report["facts"]["rehearsal"]["cured"]
    assert [step["text"] for step in cured["typed"]] == [
        'ALTER TABLE "public"."zoo_cage" ADD UNIQUE ("code");'
    ]
    assert not cured["applied"]
    assert cured["ended"] == "a person has to decide what puts it right"
    assert (dump(alias), query(alias, SCRATCH)) == (before, [])
    # Typed on the live database, it goes as far.
    execute(connections[alias], cured["typed"][0]["text"])
    assert "by zero" in str(migrate(alias, "zoo"))


@pytest.mark.long
def test_where_all_is_put_right_it_says_that_nothing_else_is_in_the_way(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    null = "UPDATE zoo_cage SET size = NULL"
    strict = 'migrations.AlterField("cage", "size", models.IntegerField()),'
    alias = broken(empty_database, write_migrations, KEEPER, strict, drift=(LACKS_UNIQUE, null))

    answer = rehearse(ops, alias)

    assert answer.code == 1, answer.stdout
    assert [after for *_, after in errors(answer)] == [False, False]
    cured = answer.report["facts"]["rehearsal"]["cured"]
    assert (cured["applied"], cured["ended"]) == (True, None), cured
    for step in cured["typed"]:
        execute(connections[alias], step["text"])
    assert migrate(alias, "zoo") is None


def test_the_column_that_a_seed_would_add_is_seeded_on_the_copy(staging: str, ops: Ops) -> None:
    answer = ops(
        "preflight_migrate", "treasury", "0002", database=staging, rehearse="clone", format="text"
    )

    assert answer.code == 1
    assert "After 1 step of those below on the copy, migrate applied there:" in answer.stdout
    assert "nothing else is in the way." in answer.stdout
    column = "SELECT FROM pg_attribute WHERE attname = 'payment_id' AND NOT attisdropped"
    assert query(staging, column) == []


@pytest.mark.long
def test_a_cure_that_fails_ends_it_with_the_words_of_the_server(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    twice = "INSERT INTO zoo_cage (code, name) SELECT code, name FROM zoo_cage"
    alias = broken(empty_database, write_migrations, KEEPER, drift=(LACKS_UNIQUE, twice))

    answer = rehearse(ops, alias)

    assert errors(answer) == [("missing-unique", "zoo.0002_step", False)]
    cured = answer.report["facts"]["rehearsal"]["cured"]
    assert not cured["applied"]
    assert "ADD UNIQUE" in cured["ended"]
    assert "could not create unique index" in cured["ended"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE ROLE opsmigrate_planted",
        pytest.param("CREATE DATABASE opsmigrate_planted", marks=pytest.mark.long),
    ],
)
def test_a_cure_is_typed_inside_the_fence(
    text: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def planted(*_: object) -> tuple[Step, ...]:
        return (statement(text),)

    monkeypatch.setattr(cures, "steps_for", planted)
    alias = broken(empty_database, write_migrations, KEEPER)

    answer = rehearse(ops, alias)

    assert errors(answer) == [("missing-unique", "zoo.0002_step", False)]
    assert "a rehearsal may not run SQL" in answer.report["facts"]["rehearsal"]["cured"]["ended"]
    assert query(alias, "SELECT rolname FROM pg_roles WHERE rolname = 'opsmigrate_planted'") == []


@pytest.mark.long
def test_a_migration_that_stopped_half_way_is_not_begun_again(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = broken(
        empty_database,
        write_migrations,
        f"atomic = False\noperations = [\n{KEEPER}\n]",
    )

    answer = rehearse(ops, alias)

    assert errors(answer) == [("missing-unique", "zoo.0002_step", False)]
    ended = answer.report["facts"]["rehearsal"]["cured"]["ended"]
    assert ended == "zoo.0002_step is not atomic, and stopped half-way there"
