"""The engine behind seed_payment_id: any names, locked rows and tables, budgets, two at once."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.fill import Tally
from opsmigrate.backfill.seed import seed
from opsmigrate.backfill.sessions import LOCK_SPACE, filling_sessions, seed_lock
from opsmigrate.backfill.state import read_state
from opsmigrate.backfill.sweep import sweep
from opsmigrate.errors import PartialError, RefusedError, UndecidedError
from opsmigrate.postgres.names import generated_name
from opsmigrate.postgres.session import second_connection
from opsmigrate.report import Verdict
from tests.conftest import Ops, execute, query
from tests.seeding import PAYMENTS, QUIET, add_column, goal_for, holding, options, wait_for
from tests.sessions import stranger

pytestmark = pytest.mark.major


def test_names_may_hold_anything(empty_database: str) -> None:
    goal = ColumnSpec(
        schema='odd "schema"',
        table="Order % 'x' ü",
        column='Päy."id"',
        type="uuid",
        expression="gen_random_uuid()",
    )
    connection = connections[empty_database]
    execute(connection, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(goal.schema)))
    table = sql.SQL("CREATE TABLE {} AS SELECT n FROM generate_series(1, 300) n")
    execute(connection, table.format(goal.relation))

    result = seed(connection, goal, options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert result.facts["seeded"] == 300
    assert read_state(connection, goal).constraint == goal.constraint


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("payment", "id"),
        ("t" * 40, "c" * 40),
        ("t" * 63, "c"),
        ("t", "c" * 63),
        ("ü" * 31, "ö" * 31),
        ("zahlungsverkehr_überweisungen_außerordentlich", "zahlungskennzeichen_übertragen"),
    ],
)
def test_the_constraint_has_the_name_that_postgresql_itself_gives(
    table: str, column: str, empty_database: str
) -> None:
    connection = connections[empty_database]
    make = sql.SQL("CREATE TABLE {} ({} uuid UNIQUE)")
    execute(connection, make.format(sql.Identifier(table), sql.Identifier(column)))

    [(name,)] = query(
        empty_database,
        "SELECT conname FROM pg_constraint WHERE contype = 'u'"
        " AND connamespace = 'public'::regnamespace",
    )

    assert generated_name(table, column, "key") == name


def test_a_row_that_somebody_holds_gets_its_value_when_it_is_free(staging: str) -> None:
    add_column(staging)
    with holding(staging, "SELECT FROM treasury_payment WHERE id = 7 FOR UPDATE") as let_go:
        timer = threading.Timer(1.0, let_go)
        timer.start()
        result = seed(connections[staging], PAYMENTS, options(), QUIET)
        timer.join()

    assert (result.verdict, result.facts["seeded"]) == (Verdict.PASSED, 500)


def test_a_row_that_is_never_let_go_stops_the_run_part_of_the_way(staging: str) -> None:
    add_column(staging)
    with (
        holding(staging, "SELECT FROM treasury_payment WHERE id = 7 FOR UPDATE"),
        pytest.raises(
            PartialError, match="rows are left that other sessions have locked"
        ) as stopped,
    ):
        seed(connections[staging], PAYMENTS, options(patience=0.5), QUIET)

    assert stopped.value.facts["seeded"] == 499
    assert seed(connections[staging], PAYMENTS, options(), QUIET).facts["seeded"] == 1


def test_a_row_that_others_only_refer_to_is_filled(staging: str) -> None:
    add_column(staging)
    # As an INSERT with a foreign key to row 7 does, until its transaction ends.
    with (
        holding(staging, "SELECT FROM treasury_payment WHERE id = 7 FOR KEY SHARE"),
        holding(staging, "SELECT FROM treasury_payment WHERE id = 8 FOR UPDATE"),
        pytest.raises(PartialError, match="rows are left that other sessions have locked"),
    ):
        seed(connections[staging], PAYMENTS, options(patience=0.3), QUIET)

    left = query(staging, "SELECT id FROM treasury_payment WHERE payment_id IS NULL")
    assert left == [(8,)]


@pytest.mark.parametrize("looked", ["before", "while it is held"])
def test_a_table_that_somebody_alters_meanwhile_is_come_back_to(staging: str, looked: str) -> None:
    connection, tally = connections[staging], Tally()
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
    leaves = read_state(connection, PAYMENTS).leaves
    session = filling_sessions(0.1, skip_triggers=False)(connection)
    lock = "LOCK TABLE treasury_payment IN ACCESS EXCLUSIVE MODE"
    with holding(staging, lock) as let_go:
        timer = threading.Timer(1.0, let_go)
        timer.start()
        sweep(
            session,
            PAYMENTS,
            lambda: leaves if looked == "before" else read_state(session, PAYMENTS).leaves,
            pace=options().pace,
            tally=tally,
            between=lambda tally: None,
        )
        timer.join()
    session.close()

    assert tally.rows == 500


def test_a_lock_timeout_is_never_so_short_that_it_is_none(staging: str) -> None:
    with holding(staging, "SELECT FROM treasury_payment") as let_go:
        timer = threading.Timer(2.0, let_go)
        timer.start()
        with pytest.raises(UndecidedError, match="the table is held by"):
            seed(connections[staging], PAYMENTS, options(lock_timeout=0.0001, patience=0.2), QUIET)
        timer.join()


def test_nobody_waits_behind_us_for_longer_than_the_lock_timeout(staging: str) -> None:
    waits: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with stranger(staging) as reader:
            while not stop.is_set():
                started = time.monotonic()
                execute(reader, "SELECT count(*) FROM treasury_payment")
                waits.append(time.monotonic() - started)

    with holding(staging, "LOCK TABLE treasury_payment IN ACCESS SHARE MODE") as let_go:
        # Should the seed wait for the lock after all, this test fails and does not hang.
        timer = threading.Timer(8.0, let_go)
        timer.start()
        thread = threading.Thread(target=read)
        thread.start()
        with pytest.raises(UndecidedError) as stopped:
            seed(connections[staging], PAYMENTS, options(patience=2.0), QUIET)
        stop.set()
        thread.join()
        timer.cancel()

    assert stopped.value.id == "lock-not-obtained"
    assert max(waits) < 1.0
    assert query(staging, "SELECT 1 FROM pg_attribute WHERE attname = 'payment_id'") == []


def test_a_lock_timeout_of_the_role_does_not_end_the_look_at_the_rows(
    new_database: Callable[..., str],
) -> None:
    alias = new_database(OPTIONS={"options": "-c lock_timeout=50ms"})
    connection = connections[alias]
    execute(connection, "CREATE TABLE t (n int, c uuid DEFAULT gen_random_uuid())")
    with holding(alias, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE") as let_go:
        timer = threading.Timer(0.5, let_go)
        timer.start()
        result = seed(connection, goal_for(), options(), QUIET)
        timer.join()

    assert result.verdict is Verdict.PASSED


def test_a_session_that_cannot_write_is_refused(new_database: Callable[..., str]) -> None:
    alias = new_database(OPTIONS={"options": "-c default_transaction_read_only=on"})

    with pytest.raises(RefusedError, match="the session is read-only") as refused:
        seed(connections[alias], goal_for(), options(), QUIET)

    assert refused.value.id == "read-only"


def test_a_statement_timeout_of_the_role_does_not_end_a_batch(
    new_database: Callable[..., str],
) -> None:
    alias = new_database(OPTIONS={"options": "-c statement_timeout=200ms"})
    connection = connections[alias]
    execute(connection, "CREATE TABLE t AS SELECT n FROM generate_series(1, 60) n")
    execute(
        connection,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END'",
    )
    execute(
        connection,
        "CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    goal = ColumnSpec(
        schema="public", table="t", column="c", type="uuid", expression="gen_random_uuid()"
    )

    result = seed(connection, goal, options(batch_rows=60, triggers="fire"), QUIET)

    assert result.verdict is Verdict.PASSED


def test_a_stricter_isolation_of_the_role_does_not_end_a_batch(
    new_database: Callable[..., str],
) -> None:
    alias = new_database(OPTIONS={"options": "-c default_transaction_isolation=serializable"})
    execute(connections[alias], "CREATE TABLE t AS SELECT n, 0 AS m FROM generate_series(1, 9) n")
    execute(connections[alias], "ALTER TABLE t ADD COLUMN c uuid")
    execute(connections[alias], "ALTER TABLE t ALTER COLUMN c SET DEFAULT gen_random_uuid()")
    goal = ColumnSpec(
        schema="public", table="t", column="c", type="uuid", expression="gen_random_uuid()"
    )
    with holding(alias, "UPDATE t SET m = 1 WHERE n = 5", end="COMMIT") as let_go:
        # It commits while the batch waits: in a stricter isolation the batch could not go on.
        timer = threading.Timer(0.5, let_go)
        timer.start()
        result = seed(connections[alias], goal, options(lock_timeout=2.0), QUIET)
        timer.join()

    assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize("analyzed", ["never", "before it grew"])
def test_batches_are_small_whenever_the_table_was_analyzed(
    analyzed: str, empty_database: str
) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t WITH (autovacuum_enabled = off) AS SELECT 1 AS n")
    if analyzed != "never":
        execute(connection, "ANALYZE t")
    execute(connection, "INSERT INTO t SELECT n FROM generate_series(1, 9999) n")
    goal = ColumnSpec(
        schema="public", table="t", column="c", type="uuid", expression="gen_random_uuid()"
    )

    result = seed(connection, goal, options(batch_rows=500), QUIET)

    assert result.facts["seeded"] == 10_000
    assert 15 <= result.facts["batches"] <= 40


@pytest.mark.parametrize("analyzed", ["VACUUM ANALYZE t", "SELECT"])
def test_batches_are_small_where_all_that_is_left_stands_at_the_end(
    analyzed: str, empty_database: str
) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t WITH (autovacuum_enabled = off) AS SELECT 1 AS n")
    execute(connection, "INSERT INTO t SELECT n FROM generate_series(1, 60000) n")
    execute(connection, "DELETE FROM t WHERE n < 55000")
    execute(connection, analyzed)

    result = seed(connection, goal_for(), options(batch_rows=200), QUIET)

    # Rows that one transaction has written have its number.
    batches = "SELECT max(rows) FROM (SELECT count(*) AS rows FROM t GROUP BY xmin::text) b"
    [(largest,)] = query(empty_database, batches)
    assert result.facts["seeded"] == 5001
    assert largest < 400


def test_the_second_of_two_runs_refuses(staging: str, ops: Ops) -> None:
    with second_connection(connections[staging]) as other:
        thread = threading.Thread(
            target=seed,
            args=(other, PAYMENTS, options(batch_rows=10, max_rows_per_second=400.0), QUIET),
        )
        other.inc_thread_sharing()
        thread.start()
        wait_for(
            staging,
            "SELECT count(*) > 0 FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()",
        )
        with pytest.raises(RefusedError, match="another run is seeding") as refused:
            seed(connections[staging], PAYMENTS, options(), QUIET)
        thread.join()

    assert refused.value.id == "already-running"
    assert query(staging, "SELECT count(*) FROM treasury_payment WHERE payment_id IS NULL") == [
        (0,)
    ]


def test_the_lock_of_a_session_that_was_lost_is_waited_for(staging: str) -> None:
    [(oid,)] = query(staging, "SELECT 'treasury_payment'::regclass::oid::int")
    hold = "SELECT pg_advisory_xact_lock(%s, %s)"
    with holding(staging, hold, [LOCK_SPACE, oid]) as let_go:
        with (
            pytest.raises(RefusedError, match="another run is seeding"),
            seed_lock(connections[staging], oid, PAYMENTS),
        ):
            pass
        timer = threading.Timer(0.5, let_go)
        timer.start()
        with seed_lock(connections[staging], oid, PAYMENTS, patience=8.0):
            timer.join()


def test_rows_go_no_faster_than_asked(staging: str) -> None:
    started = time.monotonic()

    result = seed(connections[staging], PAYMENTS, options(max_rows_per_second=500.0), QUIET)

    assert result.verdict is Verdict.PASSED
    assert time.monotonic() - started > 0.8
