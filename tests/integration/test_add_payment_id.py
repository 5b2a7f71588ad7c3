"""scripts/add_payment_id.sql: without Python, to the same end as seed_payment_id."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import Ops, execute, query, url_of
from tests.integration.zoo_migrations import migrate
from tests.seed_tables import PLAIN
from tests.seeding import (
    OLD_RELEASE,
    SCHEMA,
    add_column,
    autovacuum_working,
    given,
    holding,
    wait_for,
    writing,
)
from tests.sql_script import ADD, SCRIPT, psql, run_sql

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="psql was not tried on Windows")


@pytest.mark.major
def test_the_script_ends_in_the_same_schema_as_the_command(
    staging: str, migrated: str, ops: Ops
) -> None:
    with writing(staging, *OLD_RELEASE) as written:
        first = run_sql(staging, batch="60")
    before = given(staging)
    again = run_sql(staging)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert written.errors == []
    assert "NOT NULL, unique, 0 NULLs, 0 duplicates" in first.stderr
    assert query(staging, SCHEMA) == query(migrated, SCHEMA)
    assert given(staging) == before
    assert query(staging, "SELECT count(*) FROM treasury_payment") == [(len(set(before.values())),)]
    assert ops("seed_payment_id", database=staging, verify_only=True).code == 0
    assert migrate(staging, "treasury") is None


NAME = "treasury_payment_payment_id_key"
STATES = {
    "some values": [
        ADD,
        "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE id < 200",
    ],
    "another name": [f"{ADD} CONSTRAINT somebodys UNIQUE"],
    "an index": [ADD, "CREATE UNIQUE INDEX somebodys ON treasury_payment (payment_id)"],
    "an INVALID index": [
        ADD,
        f"CREATE UNIQUE INDEX {NAME} ON treasury_payment (payment_id)",
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{NAME}'::regclass",
    ],
    "the check of a run that was killed": [
        ADD,
        "ALTER TABLE treasury_payment ADD CONSTRAINT opsmigrate_seeded"
        " CHECK (payment_id IS NOT NULL) NOT VALID",
    ],
}


@pytest.mark.major
@pytest.mark.parametrize("state", STATES, ids=lambda name: name.replace(" ", "-"))
def test_the_script_goes_on_from_every_state(state: str, staging: str, ops: Ops) -> None:
    for statement in STATES[state]:
        execute(connections[staging], statement)
    before = given(staging)

    answer = run_sql(staging)

    assert answer.returncode == 0, answer.stderr
    assert {key: given(staging)[key] for key in before} == before
    assert ops("seed_payment_id", database=staging, verify_only=True).code == 0
    checks = "SELECT count(*) FROM pg_constraint WHERE conname = 'opsmigrate_seeded'"
    assert query(staging, checks) == [(0,)]


def test_the_script_warns_of_subscribers(empty_database: str) -> None:
    for statement in (PLAIN, "CREATE PUBLICATION p FOR TABLE t"):
        execute(connections[empty_database], statement)

    answer = run_sql(empty_database, table="t", column="c")

    assert answer.returncode == 0
    assert "WARNING:  public.t is published (p)" in answer.stderr


@pytest.mark.major
def test_a_duplicate_that_is_written_meanwhile_leaves_no_invalid_index(empty_database: str) -> None:
    # The default tells rows apart, but a trigger does not.
    for statement in (
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 300) n",
        "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.c := '00000000-0000-4000-8000-000000000001'; RETURN NEW; END $$",
        "CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION same()",
    ):
        execute(connections[empty_database], statement)

    answer = run_sql(empty_database, table="t", column="c", triggers="fire")

    assert answer.returncode == 3
    assert "is duplicated" in answer.stderr
    assert "stopped: the unique index could not be made" in answer.stderr
    assert query(empty_database, "SELECT 1 FROM pg_index WHERE indrelid = 't'::regclass") == []


@pytest.mark.long
def test_the_script_gets_past_an_autovacuum(empty_database: str) -> None:
    with autovacuum_working(empty_database):
        answer = run_sql(empty_database, table="t", column="c", patience="30")

    assert answer.returncode == 0, answer.stderr
    assert "one try waits 1500ms" in answer.stderr


def test_names_and_schema_may_hold_anything(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, """CREATE SCHEMA "odd's" """)
    execute(
        connection,
        """CREATE TABLE "odd's"."Order ü" AS SELECT n FROM generate_series(1, 300) n""",
    )

    answer = run_sql(empty_database, table='"odd\'s"."Order ü"', column='Päy "id"', batch="50")

    assert answer.returncode == 0, answer.stderr
    distinct = sql.SQL("SELECT count(*), count(DISTINCT {}) FROM {}").format(
        sql.Identifier('Päy "id"'), sql.Identifier("odd's", "Order ü")
    )
    [(rows, values)] = query(empty_database, distinct)
    assert rows == values == 300


def test_a_script_that_is_killed_goes_on_where_it_was(staging: str, ops: Ops) -> None:
    execute(connections[staging], ADD)
    default = "ALTER TABLE treasury_payment ALTER payment_id SET DEFAULT gen_random_uuid()"
    execute(connections[staging], default)
    with holding(staging, "SELECT FROM treasury_payment WHERE id = 499 FOR UPDATE"):
        process = subprocess.Popen(
            [psql(), "-X", "-d", url_of(staging), "-v", "batch=20", "-f", str(SCRIPT)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(staging, "SELECT count(payment_id) = 499 FROM treasury_payment")
        second = run_sql(staging)
        command = ops("seed_payment_id", database=staging)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        # The server notices when it writes to the client next, at the latest at its end.
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'psql' AND datname = current_database()",
        )
        before = given(staging)
    wait_for(
        staging,
        "SELECT count(*) = 0 FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()",
    )

    answer = run_sql(staging)

    assert "another run is seeding" in second.stderr
    assert command.ids == ["already-running"]
    assert answer.returncode == 0, answer.stderr
    after = given(staging)
    assert len(after) == 500
    assert {key: after[key] for key in before} == before


def test_a_lock_that_is_held_stops_the_script_and_nobody_waits_long(staging: str) -> None:
    with (
        holding(staging, "LOCK TABLE treasury_payment IN ACCESS SHARE MODE"),
        writing(staging, "SELECT 1 FROM treasury_payment WHERE id = {}") as written,
    ):
        answer = run_sql(staging, patience="1")

    assert answer.returncode == 3
    assert "the lock was not obtained" in answer.stderr
    assert "treasury_payment is held by process " in answer.stderr
    assert "payment_id" not in {row[1] for row in query(staging, SCHEMA)}
    assert written.longest < 1.0


def test_the_batches_of_the_script_are_small_where_all_that_is_left_stands_at_the_end(
    empty_database: str,
) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t WITH (autovacuum_enabled = off) AS SELECT 1 AS n")
    execute(connection, "INSERT INTO t SELECT n FROM generate_series(1, 60000) n")
    execute(connection, "DELETE FROM t WHERE n < 55000")

    answer = run_sql(empty_database, table="t", column="c", batch="200")

    assert answer.returncode == 0, answer.stderr
    batches = (
        "SELECT sum(rows), max(rows) FROM (SELECT count(*) AS rows FROM t GROUP BY xmin::text)"
    )
    [(rows, largest)] = query(empty_database, batches + " b")
    assert rows == 5001
    assert largest < 400


def test_the_script_fills_a_row_that_others_only_refer_to(staging: str) -> None:
    add_column(staging)
    with (
        holding(staging, "SELECT FROM treasury_payment WHERE id = 7 FOR KEY SHARE"),
        holding(staging, "SELECT FROM treasury_payment WHERE id = 8 FOR UPDATE"),
    ):
        answer = run_sql(staging, patience="0")

    assert "rows are left that other sessions have locked" in answer.stderr
    left = query(staging, "SELECT id FROM treasury_payment WHERE payment_id IS NULL")
    assert left == [(8,)]
