"""A rehearsal that keeps its copy: the next one takes no dump, as long as nothing has changed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from tests.backups import scratch_databases
from tests.conftest import Answer, Ops, execute, query
from tests.integration.test_rehearsal_kept_copy import drop_kept
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, prepared, rehearse

SMALL = (
    "CREATE OR REPLACE FUNCTION small(n int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT n < 9'"
)


@pytest.fixture(autouse=True)
def nothing_kept(new_database: Callable[..., str]) -> Iterator[None]:
    """Drop what the tests kept."""
    yield
    drop_kept()


def kept_by(answer: Answer) -> dict[str, Any] | None:
    """Return which kept copy a rehearsal was on."""
    found: dict[str, Any] | None = answer.report["facts"]["rehearsal"]["kept_copy"]
    return found


@pytest.mark.major
def test_the_second_rehearsal_is_on_what_the_first_kept_until_a_row_is_written(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    first = rehearse(ops, alias, keep_copy=True)
    [kept] = scratch_databases(alias)
    second = rehearse(ops, alias)
    about = kept_by(second)
    assert (first.code, kept_by(first)) == (0, None)
    assert about is not None
    assert (second.code, about["name"], about["backup"], about["stale"]) == (0, kept, None, [])
    assert "of what an earlier rehearsal kept" in second.report["facts"]["summary"]

    # A no, after a change that the copy does not have, and no copy is left but one.
    execute(connections[alias], "UPDATE zoo_cage SET size = 0")
    third = rehearse(ops, alias, keep_copy=True)
    assert (third.code, kept_by(third)) == (1, None)
    [anew] = scratch_databases(alias)
    assert anew != kept
    assert migrate(alias, "zoo") is not None


@pytest.mark.long
def test_a_copy_that_somebody_wrote_to_since_is_not_used(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    rehearse(ops, alias, keep_copy=True)
    [kept] = scratch_databases(alias)
    execute_there(alias, kept, "UPDATE zoo_cage SET size = 0")

    answer = rehearse(ops, alias)

    assert (answer.code, kept_by(answer)) == (0, None)


def execute_there(alias: str, name: str, statement: str) -> None:
    """Execute a statement in another database of the server."""
    other = connections[alias].copy()
    other.settings_dict = {**other.settings_dict, "NAME": name}
    execute(other, statement)
    other.close()


@pytest.mark.long
def test_a_sequence_that_was_put_right_is_put_right_on_the_kept_copy_too(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    inserts = """migrations.RunPython(lambda apps, editor: apps.get_model("zoo", "Cage")
        .objects.using(editor.connection.alias).create(name="b")),"""
    behind = "SELECT setval('zoo_cage_id_seq', 1, false)"
    alias = prepared(empty_database, write_migrations, inserts, behind)
    first = rehearse(ops, alias, keep_copy=True)
    execute(connections[alias], "SELECT setval('zoo_cage_id_seq', 9)")

    second = rehearse(ops, alias)

    assert (first.code, second.code) == (1, 0), second.stdout
    assert kept_by(second) is not None
    assert query(alias, "SELECT last_value FROM zoo_cage_id_seq") == [(9,)]
    assert migrate(alias, "zoo") is None


@pytest.mark.long
@pytest.mark.parametrize(
    "setup",
    [
        (SMALL,),
        (SMALL, "ALTER TABLE zoo_cage ADD CHECK (small(size))", SMALL.replace("n < 9", "n < 0")),
    ],
    ids=["whole", "rows-contradict"],
)
def test_a_copy_that_lacks_something_is_not_kept(
    setup: tuple[str, ...], empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE, *setup)
    rehearse(ops, alias, keep_copy=True)
    assert len(scratch_databases(alias)) == (len(setup) == 1)
