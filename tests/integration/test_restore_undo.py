"""restore_db --undo takes back what it put aside itself, and nothing that only says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.comments import comment_on
from opsmigrate.postgres.session import open_second, second_connection
from tests.conftest import Ops, execute, query
from tests.remedies import Typist
from tests.rollbacks import kept_databases, oid, payments, restore
from tests.sessions import stranger

pytestmark = [pytest.mark.adversary, pytest.mark.major, pytest.mark.usefixtures("no_kept_database")]

Make = Callable[..., None]


def name_of(alias: str) -> str:
    return str(connections[alias].settings_dict["NAME"])


def claim(alias: str, **about: Any) -> str:
    """Return the comment of a database that says that it was the live one."""
    said = {
        "opsmigrate": "kept",
        "of": name_of(alias),
        "replaced": "2099-01-01T00:00:00+00:00",
        "comment": None,
        "counters": {},
        **about,
    }
    return json.dumps(said)


@pytest.fixture
def evil(new_database: Callable[..., str], roles: Callable[..., dict[str, str]]) -> Make:
    """Let a role that may make databases, and nothing else, make one with this comment."""
    made = roles("CREATEDB")

    def make(alias: str, comment: str, **about: Any) -> None:
        name = f"{name_of(alias)}_before_20990101_000000"
        other = open_second(connections[alias], database="postgres")
        other.settings_dict.update(made)
        execute(other, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with other.cursor() as cursor:
            cursor.execute("SELECT oid FROM pg_database WHERE datname = %s", [name])
            [number] = cursor.fetchone()
        # Whatever we write down of ours, anybody may find out of his own.
        execute(other, comment_on(name, comment or claim(alias, oid=number, **about)))
        other.close()

    return make


@pytest.mark.named
def test_a_stranger_who_says_that_his_was_the_live_one_is_refused_and_named(
    staging: str, ops: Ops, evil: Make
) -> None:
    live = oid(staging)
    evil(staging, "", replaced_by=live)
    [theirs] = kept_databases(staging)

    answer = restore(ops, staging, undo=True)

    assert (answer.code, answer.ids) == (4, ["not-a-former-database"])
    [finding] = answer.report["findings"]
    assert theirs in finding["message"]
    assert "it belongs to role " in finding["message"]
    assert finding["evidence"] == {"databases": [theirs]}
    assert oid(staging) == live


LEFT_BEHIND = {
    "with nothing of what is written down": {},
    "without a table": {"tables": [], "migrations": []},
    "from the future": {"tables": ["public.t"], "migrations": []},
    "of no time": {"tables": ["public.t"], "migrations": [], "replaced": "once"},
}


@pytest.mark.parametrize("about", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_a_comment_that_its_author_left_behind_is_not_believed(
    about: dict[str, Any], staging: str, ops: Ops, evil: Make
) -> None:
    live = oid(staging)
    evil(staging, "", replaced_by=live, **about)
    name = sql.Identifier(f"{name_of(staging)}_before_20990101_000000")
    # As REASSIGN OWNED does, before a role is dropped.
    with second_connection(connections[staging], database="postgres") as other:
        execute(other, sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(name))

    answer = restore(ops, staging, undo=True)

    assert (answer.code, answer.ids) == (4, ["not-a-former-database"]), answer.stdout
    assert oid(staging) == live


def test_a_stranger_does_not_stand_in_the_way_of_the_right_one(
    taken: tuple[str, Path], ops: Ops, evil: Make, typist: Typist
) -> None:
    alias, file = taken
    live = oid(alias)
    assert restore(ops, alias, str(file)).code == 0
    connections[alias].close()
    evil(alias, "", replaced_by=oid(alias))

    answer = restore(ops, alias, undo=True)

    assert answer.code == 0, answer.stdout
    assert answer.ids == ["not-a-former-database"]
    connections[alias].close()
    assert oid(alias) == live
    assert typist.type(alias, answer.report["findings"][0]) == []
    assert restore(ops, alias, undo=True).ids == []


@pytest.mark.parametrize("comment", ["[" * 100_000, '{"opsmigrate": "kept"}', "{}", "[]"])
def test_a_comment_that_says_nothing_is_passed_over(
    staging: str, ops: Ops, evil: Make, comment: str
) -> None:
    evil(staging, comment)

    answer = restore(ops, staging, undo=True)

    assert (answer.code, answer.ids) == (2, ["nothing-to-undo"])


def test_what_was_kept_of_an_earlier_database_of_the_same_name_is_not_taken(
    taken: tuple[str, Path], ops: Ops
) -> None:
    alias, file = taken
    assert restore(ops, alias, str(file)).code == 0
    # It is dropped, and another application gets the name.
    connections[alias].close()
    other = open_second(connections[alias], database="postgres")
    name = sql.Identifier(name_of(alias))
    for statement in ("DROP DATABASE {} WITH (FORCE)", "CREATE DATABASE {}"):
        execute(other, sql.SQL(statement).format(name))
    other.close()
    live = oid(alias)

    answer = restore(ops, alias, undo=True)

    assert (answer.code, answer.ids) == (4, ["not-a-former-database"])
    assert "is not the live one" in answer.report["findings"][0]["message"]
    assert oid(alias) == live


def test_a_comment_that_was_copied_from_the_kept_one_is_not_believed(
    taken: tuple[str, Path], ops: Ops
) -> None:
    alias, file = taken
    assert restore(ops, alias, str(file)).code == 0
    [kept] = kept_databases(alias)
    comment = query(
        alias,
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
        [kept],
    )[0][0]
    copied = f"{name_of(alias)}_before_20990101_000000"
    execute(connections[alias], sql.SQL("CREATE DATABASE {}").format(sql.Identifier(copied)))
    execute(connections[alias], comment_on(copied, comment))
    execute(connections[alias], comment_on(kept, None))

    answer = restore(ops, alias, undo=True)

    assert (answer.code, answer.ids) == (4, ["not-a-former-database"])
    assert "its comment is that of another database" in answer.report["findings"][0]["message"]


@pytest.mark.parametrize(
    ("damage", "lacks"),
    [
        ("DROP TABLE treasury_payment CASCADE", "the table public.treasury_payment"),
        ("DELETE FROM django_migrations WHERE app = 'treasury'", "the migration treasury."),
    ],
)
def test_a_kept_database_that_lost_what_it_had_is_not_taken_back(
    taken: tuple[str, Path], ops: Ops, damage: str, lacks: str
) -> None:
    alias, file = taken
    assert restore(ops, alias, str(file)).code == 0
    live = oid(alias)
    with stranger(alias, database=kept_databases(alias)[0]) as inside:
        execute(inside, damage)

    answer = restore(ops, alias, undo=True)

    assert (answer.code, answer.ids) == (4, ["not-a-former-database"])
    assert lacks in answer.report["findings"][0]["message"]
    assert oid(alias) == live
    assert payments(alias) == 500
