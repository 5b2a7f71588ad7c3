"""A seed that is killed in any of its phases, again and again, and then run to its end."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, environment_for, execute, query, start, url_of
from tests.seeding import OLD_RELEASE, SCHEMA, wait_for, writing

pytestmark = [pytest.mark.long, pytest.mark.major]

ROWS = 20_000
MORE = (
    "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
    " created_at, updated_at, memo, account_id) SELECT 'more ' || n, payee, amount, currency,"
    f" status, due_date, created_at, updated_at, memo, account_id FROM treasury_payment, "
    f" generate_series(1, {ROWS}) n WHERE id = 1"
)
# What each seed says when the phase begins; the text's come first, and then those of all.
OF_TEXT = (
    "add a uuid column that follows the text column",
    "refuse text",
    "check that the uuid",
    "swap",
)
OF_ALL = (
    "fill",
    "sweep",
    "build the unique index",
    "turn it into a constraint",
    "forbid NULLs in new rows",
    "check the existing rows",
    "set NOT NULL",
    "analyze",
    "verify",
)
OF_NEW = ("add the column", "set the default")
TEXT = (
    "ALTER TABLE treasury_payment ADD COLUMN payment_id varchar(36)",
    "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE id % 3 > 0",
    "GRANT SELECT (payment_id) ON treasury_payment TO pg_monitor",
)
# Only rows that the checks leave out.
WRITES_TEXT = (
    "UPDATE treasury_payment SET payment_id = '00000000-0000-4000-8000-000000{0:06}'"
    " WHERE id = {0} % 100"
)
FREE = (
    "SELECT count(*) = 0 FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)


def killed_in(alias: str, phase: str, chance: random.Random) -> bool:
    """Start a seed and kill it in the phase; say whether it got there."""
    argv = ("manage.py", "seed_payment_id", "--settings=staging_settings", "--batch-rows=500")
    workers = f"--workers={chance.choice((1, 2))}"
    process = start(*argv, workers, env=environment_for(url_of(alias)))
    assert process.stderr is not None
    there = False
    for line in process.stderr:
        if line.startswith(phase):
            there = True
            time.sleep(chance.uniform(0, 0.3 if phase == "fill" else 0.03))
            process.kill()
            break
    process.communicate(timeout=60)
    # The server notices when it writes to the client next, at the latest at its end.
    wait_for(alias, FREE, seconds=30)
    return there


def given(alias: str) -> dict[int, Any]:
    """Return the values that are there, of rows that nobody writes to."""
    there = "SELECT 1 FROM pg_attribute WHERE attrelid = 'treasury_payment'::regclass"
    if not query(alias, f"{there} AND attname = 'payment_id'"):
        return {}
    values = (
        "SELECT id, payment_id::uuid FROM treasury_payment"
        " WHERE payment_id IS NOT NULL AND id >= 500"
    )
    return dict(query(alias, values))


def rest(alias: str) -> list[tuple[Any, ...]]:
    """Return the digest of all that is no business of the seed."""
    return query(
        alias,
        "SELECT count(*), sum(hashtextextended((to_jsonb(p) - 'payment_id' - 'payment_id_seeded')"
        "::text, 0)) FROM treasury_payment p WHERE reference NOT LIKE 'old%%'",
        [],
    )


@pytest.mark.parametrize("number", range(100))
def test_killed_in_any_phase_and_run_again_it_ends_right(
    number: int, staging: str, migrated: str, ops: Ops
) -> None:
    chance = random.Random(number)  # noqa: S311 - so that it can be done again
    is_text = number % 2 == 1
    for statement in (MORE, *(TEXT if is_text else ())):
        execute(connections[staging], statement.replace("%", "%%"), [])
    before, inserted = rest(staging), "SELECT count(*) FROM treasury_payment"
    values = given(staging)
    phases = [chance.choice((*OF_ALL, *(OF_TEXT if is_text else OF_NEW))) for _ in range(3)]
    writes = (*OLD_RELEASE, WRITES_TEXT) if is_text else OLD_RELEASE

    with writing(staging, *writes) as written:
        for phase in phases:
            killed_in(staging, phase, chance)
            now = given(staging)
            assert {key: now[key] for key in values} == values, phases
            values = now
        answer = ops("seed_payment_id", database=staging)

    assert answer.code == 0, (phases, answer.stdout)
    assert [error for error in written.errors if "payment_id" not in error] == [], phases
    after = given(staging)
    assert {key: after[key] for key in values} == values, phases
    assert rest(staging) == before, phases
    [(rows,)] = query(staging, inserted)
    assert rows == len(set(query(staging, "SELECT payment_id FROM treasury_payment"))), phases
    assert query(staging, SCHEMA) == query(migrated, SCHEMA), phases
    right = "SELECT has_column_privilege('pg_monitor', 'treasury_payment', 'payment_id', 'SELECT')"
    assert query(staging, right) == [(is_text,)]
    leftovers = "SELECT count(*) FROM pg_proc WHERE proname LIKE '%%opsmigrate%%'"
    assert query(staging, leftovers, []) == [(0,)]
