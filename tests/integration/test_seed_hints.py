"""What a refusal says to type is right as it stands, whatever the names are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.seed import seed
from opsmigrate.errors import RefusedError
from opsmigrate.report import Verdict
from tests.conftest import execute, query
from tests.seeding import QUIET, options

ODD = Goal(
    schema='odd "schema"',
    table="Order % 'x' ü",
    column='Select "ü"',
    type="uuid",
    expression="gen_random_uuid()",
)
UUID = "00000000-0000-0000-0000-000000000001"
ADD = "ALTER TABLE {table} ADD COLUMN {column} uuid"
# What makes the refusal, and its id; where the hint alone makes the seed pass, True.
REFUSALS: dict[str, tuple[list[str], str, bool]] = {
    "another type": (["ALTER TABLE {table} ADD COLUMN {column} integer"], "column-type", True),
    "duplicates": ([ADD, f"UPDATE {{table}} SET {{column}} = '{UUID}'"], "duplicates", False),
    "one default": (
        [ADD, f"ALTER TABLE {{table}} ALTER COLUMN {{column}} SET DEFAULT '{UUID}'"],
        "unique-with-one-default",
        True,
    ),
    "the name of the constraint": (["CREATE SEQUENCE {key}"], "index-exists", True),
    "a deferrable constraint": (
        [ADD, "ALTER TABLE {table} ADD CONSTRAINT {plain} UNIQUE ({column}) DEFERRABLE"],
        "index-exists",
        True,
    ),
    "no replica identity": (
        ["ALTER TABLE {table} REPLICA IDENTITY NOTHING", "CREATE PUBLICATION p FOR TABLE {table}"],
        "no-replica-identity",
        True,
    ),
    "text that is no uuid": (
        ["ALTER TABLE {table} ADD COLUMN {column} varchar(36) DEFAULT 'none'"],
        "column-type",
        False,
    ),
    "text that is one uuid": (
        [f"ALTER TABLE {{table}} ADD COLUMN {{column}} varchar(36) DEFAULT '{UUID}'"],
        "duplicates",
        False,
    ),
    "text beside a column of our name": (
        ["ALTER TABLE {table} ADD COLUMN {column} text, ADD COLUMN {shadow} int"],
        "column-type",
        True,
    ),
}


def make(alias: str, statements: list[str]) -> None:
    names = {
        "table": ODD.relation,
        "column": sql.Identifier(ODD.column),
        "key": sql.Identifier(ODD.schema, ODD.constraint),
        "plain": sql.Identifier(ODD.constraint),
        "shadow": sql.Identifier(f"{ODD.column}_seeded"),
    }
    execute(connections[alias], sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(ODD.schema)))
    table = "CREATE TABLE {table} AS SELECT n FROM generate_series(1, 30) n"
    for statement in (table, *statements):
        execute(connections[alias], sql.SQL(statement).format(**names))


@pytest.mark.parametrize("why", REFUSALS, ids=lambda name: name.replace(" ", "-"))
def test_the_hint_can_be_typed_as_it_stands(why: str, empty_database: str) -> None:
    statements, id, mends = REFUSALS[why]
    make(empty_database, statements)

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], ODD, options(), QUIET)
    hint = sql.SQL(str(refused.value.hint))

    assert refused.value.id == id
    if not mends:
        assert query(empty_database, hint)
        return
    execute(connections[empty_database], hint)
    assert seed(connections[empty_database], ODD, options(), QUIET).verdict is Verdict.PASSED


def test_the_right_that_is_missing_can_be_granted_as_it_stands(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    user = role()
    make(
        empty_database,
        ["ALTER TABLE {table} OWNER TO " + '"' + user["USER"].replace('"', '""') + '"'],
    )
    usage = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
    execute(
        connections[empty_database],
        usage.format(sql.Identifier(ODD.schema), sql.Identifier(user["USER"])),
    )
    theirs = connections[empty_database].copy(f"stranger {empty_database}")
    theirs.settings_dict.update(user)
    try:
        with pytest.raises(RefusedError, match="may not create an index") as refused:
            seed(theirs, ODD, options(), QUIET)
        execute(connections[empty_database], sql.SQL(str(refused.value.hint)))
        assert seed(theirs, ODD, options(), QUIET).verdict is Verdict.PASSED
    finally:
        theirs.close()
