"""What around the database stops a migration: two-phase commit, standbys, slots, room for locks."""

import threading
import time
from collections.abc import Callable, Iterator
from secrets import token_hex

import environ
import pytest
from django.db import connections

from opsmigrate.pgtools import embedded
from opsmigrate.preflight.live import blockers, server_settings
from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist
from tests.sessions import held

pytestmark = pytest.mark.major

ADD = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
WRITE = "UPDATE zoo_cage SET size = 4711 WHERE name = 's3cret'"
SETTINGS = {
    "max_prepared_transactions": "2",
    "max_locks_per_transaction": "10",
    "max_connections": "10",
    "max_worker_processes": "2",
    "max_wal_senders": "2",
}


@pytest.fixture(scope="module")
def own_server(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, django_db_blocker: object
) -> Iterator[str]:
    """Yield the URL of a small server of the tests' own major, whose settings may be changed."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        major = connections["default"].pg_version // 10_000
    directory = tmp_path_factory.mktemp("own")
    server = embedded.start(directory, major=major, durable=False)
    try:
        with (server.data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
        embedded.stop(server)
        server = embedded.start(directory, major=major, durable=False)
        yield server.url
    finally:
        embedded.discard(server)


@pytest.fixture
def own_database(own_server: str, empty_database: str) -> Iterator[str]:
    """Yield the alias of a database on that server, where a wait for a lock ends in an error."""
    place = environ.Env.db_url_config(own_server)
    default = connections["default"].settings_dict
    name = f"own {token_hex(4)}"
    connections.settings["own"] = {
        **default,
        **place,
        "OPTIONS": {"options": "-c lock_timeout=150ms"},
        "TEST": dict(default["TEST"]),
    }
    execute(connections["own"], f'CREATE DATABASE "{name}"')
    connections["own"].close()
    del connections["own"]
    connections.settings["own"]["NAME"] = name
    yield "own"
    connections["own"].close()
    del connections["own"], connections.settings["own"]


def prepared(alias: str, write: Write, pending: str) -> None:
    write(CAGE)
    assert migrate(alias, "zoo") is None
    execute(connections[alias], ROW)
    write(CAGE, pending)


def test_a_prepared_transaction_is_an_error(
    own_database: str,
    write_migrations: Write,
    ops: Ops,
    monkeypatch: pytest.MonkeyPatch,
    typist: Typist,
) -> None:
    prepared(own_database, write_migrations, ADD)
    with held(own_database, WRITE) as other:
        execute(other, "PREPARE TRANSACTION 'till 7'")
    try:
        young = ops("preflight_migrate", "zoo", database=own_database)
        monkeypatch.setattr(blockers, "FORGOTTEN_SECONDS", 0.0)
        answer = ops("preflight_migrate", "zoo", database=own_database)
        failure = migrate(own_database, "zoo")
        [finding] = answer.report["findings"]
        assert typist.type(own_database, finding) == []
    finally:
        if query(own_database, "SELECT FROM pg_prepared_xacts"):
            execute(connections[own_database], "ROLLBACK PREPARED 'till 7'")
    after = ops("preflight_migrate", "zoo", database=own_database)

    assert "lock timeout" in str(failure)
    assert (young.code, young.ids) == (0, [])
    assert (answer.code, answer.ids) == (1, ["prepared-transaction"])
    assert [step["text"] for step in finding["steps"]] == [
        "COMMIT PREPARED 'till 7';",
        "ROLLBACK PREPARED 'till 7';",
    ]
    assert (after.code, after.ids) == (0, [])
    assert migrate(own_database, "zoo") is None


def test_commits_that_wait_for_a_standby_that_is_not_there_are_an_error(
    own_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepared(own_database, write_migrations, ADD)
    connection = connections[own_database]
    # durable=False switches synchronous_commit off on the server's command line.
    connection.settings_dict["OPTIONS"]["options"] += " -c synchronous_commit=on"
    failures: list[str | None] = []

    def run() -> None:
        failures.append(migrate(own_database, "zoo"))
        connections[own_database].close()

    execute(connection, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    execute(connection, "SELECT pg_reload_conf()")
    connection.close()
    thread = threading.Thread(target=run)
    try:
        wait_for(lambda: "nobody" in show(own_database, "synchronous_standby_names"))
        answer = ops("preflight_migrate", "zoo", database=own_database)
        thread.start()
        thread.join(1.5)
        hangs = thread.is_alive()
    finally:
        execute(connection, "ALTER SYSTEM RESET synchronous_standby_names")
        execute(connection, "SELECT pg_reload_conf()")
        thread.join(20)
    after = ops("preflight_migrate", "zoo", database=own_database)

    assert hangs
    assert (answer.code, answer.ids) == (1, ["no-synchronous-standby"])
    assert failures == [None]
    assert (after.code, after.ids) == (0, [])


def show(alias: str, name: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_slot_that_nobody_reads_is_told_where_it_holds_much(
    own_database: str,
    write_migrations: Write,
    ops: Ops,
    monkeypatch: pytest.MonkeyPatch,
    typist: Typist,
) -> None:
    prepared(own_database, write_migrations, ADD)
    connection = connections[own_database]
    execute(connection, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        little = ops("preflight_migrate", "zoo", database=own_database)
        monkeypatch.setattr(server_settings, "MUCH_WAL", 0)
        much = ops("preflight_migrate", "zoo", database=own_database)
    finally:
        typist.type(own_database, much.report["findings"][0])

    assert (little.code, little.ids) == (0, [])
    [slot] = little.report["facts"]["server"]["slots"]
    assert (slot["name"], slot["active"]) == ("forgotten", False)
    assert (much.code, much.ids) == (0, ["inactive-slot"])
    assert ops("preflight_migrate", "zoo", database=own_database).ids == []


@pytest.mark.parametrize(("tables", "full"), [(5, False), (250, True)])
def test_a_migration_of_more_tables_than_the_lock_table_holds_is_a_warning(
    tables: int, full: bool, own_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = "\n".join(
        f'migrations.CreateModel("Pen{number}", [("id", models.BigAutoField(primary_key=True)),'
        ' ("name", models.TextField())]),'
        for number in range(tables)
    )
    prepared(own_database, write_migrations, pending)

    answer = ops("preflight_migrate", "zoo", database=own_database)
    failure = migrate(own_database, "zoo")

    assert (answer.code, answer.ids) == (0, ["lock-table-full"] if full else [])
    assert ("out of shared memory" in str(failure)) == full


def test_triggers_that_are_off_are_a_warning(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(OPTIONS={"options": "-c session_replication_role=replica"})
    prepared(alias, write_migrations, ADD)

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, answer.ids) == (0, ["triggers-off"])
