"""restore_db when things go wrong: the live database is as it was."""

import json
import signal
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.backups import backup, scratch_databases
from tests.conftest import Ops, execute, query
from tests.interrupting import clients_of, ended, make_slow_to_restore, restoring, wait_until

pytestmark = pytest.mark.major


def identity(alias: str) -> list[tuple[object, ...]]:
    return query(
        alias, "SELECT oid, datname::text FROM pg_database WHERE datname = current_database()"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_restores_nothing_is_left_and_the_live_one_is_as_it_was(
    staging: str, ops: Ops, tmp_path: Path, number: signal.Signals
) -> None:
    before = identity(staging)
    make_slow_to_restore(staging)
    _, file = backup(ops, staging, tmp_path)
    with restoring(staging, "restore_db", str(file), "--no-input") as process:
        process.send_signal(number)
        answer = ended(process)

    assert (answer.code, answer.ids) == (130, ["interrupted"])
    assert identity(staging) == before
    assert scratch_databases(staging) == []
    assert clients_of(tmp_path) == []


@pytest.mark.named
def test_killed_while_it_restores_the_next_run_drops_what_it_left(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    before = identity(staging)
    make_slow_to_restore(staging)
    _, file = backup(ops, staging, tmp_path)
    with restoring(staging, "restore_db", str(file), "--no-input") as process:
        process.kill()
        process.communicate()
        wait_until(lambda: not clients_of(tmp_path), seconds=5)

    [left] = scratch_databases(staging)
    query(
        staging, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [left]
    )
    sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = %s"
    wait_until(lambda: not query(staging, sessions, [left]))
    assert identity(staging) == before
    assert ops("backup_db", database=staging, directory=str(tmp_path)).code == 0
    assert scratch_databases(staging) == []


def test_a_setting_that_the_role_may_not_give_leaves_the_live_one_as_it_was(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[staging]
    name = sql.Identifier(connection.settings_dict["NAME"])
    execute(connection, "CREATE ROLE opsmigrate_gone")
    grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO opsmigrate_gone")
    execute(connection, grant.format(name))
    try:
        _, file = backup(ops, staging, tmp_path)
    finally:
        revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM opsmigrate_gone")
        execute(connection, revoke.format(name))
        execute(connection, "DROP ROLE opsmigrate_gone")
    before = identity(staging)

    answer = ops("restore_db", str(file), database=staging, no_input=True)

    assert (answer.code, answer.ids) == (4, ["property-not-restored"])
    assert 'role "opsmigrate_gone" does not exist' in json.dumps(
        answer.report["findings"][0]["message"], ensure_ascii=False
    ).replace('\\"', '"')
    assert identity(staging) == before
    assert scratch_databases(staging) == []
