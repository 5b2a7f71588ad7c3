"""Scratch databases: as the source, gone at the end, and reaped when we were killed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.postgres.session import open_second, read_session
from opsmigrate.scratch import reap, scratch_database
from opsmigrate.scratch_rights import require_scratch_allowed
from tests.conftest import ROOT, Ops, environment_for, execute, query, url_of
from tests.seeding import wait_for

pytestmark = pytest.mark.major

# Makes a scratch database, says its name, and waits for the end of its input, or to be killed.
HOLDER = """
import sys, django
django.setup()
from django.db import connection
from opsmigrate.scratch import scratch_database
with scratch_database(connection, run_id="held", maintenance_db=None) as scratch:
    print(scratch.name, flush=True)
    sys.stdin.read()
"""
LOOKS = """
SELECT to_jsonb(d) - 'oid' - 'datname' - 'datdba' - 'datacl' - 'datfrozenxid' - 'datminmxid'
       - 'datlastsysoid' - 'dathasloginevt' FROM pg_database d WHERE datname = %s
"""


def exists(alias: str, name: str) -> bool:
    return bool(query(alias, "SELECT 1 FROM pg_database WHERE datname = %s", [name]))


@contextmanager
def scratch_of(alias: str) -> Iterator[str]:
    with scratch_database(connections[alias], run_id="a-run", maintenance_db=None) as scratch:
        yield scratch.name


@contextmanager
def held_elsewhere(alias: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Have a scratch database of another process, and its name."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=ROOT,
        env=environment_for(url_of(alias), DJANGO_SETTINGS_MODULE="staging_settings"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    try:
        yield process, name
    finally:
        process.kill()
        process.communicate()


def abandoned(alias: str) -> str:
    """Return the name of a scratch database whose process was killed."""
    with held_elsewhere(alias) as (_, name):
        assert exists(alias, name)
    # Its session ends a moment later, and its lock with it.
    wait_for(alias, "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'")
    return name


def test_it_is_there_for_the_block_and_gone_afterwards(empty_database: str) -> None:
    with scratch_of(empty_database) as name:
        assert name.startswith("opsmigrate_scratch_")
        assert len(name) == len("opsmigrate_scratch_") + 12
        assert exists(empty_database, name)
    assert not exists(empty_database, name)


def test_it_is_dropped_on_an_exception_with_a_session_still_in_it(empty_database: str) -> None:
    sessions = []

    def leave_early() -> None:
        with scratch_of(empty_database) as name:
            sessions.append(open_second(connections[empty_database], database=name))
            sessions[0].ensure_connection()
            raise KeyError

    with pytest.raises(KeyError):
        leave_early()
    assert not exists(empty_database, sessions[0].settings_dict["NAME"])
    sessions[0].close()


def test_its_comment_says_whose_it_is(empty_database: str) -> None:
    with scratch_of(empty_database) as name:
        [(comment,)] = query(
            empty_database,
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [name],
        )

    said = json.loads(comment)
    assert (said["opsmigrate"], said["run"]) == ("scratch", "a-run")
    assert said["source"] == read_session(connections[empty_database]).oid
    age = datetime.now(timezone.utc) - datetime.fromisoformat(said["made"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def as_source(make: Callable[..., str], options: str) -> None:
    """Assert that a scratch database of a source made with the options has the same looks."""
    alias = make(prefix="plain")
    name = connections[alias].settings_dict["NAME"]
    default = open_second(connections[alias], database="postgres")
    for statement in ("DROP DATABASE {}", "CREATE DATABASE {} TEMPLATE template0 " + options):
        execute(default, sql.SQL(statement).format(sql.Identifier(name)))
    default.close()
    with scratch_of(alias) as scratch:
        [(source,)], [(copy,)] = (query(alias, LOOKS, [each]) for each in (name, scratch))
        assert copy == source


@pytest.mark.parametrize(
    "options",
    [
        "",
        "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
        "ENCODING 'LATIN1' LOCALE 'C'",
        "ENCODING 'SQL_ASCII' LOCALE 'C'",
    ],
)
def test_it_has_the_encoding_and_the_locale_of_the_source(
    new_database: Callable[..., str], options: str
) -> None:
    as_source(new_database, options)


def test_it_has_the_locale_provider_of_the_source(new_database: Callable[..., str]) -> None:
    major = read_session(connections[new_database()]).major
    if major >= 15:
        as_source(new_database, "LOCALE_PROVIDER libc LOCALE 'C'")
    if major >= 17:
        as_source(new_database, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'")


def test_a_role_without_createdb_is_told_what_to_type(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]]
) -> None:
    made = role()
    connection = connections[new_database(**made)]

    with pytest.raises(UndecidedError) as early:
        require_scratch_allowed(connection)
    with pytest.raises(UndecidedError) as late, scratch_of(connection.alias):
        pass

    for caught in (early, late):
        assert caught.value.id == "cannot-create-database"
        assert str(caught.value) == "the role may not create a scratch database"
        assert [step.text for step in caught.value.steps] == [
            f'ALTER ROLE "{made["USER"]}" CREATEDB;'
        ]


def test_a_role_with_createdb_is_allowed(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]]
) -> None:
    alias = new_database(**role("CREATEDB"))

    require_scratch_allowed(connections[alias])
    with scratch_of(alias) as name:
        assert exists(alias, name)


@pytest.mark.parametrize("whose", ["role", "options", "database"])
def test_where_every_session_is_read_only_it_is_said_beforehand(
    whose: str, new_database: Callable[..., str], role: Callable[..., dict[str, str]]
) -> None:
    made = role("CREATEDB")
    options = {"options": "-c default_transaction_read_only=on"} if whose == "options" else {}
    alias = new_database(**made, OPTIONS=options)
    connection = connections[alias]
    superuser = connections["default"].copy()
    superuser.settings_dict["NAME"] = "postgres"
    names = {"role": made["USER"], "database": connection.settings_dict["NAME"]}
    if whose in names:
        change = sql.SQL("ALTER {} {} SET default_transaction_read_only = on")
        execute(superuser, change.format(sql.SQL(whose), sql.Identifier(names[whose])))

    if whose == "database":  # where the new one is made, it is not set
        require_scratch_allowed(connection)
        with scratch_of(alias) as name:
            assert exists(alias, name)
        reset = sql.SQL("ALTER DATABASE {} RESET ALL")
        execute(superuser, reset.format(sql.Identifier(names[whose])))
    else:
        with pytest.raises(RefusedError) as caught:
            require_scratch_allowed(connection)
        assert caught.value.id == "read-only"
    superuser.close()


def test_a_maintenance_database_that_is_not_there_is_named(empty_database: str) -> None:
    connection = connections[empty_database]
    making = scratch_database(connection, run_id="a-run", maintenance_db="no such database")

    with pytest.raises(UndecidedError) as caught, making:
        pass

    assert caught.value.id == "no-maintenance-database"
    assert str(caught.value).startswith(
        "cannot connect to no such database to create a scratch database: "
    )
    assert caught.value.hint == (
        'set OPSMIGRATE["MAINTENANCE_DB"] to a database that the role may connect to'
    )


def test_what_a_killed_process_left_is_reaped_by_the_next_run_of_any_command(
    staging: str, ops: Ops
) -> None:
    name = abandoned(staging)
    assert exists(staging, name)

    assert ops("preflight_migrate", database=staging).code == 1

    assert not exists(staging, name)


def test_a_live_one_of_another_process_is_not_reaped(empty_database: str) -> None:
    with held_elsewhere(empty_database) as (_, name):
        assert reap(connections[empty_database], None) == ()
        assert exists(empty_database, name)
        # Nor through another maintenance database: the lock is looked for in all of them.
        assert reap(connections[empty_database], "template1") == ()

    # The server takes a moment to see that the process is gone.
    deadline = time.monotonic() + 10
    while not (reaped := reap(connections[empty_database], None)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert name in reaped


def test_one_that_ends_by_itself_drops_its_own(empty_database: str) -> None:
    with held_elsewhere(empty_database) as (process, name):
        process.communicate(timeout=20)

    assert process.returncode == 0
    assert not exists(empty_database, name)


def test_one_that_somebody_looks_into_is_not_reaped(empty_database: str) -> None:
    name = abandoned(empty_database)
    other = open_second(connections[empty_database], database=name)
    other.ensure_connection()

    assert reap(connections[empty_database], None) == ()
    other.close()
    # The server notices a moment later that the session is over.
    looks = "SELECT 1 FROM pg_stat_activity WHERE datname = %s"
    deadline = time.monotonic() + 20
    while query(empty_database, looks, [name]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert reap(connections[empty_database], None) == (name,)


def test_one_of_another_owner_is_not_reaped_not_even_by_a_superuser(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]], empty_database: str
) -> None:
    alias = new_database(**role("CREATEDB"))
    name = abandoned(alias)

    assert reap(connections[empty_database], None) == ()
    assert reap(connections[alias], None) == (name,)


def test_a_name_that_is_only_alike_is_not_reaped(new_database: Callable[..., str]) -> None:
    alike = new_database(prefix="opsmigrate_scratch_of_ours_")

    assert reap(connections[new_database()], None) == ()
    assert exists(alike, connections[alike].settings_dict["NAME"])
