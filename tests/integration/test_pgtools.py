"""Client programs connect as Django does, and end when they are to."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from environ import Env

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools import run as module
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.libpq import ChildEnvironment, child_environment
from opsmigrate.pgtools.run import ClientError, run, started
from opsmigrate.postgres.session import read_session
from tests.conftest import execute

BARE = ChildEnvironment(variables={"PATH": "/usr/bin:/bin"}, descriptors=(), role=None)


@pytest.fixture
def connection(empty_database: str) -> BaseDatabaseWrapper:
    """A connection to an empty database."""
    return connections[empty_database]


@pytest.fixture
def asking(password_server: str, connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A superuser's connection to a server that asks for the password."""
    superuser = connection.copy()
    superuser.settings_dict.update(Env.db_url_config(password_server))
    yield superuser
    superuser.close()


def psql(connection: BaseDatabaseWrapper, statement: str, database: str | None = None) -> str:
    """Return what psql answers when it connects as the connection does."""
    clients = find_clients(read_session(connections["default"]).major, None)
    argv = [clients.program("psql"), "-X", "-A", "-t", "-w", "-c", statement]
    with (
        child_environment(connection, database=database) as environment,
        started(argv, environment, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        return process.stdout.read().decode().strip()


def test_the_child_connects_as_django_does_with_every_option(
    connection: BaseDatabaseWrapper,
) -> None:
    settings = connection.settings_dict
    settings["OPTIONS"]["options"] = "-c statement_timeout=12345 -c search_path=some_where"

    said = psql(
        connection,
        "SELECT current_database(), current_user, current_setting('statement_timeout'),"
        " current_setting('search_path'), current_setting('application_name')",
    )

    assert said == "|".join(
        [settings["NAME"], settings["USER"], "12345ms", "some_where", "opsmigrate"]
    )


def test_the_child_can_be_sent_to_another_database(connection: BaseDatabaseWrapper) -> None:
    assert psql(connection, "SELECT current_database()", database="template1") == "template1"


@pytest.mark.parametrize("password", ["p'w\" d", r"co:lon\back", "ünïcode €", "#%&?/@", " "])
def test_any_password_reaches_the_server(asking: BaseDatabaseWrapper, password: str) -> None:
    make = sql.SQL("CREATE ROLE asked LOGIN PASSWORD {}").format(sql.Literal(password))
    execute(asking, make)
    try:
        other = asking.copy()
        other.settings_dict.update(USER="asked", PASSWORD=password)
        assert psql(other, "SELECT current_user") == "asked"
    finally:
        execute(asking, "DROP ROLE asked")


@pytest.mark.parametrize("password", ["two\nlines", "ends in one\r"])
def test_a_password_that_no_passfile_can_hold_is_said_to_be_one(
    connection: BaseDatabaseWrapper, password: str
) -> None:
    connection.settings_dict["PASSWORD"] = password

    with pytest.raises(UndecidedError, match="line break") as caught:
        psql(connection, "SELECT 1")
    assert password not in str(caught.value)


def test_a_wrong_password_is_the_servers_own_word(asking: BaseDatabaseWrapper) -> None:
    other = asking.copy()
    other.settings_dict["PASSWORD"] = "surely not this one"

    with pytest.raises(ClientError, match="password authentication failed") as caught:
        psql(other, "SELECT 1")
    assert "surely not" not in str(caught.value)


def test_keywords_without_a_variable_reach_the_child(connection: BaseDatabaseWrapper) -> None:
    options = connection.settings_dict["OPTIONS"]
    options.update(keepalives_idle="7", tcp_user_timeout="5000")
    assert psql(connection, "SELECT 1") == "1"

    # libpq's own words are the proof that it read it.
    options.update(keepalives_idle="seven")
    with pytest.raises(ClientError, match='invalid integer value "seven" for connection option'):
        psql(connection, "SELECT 1")


def test_a_service_and_keywords_without_a_variable_reach_the_child_together(
    connection: BaseDatabaseWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = connection.settings_dict
    file = tmp_path / "service"
    file.write_text(
        f"# ours\n[other]\nhost=nowhere\n[mine]\nhost={settings['HOST']}\n"
        f"port={settings['PORT']}\noptions=-c work_mem=7MB\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    settings.update(HOST="", PORT="")
    settings["OPTIONS"].update(service="mine", keepalives_idle="7")
    assert psql(connection, "SHOW work_mem") == "7MB"

    settings["OPTIONS"]["keepalives_idle"] = "seven"
    with pytest.raises(ClientError, match='invalid integer value "seven" for connection option'):
        psql(connection, "SELECT 1")


def test_the_role_that_django_assumes_is_known(connection: BaseDatabaseWrapper) -> None:
    with child_environment(connection) as environment:
        assert environment.role is None
    connection.settings_dict["OPTIONS"]["assume_role"] = "owner"
    with child_environment(connection) as environment:
        assert environment.role == "owner"


def test_only_what_such_programs_need_is_handed_on(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "PGCLIENTENCODING"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    monkeypatch.setenv("PGPASSWORD", "of another server")

    with child_environment(connection) as environment:
        variables = environment.variables

    assert "a secret" not in variables.values()
    assert variables["PGSSLROOTCERT"] == "/etc/ca.pem"
    assert "PATH" in variables
    if connection.settings_dict["PASSWORD"]:
        assert "PGPASSWORD" not in variables
        assert connection.settings_dict["PASSWORD"] not in variables.values()


def test_a_program_that_fails_says_its_last_words() -> None:
    noise = "echo noise >&2; echo 'pg_dump: error: it broke' >&2; echo 'hint: x' >&2; exit 1"
    with pytest.raises(ClientError) as caught:
        run(["sh", "-c", noise], BARE, meanwhile=lambda: None)
    assert str(caught.value) == "noise; pg_dump: error: it broke; hint: x"

    with pytest.raises(ClientError) as caught:
        run(["sh", "-c", "exit 3"], BARE, meanwhile=lambda: None)
    assert str(caught.value) == "exit status 3 without any message"

    with pytest.raises(ClientError) as caught:
        run(["sh", "-c", "kill -9 $$"], BARE, meanwhile=lambda: None)
    assert str(caught.value) == "ended by SIGKILL without any message"


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_program_ends_with_the_block_that_an_exception_leaves(
    stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_END", 0.3)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else ""
    body = f"import signal, sys, time; {ignore} print(flush=True); time.sleep(60)"
    argv = [sys.executable, "-c", body]

    ended = []

    def leave_early() -> None:
        with started(argv, BARE, stdout=subprocess.PIPE) as process:
            ended.append(process)
            assert process.stdout is not None
            process.stdout.readline()
            raise KeyError

    before = time.monotonic()
    with pytest.raises(KeyError):
        leave_early()

    assert ended[0].poll() is not None
    assert time.monotonic() - before < 10


def test_run_calls_back_while_the_program_runs() -> None:
    calls = []

    run(["sleep", "0.7"], BARE, meanwhile=lambda: calls.append(1))

    assert len(calls) >= 2
