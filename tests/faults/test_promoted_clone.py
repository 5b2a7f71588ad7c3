"""A copy of the server's files has its identifier and oids, and is another database."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.pgtools import embedded
from opsmigrate.pgtools.account import give, server_account
from tests.aliases import alias_of, elsewhere
from tests.conftest import Ops, execute, query
from tests.integration.test_migrate_safely import ADD_AGE, applied, columns, safely
from tests.integration.test_run_playbook import play
from tests.integration.zoo_migrations import Write
from tests.interrupting import wait_until
from tests.playbook_stub import StubProject, as_manage
from tests.rehearsals import prepared
from tests.switching import switching

UNDO = (
    "ALTER TABLE zoo_cage DROP IF EXISTS age",
    "DELETE FROM django_migrations WHERE name = '0002_step'",
)
Places = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def original_and_promoted(
    empty_database: str, write_migrations: Write, tmp_path: Path
) -> Iterator[Places]:
    """Yield the settings of a database, and of the same one on a clone that was promoted."""
    major = connections[empty_database].pg_version // 10_000
    first = embedded.start(tmp_path / "first", major=major, durable=False)
    with elsewhere(empty_database, first.url) as alias:
        prepared(alias, write_migrations, ADD_AGE)
        settings = dict(connections[alias].settings_dict)
    second = embedded.start(tmp_path / "second", major=major, durable=False)
    for server in (first, second):
        embedded.stop(server)
    shutil.rmtree(second.data)
    shutil.copytree(first.data, second.data, symlinks=True)
    (second.data / "standby.signal").touch()
    account = server_account()
    for file in (second.data, *second.data.rglob("*")):
        give(account, file)
    first = embedded.start(tmp_path / "first", major=major, durable=False)
    second = embedded.start(tmp_path / "second", major=major, durable=False)
    places = tuple({**settings, "HOST": "127.0.0.1", "PORT": each.port} for each in (first, second))
    try:
        with alias_of("standby", **places[1]) as standby:
            execute(connections[standby], "SELECT pg_promote()")
            wait_until(lambda: query(standby, "SELECT pg_is_in_recovery()") == [(False,)])
        yield places[0], places[1]
    finally:
        embedded.discard(first)
        embedded.discard(second)


def test_what_was_examined_is_migrated_and_no_promoted_clone_of_it(
    original_and_promoted: Places, ops: Ops
) -> None:
    original, promoted = original_and_promoted
    here, there = (("127.0.0.1", int(each["PORT"])) for each in original_and_promoted)
    with (
        switching(here, there) as address,
        alias_of("original", **original) as live,
        alias_of("promoted", **promoted) as clone,
        alias_of("switched", **{**original, "PORT": address.port}) as switched,
    ):

        def ended(sessions: int | None) -> int:
            connections[switched].close()
            for statement in UNDO:
                execute(connections[live], statement)
            address.sessions, address.opened = sessions, 0
            return safely(ops, switched, rehearse="off", accept_undecided=True).code

        assert ended(None) == 0
        whole = address.opened
        assert whole >= 3
        for sessions in range(1, whole):
            code = ended(sessions)
            assert code in (3, 4), sessions
            for alias in (live, clone):
                assert applied(alias) == ["0001_step"], sessions
                assert "age" not in columns(alias)


def test_a_run_is_not_continued_on_a_promoted_clone(
    original_and_promoted: Places,
    ops: Ops,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = StubProject(tmp_path)
    monkeypatch.setattr(sys, "argv", as_manage(project))
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "JOURNAL_DIR": str(project.journal_dir)}
    original, promoted = original_and_promoted
    with alias_of("shop", **original) as alias:
        assert play(ops, alias, until="preflight").code == 0
        assert play(ops, alias, until="seed").code == 0
    with alias_of("shop", **promoted) as alias:
        answer = play(ops, alias)
        assert (answer.code, answer.ids) == (4, ["journal-differs"]), answer.stdout
        assert "a standby was promoted since" in answer.report["findings"][0]["message"]
        assert play(ops, alias, first="backup", until="backup").code == 0
