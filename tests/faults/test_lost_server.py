"""A server that goes away says nothing of a backup: undecided, and no word of another one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import environ
import pytest
from django.db import connections
from django.test import override_settings

from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.embedded import running
from tests.aliases import alias_of
from tests.backups import backup, names
from tests.conftest import STRANGER, Answer, Ops, execute, query
from tests.interrupting import BUSY, make_slow_to_restore, wait_until
from tests.resetting import way_to

pytestmark = pytest.mark.adversary

COMMANDS = {
    "verify_backup": {"level": "restore"},
    "restore_db": {"no_input": True},
    "restore_db --into": {"no_input": True, "into": "restored_beside"},
}
TERMINATE = f"SELECT pg_terminate_backend(pid) {BUSY.removeprefix('SELECT 1')}"


@contextmanager
def meanwhile(ready: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as it is ready, beside the block; fail where it never was."""
    done: list[bool] = []

    def wait() -> None:
        try:
            wait_until(ready)
            act()
            done.append(True)
        finally:
            connections.close_all()

    thread = threading.Thread(target=wait, name=STRANGER)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)
    assert done


def major_of(alias: str) -> int:
    [(version,)] = query(alias, "SELECT current_setting('server_version_num')::int / 10000")
    return int(version)


def require_undecided(answer: Answer, *ids: str) -> None:
    """Require that nothing was said of the backup."""
    assert answer.code == 3, answer.stdout
    assert set(answer.ids) <= set(ids), answer.stdout
    for finding in answer.report["findings"]:
        assert "cannot be restored" not in finding["message"]
        assert "backup_db" not in f"{finding['hint']} {finding['steps']}"


@pytest.mark.named
@pytest.mark.major
@pytest.mark.parametrize("command", COMMANDS)
def test_a_session_that_an_administrator_ends_says_nothing_of_the_backup(
    staging: str, ops: Ops, tmp_path: Path, command: str
) -> None:
    _, file = backup(ops, staging, tmp_path)
    make_slow_to_restore(staging)
    _, slow = backup(ops, staging, tmp_path)

    with meanwhile(lambda: query(staging, BUSY), lambda: query(staging, TERMINATE)):
        answer = ops(command.split()[0], str(slow), database=staging, **COMMANDS[command])

    require_undecided(answer, "server-lost")
    assert ops("verify_backup", str(file), level="restore", database=staging).code == 0


@pytest.mark.parametrize("for_good", [False, True])
def test_a_network_that_is_cut_says_nothing_of_the_backup(
    staging: str, ops: Ops, tmp_path: Path, for_good: bool
) -> None:
    make_slow_to_restore(staging)
    _, file = backup(ops, staging, tmp_path)
    settings = connections[staging].settings_dict
    with way_to(settings["HOST"], int(settings["PORT"])) as way:
        place = {"HOST": "127.0.0.1", "PORT": str(way.port)}
        with alias_of("far", **{**settings, **place}) as far:
            cut = lambda: way.reset(for_good=for_good)  # noqa: E731
            with meanwhile(lambda: query(staging, BUSY), cut):
                answer = ops("verify_backup", str(file), level="restore", database=far)
    query(staging, TERMINATE)

    require_undecided(answer, "server-lost", "database-error", "cannot-connect")


@pytest.mark.parametrize("command", ["verify_backup", "restore_db", "backup_db"])
def test_a_server_that_stops_at_once_says_nothing_of_the_backup(
    empty_database: str, ops: Ops, tmp_path: Path, command: str
) -> None:
    with running(tmp_path / "server", durable=False) as server:
        place = environ.Env.db_url_config(server.url)
        with alias_of("own", **{**connections[empty_database].settings_dict, **place}) as own:
            folder = tmp_path / "backups"
            make_slow_to_restore(own)
            _, file = backup(ops, own, folder)
            [(data,)] = query(own, "SELECT current_setting('data_directory')")
            pid_file = Path(data) / "postmaster.pid"
            postmaster = int(pid_file.read_text().split()[0])
            args = () if command == "backup_db" else (str(file),)
            given = {"verify": "restore", "directory": str(folder)}
            options = given if command == "backup_db" else COMMANDS[command]
            with (
                alias_of("beside", **connections[own].settings_dict) as beside,
                meanwhile(lambda: query(beside, BUSY), lambda: os.kill(postmaster, signal.SIGQUIT)),
            ):
                answer = ops(command, *args, database=own, **options)
            wait_until(lambda: not pid_file.exists())

    require_undecided(answer, "server-lost", "database-error")


def test_a_backup_that_the_server_refuses_is_still_said_to_be_refused(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    for statement in (
        "CREATE FUNCTION here() RETURNS boolean LANGUAGE sql AS"
        " 'SELECT current_database() !~ ''^opsmigrate'''",
        "CREATE TABLE only_here (one int CHECK (here()))",
        "INSERT INTO only_here VALUES (1)",
    ):
        execute(connections[staging], statement)
    _, file = backup(ops, staging, tmp_path)

    for command, options in COMMANDS.items():
        answer = ops(command.split()[0], str(file), database=staging, **options)
        assert (answer.code, answer.ids) == (1, ["restore-failed"]), answer.stdout


@pytest.mark.parametrize("ending", ["kill -9 $$", "exit 127"])
def test_a_program_that_is_killed_or_missing_says_nothing_of_the_backup(
    staging: str, ops: Ops, tmp_path: Path, ending: str
) -> None:
    folder = tmp_path / "backups"
    _, file = backup(ops, staging, folder)
    theirs = find_clients(major_of(staging), None)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("pg_dump", "psql"):
        (programs / name).symlink_to(theirs.program(name))
    fake = programs / "pg_restore"
    fake.write_text(f"#!/bin/sh\n{ending}\n")
    fake.chmod(0o755)
    kept = names(folder)

    with override_settings(OPSMIGRATE={"ENVIRONMENT": "test", "PG_BIN": str(programs)}):
        for command, options in (("verify_backup", {}), *COMMANDS.items()):
            answer = ops(command.split()[0], str(file), database=staging, **options)
            require_undecided(answer, "client-failed", "server-lost")
        taken = ops("backup_db", database=staging, directory=str(folder))

    require_undecided(taken, "client-failed")
    assert set(kept) < set(names(folder))
    assert not [name for name in names(folder) if name.endswith(".bad")]
