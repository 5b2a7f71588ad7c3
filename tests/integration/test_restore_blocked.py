"""What would not follow the name of a database: prepared transactions, logical slots."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from opsmigrate.pgtools.embedded import running, start, stop
from tests.aliases import elsewhere
from tests.backups import backup
from tests.conftest import Answer, Ops, execute, query
from tests.remedies import Typist, psql

SETTINGS = {"max_prepared_transactions": "5", "wal_level": "logical"}


@pytest.fixture
def taken(empty_database: str, tmp_path: Path, ops: Ops) -> Iterator[tuple[str, Path]]:
    """Yield an alias on a server that can prepare transactions and decode its WAL, and a backup."""
    place = tmp_path / "server"
    with (
        running(place, durable=False) as server,
        elsewhere(empty_database, server.url) as alias,
    ):
        for name, value in SETTINGS.items():
            execute(connections[alias], f"ALTER SYSTEM SET {name} = {value}")
        connections[alias].close()
        stop(server)
        again = start(place, durable=False)  # They hold from the next start on.
        connections[alias].settings_dict["PORT"] = again.port
        execute(connections[alias], "CREATE DATABASE live")
        connections[alias].close()
        connections[alias].settings_dict.update(NAME="live")
        call_command("make_legacy_staging", database=alias, rows=50, stdout=StringIO())
        yield alias, backup(ops, alias, tmp_path / "backups")[1]


def test_prepared_transactions_and_logical_slots_are_in_the_way_of_a_rollback(
    taken: tuple[str, Path], ops: Ops, typist: Typist
) -> None:
    alias, file = taken

    def roll_back(**options: bool) -> Answer:
        return ops("restore_db", str(file), database=alias, no_input=True, **options)

    oid = "SELECT oid FROM pg_database WHERE datname = 'live'"
    live = query(alias, oid)
    execute(connections[alias], "SELECT pg_create_logical_replication_slot('slot', 'pgoutput')")
    for statement in ("BEGIN", "DELETE FROM treasury_payment", "PREPARE TRANSACTION 'gone'"):
        execute(connections[alias], statement)

    refused = {"prepared transaction gone": roll_back()}
    [transaction] = refused["prepared transaction gone"].report["findings"]
    assert [step["risk"] for step in transaction["steps"]] == [None, "loses what it wrote"]
    psql(alias, transaction["steps"][1]["text"])
    refused["logical replication slot slot"] = roll_back()
    untouched = query(alias, oid)
    kept = roll_back(keep_slots=True)
    blocked = refused["logical replication slot slot"].report["findings"][0]
    connections[alias].settings_dict.update(NAME=kept.report["facts"]["former_database"])
    assert typist.type(alias, blocked) == []
    connections[alias].settings_dict.update(NAME="live")

    for what, answer in refused.items():
        assert (answer.code, answer.ids) == (4, ["rollback-blocked"])
        assert answer.report["findings"][0]["message"] == (
            f"the {what} prevents the rollback: it would not follow the name of the database"
        )
    assert untouched == live
    assert query(alias, "SELECT * FROM pg_replication_slots") == []
    assert kept.code == 0, kept.stdout
    assert query(alias, "SELECT count(*) FROM treasury_payment") == [(50,)]
