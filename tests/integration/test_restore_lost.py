"""What a rollback would lose is told, and only who says yes to it loses it."""

import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.backup.rollback import roll_back
from opsmigrate.backup.rollback_checks import Loss, loss_since
from opsmigrate.errors import RefusedError
from opsmigrate.manifest import read_manifests
from tests.backups import backup, scratch_databases
from tests.conftest import ROOT, Ops, environment_for, execute, query, url_of
from tests.rollbacks import kept_databases, oid, place_of, restore
from tests.sessions import stranger

pytestmark = [pytest.mark.major, pytest.mark.usefixtures("no_kept_database")]


def test_what_was_lost_is_told_table_by_table(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    connection = connections[alias]
    execute(connection, "UPDATE treasury_payment SET memo = 'x' WHERE id <= 4")
    execute(connection, "CREATE TABLE since AS SELECT generate_series(1, 7) AS id")
    execute(connection, "CREATE TABLE stays (id int)")
    connection.close()

    lost = {
        each["table"]: each
        for each in restore(ops, alias, str(file)).report["facts"]["lost_writes"]
    }

    assert lost["public.treasury_payment"]["updated"] == 4
    assert lost["public.since"]["inserted"] == 7
    assert "public.stays" not in lost


def test_after_a_reset_of_the_statistics_no_wrong_number_is_told(
    taken: tuple[str, Path],
) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    connection = connections[alias]
    execute(connection, "SELECT pg_stat_reset()")
    # More than before the backup: the counters alone would tell of a few rows.
    execute(connection, "UPDATE treasury_payment SET memo = memo || 'x'")
    connection.close()
    known = {"public.treasury_payment": [0, 1, 0, relation_of(alias, "treasury_payment")]}

    [lost] = [
        each
        for each in loss_since(connections[alias], replace(manifest, counters=known)).written
        if each.table == "public.treasury_payment"
    ]

    assert lost.updated is None


def relation_of(alias: str, table: str) -> int:
    return int(query(alias, "SELECT %s::regclass::oid", [table])[0][0])


def test_rows_that_the_backup_was_taken_without_are_told_as_lost(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    execute(connections[staging], "CREATE TABLE audit AS SELECT generate_series(1, 7) AS id")
    connections[staging].close()
    _, file = backup(ops, staging, tmp_path, exclude_table_data=["audit"])

    [manifest] = read_manifests(tmp_path)

    told = loss_since(connections[staging], manifest).lines()
    assert "  public.audit: all its rows, which the backup does not have" in told
    assert restore(ops, staging, str(file)).report["facts"]["tables_without_rows"] == [
        "public.audit"
    ]


def on_a_terminal(
    alias: str, file: Path, says: str, stderr: Any = subprocess.STDOUT
) -> tuple[int, str]:
    """Run restore_db with a person at the keyboard, and return its code and what was shown."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "restore_db", str(file)],
        cwd=ROOT,
        env=environment_for(url_of(alias)),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    os.close(follower)
    os.write(leader, f"{says}\n{says}\n".encode())
    shown, _ = process.communicate(timeout=60)
    os.close(leader)
    return process.returncode, shown


def test_it_asks_and_a_no_changes_nothing(taken: tuple[str, Path]) -> None:
    alias, file = taken
    execute(connections[alias], "UPDATE treasury_payment SET memo = 'x' WHERE id = 1")
    live = oid(alias)
    connections[alias].close()

    code, shown = on_a_terminal(alias, file, "no")
    assert code == 4
    assert "public.treasury_payment: 0 inserted, 1 updated, 0 deleted" in shown
    assert "[not-confirmed]" in shown
    assert (oid(alias), kept_databases(alias)) == (live, [])

    connections[alias].close()
    code, shown = on_a_terminal(alias, file, "yes")
    assert code == 0, shown
    assert oid(alias) != live


def test_a_yes_to_a_question_that_nobody_could_read_changes_nothing(
    taken: tuple[str, Path],
) -> None:
    alias, file = taken
    live = oid(alias)
    connections[alias].close()

    with open("/dev/full", "w", encoding="utf-8") as full:
        code, shown = on_a_terminal(alias, file, "yes", stderr=full)

    assert (code, "[not-confirmed]" in shown) == (4, True)
    assert (oid(alias), kept_databases(alias)) == (live, [])


def test_more_lost_than_somebody_said_yes_to_stops_it(taken: tuple[str, Path]) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    live, asked = oid(alias), []

    def yes(loss: Loss) -> bool:
        asked.append(loss)
        with stranger(alias) as other:
            execute(other, "UPDATE treasury_payment SET memo = 'late' WHERE id = 1")
        return True

    with pytest.raises(RefusedError, match="more was written since you confirmed") as caught:
        roll_back(replace(place_of(alias), confirm=yes), file, manifest)

    assert caught.value.id == "writes-during-restore"
    assert len(asked) == 2
    assert (oid(alias), kept_databases(alias), scratch_databases(alias)) == (live, [], [])
    assert query(alias, "SELECT memo FROM treasury_payment WHERE id = 1") == [("late",)]
