"""A column that holds UUIDs as text becomes one of UUIDs, while the old release writes text."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from django.db import connections

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import OpsmigrateError, PartialError, RefusedError
from opsmigrate.postgres.session import second_connection
from opsmigrate.report import Verdict
from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import migrate
from tests.seeding import PAYMENTS, QUIET, goal_for, options, wait_for, writing

pytestmark = pytest.mark.major

KINDS = {
    "varchar(36)": "gen_random_uuid()::text",
    "char(36)": "upper(gen_random_uuid()::text)",
    "text": "gen_random_uuid()::text",
    "char(32)": "replace(gen_random_uuid()::text, '-', '')",
}


def table(alias: str, kind: str, value: str, *more: str) -> None:
    statements = [
        f"CREATE TABLE t (id bigint PRIMARY KEY, v text, c {kind})",
        f"INSERT INTO t SELECT n, 'v', {value} FROM generate_series(1, 2000) n",
        *more,
    ]
    for statement in statements:
        execute(connections[alias], statement)


def columns(alias: str) -> list[tuple[Any, ...]]:
    return query(
        alias,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_holds_uuids_becomes_a_uuid_column_with_the_same_values(
    kind: str, empty_database: str
) -> None:
    like = "CREATE INDEX t_c_like ON t (c text_pattern_ops)" if kind == "text" else "SELECT 1"
    table(
        empty_database, kind, KINDS[kind], "ALTER TABLE t ADD CONSTRAINT t_c_key UNIQUE (c)", like
    )
    execute(connections[empty_database], "UPDATE t SET c = NULL WHERE id > 1990")
    before = dict(query(empty_database, "SELECT id, c FROM t WHERE id BETWEEN 101 AND 1990"))
    # As a driver sends a string: a literal of no type, which suits text and uuid alike.
    literal = "'00000000000040008000{0:012}'"
    changed = f"UPDATE t SET c = {literal} WHERE id = {{0}} % 100"
    new = f"INSERT INTO t VALUES ({{0}} + 5000, 'new', {literal}) ON CONFLICT DO NOTHING"
    empty = "INSERT INTO t VALUES ({} + 5000, 'without') ON CONFLICT DO NOTHING"

    with writing(empty_database, changed, new, empty) as written:
        result = seed(
            connections[empty_database], goal_for(), options(max_rows_per_second=4000.0), QUIET
        )

    assert result.verdict is Verdict.PASSED
    assert [error for error in written.errors if "t_c_key" not in error] == []
    assert columns(empty_database)[0] == ("c", "uuid", True, True)
    assert len(columns(empty_database)) == 3
    after = dict(query(empty_database, "SELECT id, c FROM t WHERE id BETWEEN 101 AND 1990"))
    assert after == {key: uuid.UUID(value) for key, value in before.items()}
    assert query(empty_database, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    assert query(
        empty_database,
        "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 't'::regclass",
    ) == [("t_c_key",)]


def test_what_is_written_meanwhile_is_what_stands_there_at_the_end(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    execute(connections[empty_database], "CREATE TABLE log (id bigint, c text)")
    both = (
        "WITH new AS (UPDATE t SET c = gen_random_uuid()::text WHERE id = {} % 2000"
        " RETURNING id, c::text) INSERT INTO log SELECT * FROM new"
    )

    slow = options(max_rows_per_second=1500.0, time_budget=0.6)
    with (
        writing(empty_database, both) as written,
        pytest.raises(PartialError, match="time budget"),
    ):
        seed(connections[empty_database], goal_for(), slow, QUIET)
    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert written.statements > 20
    last = (
        "SELECT count(*) FROM (SELECT DISTINCT ON (id) id, c FROM log ORDER BY id, ctid DESC) l"
        " JOIN t USING (id) WHERE l.c <> t.c::text"
    )
    assert query(empty_database, last) == [(0,)]


def test_text_that_is_no_uuid_and_written_meanwhile_is_not_lost(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    goal = goal_for(unique=False, nullable=True)
    followed = "SELECT count(*) = 1 FROM pg_trigger WHERE NOT tgisinternal"

    def write() -> None:
        try:
            wait_for(empty_database, followed)
        finally:
            connections[empty_database].close()
        with second_connection(connections[empty_database]) as other:
            execute(other, "UPDATE t SET c = 'precious' WHERE id = 7")

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(OpsmigrateError) as stopped:
        seed(connections[empty_database], goal, options(max_rows_per_second=1500.0), QUIET)
    writer.join()
    assert stopped.value.id == "not-seeded"
    assert query(empty_database, "SELECT c FROM t WHERE id = 7") == [("precious",)]

    execute(connections[empty_database], "UPDATE t SET c = NULL WHERE id = 7")
    result = seed(connections[empty_database], goal, options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert columns(empty_database)[0] == ("c", "uuid", False, True)


REFUSALS: dict[str, tuple[list[str], str]] = {
    "no uuid": (
        ["UPDATE t SET c = 'payment ' || id WHERE id < 4"],
        "3 values that are no UUID: 'payment 1', 'payment 2', 'payment 3'",
    ),
    "the same uuid twice": (
        ["UPDATE t SET c = upper((SELECT c FROM t WHERE id = 1)) WHERE id = 2"],
        "stand on more than one row",
    ),
    "a view": (["CREATE VIEW w AS SELECT c FROM t"], "view w"),
    "a foreign key": (
        ["ALTER TABLE t ADD UNIQUE (c)", "CREATE TABLE o (c varchar(36) REFERENCES t (c))"],
        "constraint o_c_fkey",
    ),
    "an index of two columns": (["CREATE INDEX two ON t (id, c)"], "index two"),
    "children": (["CREATE TABLE u () INHERITS (t)"], "partitions or children"),
}


@pytest.mark.parametrize("why", REFUSALS, ids=lambda name: name.replace(" ", "-"))
def test_text_that_cannot_be_swapped_is_refused_before_anything_is_written(
    why: str, empty_database: str
) -> None:
    statements, words = REFUSALS[why]
    table(empty_database, "varchar(36)", KINDS["varchar(36)"], *statements)
    before = columns(empty_database)
    goal = goal_for(unique=why != "children")

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], goal, options(), QUIET)

    assert words in str(refused.value)
    assert refused.value.hint
    assert columns(empty_database) == before


def test_a_payment_id_of_text_ends_as_migrate_wants_it(staging: str, ops: Ops) -> None:
    connection = connections[staging]
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id varchar(36)")
    execute(connection, "UPDATE treasury_payment SET payment_id = gen_random_uuid()")
    dry = ops("seed_payment_id", database=staging, dry_run=True)

    answer = ops("seed_payment_id", database=staging)

    assert (dry.code, answer.code) == (0, 0), answer.stdout
    assert [phase["phase"] for phase in dry.report["facts"]["phases"]][::7] == [
        "add a uuid column that follows the text",
        "put the uuid column in its place",
    ]
    assert migrate(staging, "treasury") is None
    assert PAYMENTS.constraint in str(query(staging, "SELECT conname FROM pg_constraint"))
