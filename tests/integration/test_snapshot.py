"""While a backup's snapshot is held, no table can be emptied or rewritten under it."""

import pytest
from django.db import OperationalError, connections

from opsmigrate.backup.snapshot import held_snapshot
from tests.conftest import execute, query
from tests.sessions import stranger

pytestmark = pytest.mark.major


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE treasury_payment CASCADE",
        "ALTER TABLE treasury_payment ALTER COLUMN memo TYPE varchar(900)",
        "DROP TABLE treasury_payment CASCADE",
    ],
)
def test_what_would_make_a_dump_lose_rows_without_a_word_has_to_wait(
    statement: str, staging: str
) -> None:
    connection = connections[staging]
    with held_snapshot(connection) as (holder, snapshot), stranger(staging) as other:
        execute(other, "SET lock_timeout = '100ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            execute(other, statement)
        assert "public.treasury_payment" in [table.label for table in snapshot.tables]
        with holder.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.treasury_payment")
            assert cursor.fetchone() == (500,)


def test_readers_and_writers_go_on(staging: str) -> None:
    connection = connections[staging]
    with held_snapshot(connection), stranger(staging) as other:
        execute(other, "SET lock_timeout = '100ms'")
        execute(other, "UPDATE treasury_payment SET memo = 'written meanwhile' WHERE id = 1")

    assert query(staging, "SELECT memo FROM treasury_payment WHERE id = 1") == [
        ("written meanwhile",)
    ]
