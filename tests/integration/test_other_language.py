"""A server, and clients, that speak German: everything is answered as it is in English."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import environ
import pytest
from django.core.management import call_command
from django.db import connections

from tests.aliases import alias_of
from tests.backups import backup, names
from tests.conftest import Ops, execute, query
from tests.debian_server import GERMAN, debian_server, programs, require_locale
from tests.faults.test_lost_server import COMMANDS, TERMINATE, meanwhile
from tests.interrupting import BUSY, make_slow_to_restore
from tests.sessions import held

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def german_url() -> Iterator[str]:
    """Yield the URL of a server whose messages are German."""
    require_locale(GERMAN, "de_DE", "UTF-8")
    with debian_server(f"lc_messages={GERMAN}", locale=GERMAN) as url:
        yield url


@pytest.fixture
def german(
    german_url: str, empty_database: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[str]:
    """Yield the alias of a staging database there; the clients are asked to speak German too."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.setenv(name, GERMAN)
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "PG_BIN": str(programs())}
    place = environ.Env.db_url_config(german_url)
    with alias_of("german", **{**connections[empty_database].settings_dict, **place}) as server:
        execute(connections[server], "DROP DATABASE IF EXISTS staging")
        execute(connections[server], "CREATE DATABASE staging")
    name = {**place, "NAME": "staging"}
    with alias_of("german", **{**connections[empty_database].settings_dict, **name}) as alias:
        call_command("make_legacy_staging", database=alias, rows=50, stdout=StringIO())
        assert "existiert nicht" in str(words_of(alias))
        yield alias
        connections[alias].close()


def words_of(alias: str) -> Exception | None:
    try:
        query(alias, "SELECT * FROM nowhere")
    except Exception as error:
        return error
    return None


def test_the_way_from_preflight_to_rollback_is_the_same(
    german: str, ops: Ops, tmp_path: Path
) -> None:
    execute(connections[german], "ALTER DATABASE staging SET lc_monetary = 'de_DE.UTF-8'")
    execute(connections[german], "CREATE TABLE fees (fee money CHECK (fee > 1.5::numeric::money))")
    execute(connections[german], "INSERT INTO fees VALUES (1234567.89::numeric::money)")
    connections[german].close()
    assert query(german, "SELECT fee::text FROM fees")[0][0].startswith("1.234.567,89")

    before = ops("preflight_migrate", database=german)
    _, file = backup(ops, german, tmp_path, verify="restore")
    seeded = ops("seed_payment_id", database=german)
    after = ops("preflight_migrate", database=german, rehearse="clone", rehearse_on=german)
    back = ops("restore_db", str(file), database=german, no_input=True)
    connections[german].close()

    assert (before.code, "missing-column" in before.ids) == (1, True)
    assert (seeded.code, after.code, back.code) == (0, 0, 0), after.stdout + back.stdout
    assert after.report["facts"]["rehearsal"]
    assert query(german, "SELECT fee::numeric FROM fees") == [(1234567.89,)] or query(
        german, "SELECT fee::numeric::text FROM fees"
    ) == [("1234567.89",)]


def test_a_table_that_others_want_is_said_to_be_locked(
    german: str, ops: Ops, tmp_path: Path
) -> None:
    with held(german, "LOCK TABLE treasury_payment IN ACCESS EXCLUSIVE MODE"):
        answer = ops("backup_db", database=german, directory=str(tmp_path))
    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])
    execute(connections[german], "CREATE VIEW watched AS SELECT 1 AS one")
    with held(german, "ALTER VIEW watched RENAME TO other"):
        answer = ops("backup_db", database=german, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (3, ["lock-not-obtained"])
    assert names(tmp_path) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_who_is_to_blame_is_known(german: str, ops: Ops, tmp_path: Path, command: str) -> None:
    make_slow_to_restore(german)
    _, slow = backup(ops, german, tmp_path)
    with meanwhile(lambda: query(german, BUSY), lambda: query(german, TERMINATE)):
        ended = ops(command.split()[0], str(slow), database=german, **COMMANDS[command])
    execute(connections[german], "DROP TABLE slowly")
    execute(
        connections[german],
        "CREATE OR REPLACE FUNCTION slow() RETURNS boolean LANGUAGE sql AS"
        " 'SELECT current_database() !~ ''^opsmigrate'''",
    )
    execute(connections[german], "CREATE TABLE only_here (one int CHECK (slow()))")
    execute(connections[german], "INSERT INTO only_here VALUES (1)")
    _, file = backup(ops, german, tmp_path / "b")
    refused = ops(command.split()[0], str(file), database=german, **COMMANDS[command])

    assert (ended.code, ended.ids) == (3, ["server-lost"]), ended.stdout
    assert (refused.code, refused.ids) == (1, ["restore-failed"]), refused.stdout
    assert "FEHLER:  " in refused.report["findings"][0]["message"]
