"""A run that is refused because another holds the lock says who that is, and how to end it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.sessions import LOCK_SPACE as SEEDS
from opsmigrate.backup.take import LOCK_SPACE as BACKUPS
from opsmigrate.postgres import advisory
from opsmigrate.postgres.advisory import age, holder_of
from opsmigrate.postgres.session import backend_pid, open_second, second_connection
from tests.conftest import Answer, Ops, execute, query
from tests.remedies import Typist

pytestmark = pytest.mark.adversary

OID = "SELECT 'treasury_payment'::regclass::oid::bigint"


def refused(ops: Ops, command: str, alias: str, folder: Path) -> Answer:
    own = {"directory": str(folder)} if command == "backup_db" else {}
    return ops(command, database=alias, **own)


def hold(connection: BaseDatabaseWrapper, command: str, alias: str) -> int:
    """Hold the lock that the command needs, and return the process that does."""
    [(oid,)] = query(alias, OID)
    space, key = (BACKUPS, 0) if command == "backup_db" else (SEEDS, oid)
    execute(connection, "SELECT pg_advisory_lock(%s, %s)", [space, key])
    return backend_pid(connection)


@pytest.mark.major
@pytest.mark.parametrize("command", ["seed_payment_id", "backup_db"])
def test_an_abandoned_session_is_named_and_what_the_hint_says_ends_it(
    command: str,
    staging: str,
    ops: Ops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typist: Typist,
) -> None:
    monkeypatch.setattr(advisory, "SECONDS_UNTIL_ABANDONED", 0)
    other = open_second(connections[staging])
    execute(other, "SET application_name = 'opsmigrate seed'")
    pid = hold(other, command, staging)
    answer = refused(ops, command, staging, tmp_path)
    [finding] = answer.report["findings"]

    assert (answer.code, answer.ids) == (4, ["already-running"])
    assert f"process {pid} (opsmigrate seed, role " in finding["message"]
    assert ", idle for 0 s, in a session of 0 s; it looks abandoned" in finding["message"]
    assert finding["evidence"]["pid"] == pid
    assert finding["evidence"]["abandoned"] is True
    assert finding["hint"] == "if no such run is alive, end its session"
    assert f"pg_terminate_backend({pid})" in finding["steps"][0]["text"]
    assert typist.type(staging, finding) == []
    other.close()
    assert refused(ops, command, staging, tmp_path).code == 0


def test_a_session_that_works_is_waited_for(staging: str, ops: Ops, tmp_path: Path) -> None:
    with second_connection(connections[staging]) as other:
        execute(other, "SET application_name = 'till'")
        execute(other, "BEGIN")
        pid = hold(other, "backup_db", staging)
        answer = refused(ops, "backup_db", staging, tmp_path)
    [finding] = answer.report["findings"]

    assert f"process {pid} (till, role " in finding["message"]
    assert "idle in transaction for 0 s" in finding["message"]
    assert " and a transaction of 0 s" in finding["message"]
    assert finding["hint"].startswith("wait for it to end; only if it is certainly dead, ")
    assert finding["evidence"]["abandoned"] is False


def test_a_role_that_may_not_see_the_state_says_so(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]]
) -> None:
    alias = new_database()
    settings: Any = {**connections.settings[alias], **role()}
    with (
        second_connection(connections[alias]) as other,
        second_connection(connections[alias]) as lowly,
    ):
        execute(other, "SELECT pg_advisory_lock(%s, 0)", [BACKUPS])
        lowly.close()
        lowly.settings_dict.update(settings)
        holder = holder_of(lowly, BACKUPS, 0)

    assert holder is not None
    assert (holder.state, holder.is_abandoned) == (None, False)
    assert "the role may not see its state" in str(holder)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "0 s"), (59, "59 s"), (7_260, "2 h 1 min"), (90_061, "1 d 1 h"), (3_605, "1 h")],
)
def test_an_age_has_two_units(seconds: int | None, words: str) -> None:
    assert age(seconds) == words
