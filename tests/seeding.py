"""What the tests of the seed share: options, quiet progress, locks that somebody holds, writers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from django.core.management.base import OutputWrapper
from django.db import Error, connections

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.progress import Progress
from tests.conftest import ROOT, environment_for, execute, query, url_of
from tests.sessions import stranger

QUIET = Progress(OutputWrapper(StringIO()), verbosity=0)
PAYMENTS = ColumnSpec(
    schema="public",
    table="treasury_payment",
    column="payment_id",
    type="uuid",
    expression="gen_random_uuid()",
)
# Everything about the table of payments that the seed may change.
SCHEMA = """
SELECT 'column', attname::text, format_type(atttypid, atttypmod), attnotnull::text,
       pg_get_expr(adbin, adrelid), attstorage::text
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'treasury_payment'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid), convalidated::text, contype::text, ''
FROM pg_constraint WHERE conrelid = 'treasury_payment'::regclass
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text,
       indisunique::text, indimmediate::text
FROM pg_index WHERE indrelid = 'treasury_payment'::regclass
UNION ALL
SELECT 'trigger', tgname, '', '', '', '' FROM pg_trigger
WHERE tgrelid = 'treasury_payment'::regclass AND NOT tgisinternal
ORDER BY 1, 2
"""
# What the release before the seed writes.
OLD_RELEASE = (
    "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
    " created_at, updated_at, memo, account_id) SELECT 'old ' || {}, payee, amount, currency,"
    " status, due_date, created_at, updated_at, memo, account_id FROM treasury_payment LIMIT 1"
    " ON CONFLICT DO NOTHING",
    "UPDATE treasury_payment SET memo = memo WHERE id = {} % 500",
)
VACUUMED = (
    "SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE relid = 't'::regclass"
    " AND datname = current_database()"
)


def add_column(staging: str) -> None:
    """Add the column of the seed with its default, as the first two phases do; no row is filled."""
    connection = connections[staging]
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
    execute(
        connection,
        "ALTER TABLE treasury_payment ALTER COLUMN payment_id SET DEFAULT gen_random_uuid()",
    )


def goal_for(table: str = "t", **changes: Any) -> ColumnSpec:
    """Return the goal of a unique UUID column `c`."""
    values = {"schema": "public", "column": "c", "type": "uuid", "expression": "gen_random_uuid()"}
    return ColumnSpec(table=table, **{**values, **changes})


def options(**changes: Any) -> SeedOptions:
    """Return options that are quick to give up and have small batches."""
    pace = Pace(
        batch_rows=changes.pop("batch_rows", 50),
        lock_timeout=changes.pop("lock_timeout", 0.1),
        max_rows_per_second=changes.pop("max_rows_per_second", None),
        patience=changes.pop("patience", 5.0),
        workers=changes.pop("workers", 1),
        largest_lag=changes.pop("largest_lag", 128 << 20),
        wal_rate=changes.pop("wal_rate", None),
    )
    values = {"pace": pace, "time_budget": None, "triggers": "refuse", **changes}
    return SeedOptions(**values)


@contextmanager
def holding(
    alias: str, statement: str, params: Any = None, *, end: str = "ROLLBACK"
) -> Iterator[Callable[[], None]]:
    """Hold the locks of a statement in another session; yields what ends its transaction."""
    with stranger(alias) as other:
        other.inc_thread_sharing()
        execute(other, "BEGIN")
        execute(other, statement, params)
        yield lambda: execute(other, end)


@dataclass
class Written:
    """What a writer did: how many statements, what went wrong, the longest wait in seconds."""

    statements: int = 0
    errors: list[str] = field(default_factory=list)
    longest: float = 0.0


@contextmanager
def writing(alias: str, *statements: str) -> Iterator[Written]:
    """Execute the statements at random, again and again, in another session.

    `{}` in a statement is a random number up to a million.
    """
    written, stop = Written(), threading.Event()

    def write() -> None:
        with stranger(alias) as other:
            while not stop.is_set():
                statement = random.choice(statements).format(random.randint(1, 1_000_000))  # noqa: S311
                started = time.monotonic()
                try:
                    execute(other, statement)
                except Error as error:
                    written.errors.append(str(error))
                written.statements += 1
                written.longest = max(written.longest, time.monotonic() - started)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join(timeout=30)


def wait_for(alias: str, condition: str, *, seconds: float = 10) -> None:
    """Ask until the condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    while query(alias, condition) != [(True,)]:
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)


def given(alias: str) -> dict[int, Any]:
    """Return the values that payments have by now, by their keys."""
    return dict(
        query(alias, "SELECT id, payment_id FROM treasury_payment WHERE payment_id IS NOT NULL")
    )


@contextmanager
def autovacuum_working(alias: str, *more: str) -> Iterator[None]:
    """Have the server's own autovacuum work on the table t, very slowly."""
    connection = connections[alias]
    for statement in (
        "CREATE TABLE t (id bigint PRIMARY KEY, v text)",
        "INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, 30000) n",
        "ALTER TABLE t SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,"
        " autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)",
        "ALTER SYSTEM SET autovacuum_naptime = '1s'",
        "SELECT pg_reload_conf()",
        *more,
        "DELETE FROM t WHERE id % 7 = 0",
    ):
        execute(connection, statement)
    try:
        wait_for(alias, VACUUMED, seconds=40)
        yield
    finally:
        execute(connection, "ALTER SYSTEM RESET autovacuum_naptime")
        execute(connection, "SELECT pg_reload_conf()")


@contextmanager
def old_release_writing(alias: str, *args: str) -> Iterator[dict[str, Any]]:
    """Let the old release insert and update payments; its figures are in the dict at the end."""
    figures: dict[str, Any] = {}
    before = query(alias, "SELECT count(*) FROM treasury_payment")
    writer = subprocess.Popen(
        [sys.executable, "scripts/background_writer.py", *args],
        cwd=ROOT,
        env=environment_for(url_of(alias)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while query(alias, "SELECT count(*) FROM treasury_payment") == before:
            assert writer.poll() is None
        yield figures
    finally:
        said, _ = writer.communicate(timeout=30)
        figures.update(json.loads(said.strip().splitlines()[-1]))
