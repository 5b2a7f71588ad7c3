"""Sessions: who and where we are, and connections of one's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import OperationalError, connections

from opsmigrate.postgres.session import (
    Session,
    backend_pid,
    describe,
    is_pooled_by_transaction,
    open_second,
    read_session,
    second_connection,
    set_for_session,
)
from opsmigrate.report import Database
from tests.conftest import query

pytestmark = pytest.mark.major


def test_the_session_is_what_the_server_says(empty_database: str) -> None:
    connection = connections[empty_database]

    session = read_session(connection)

    [(oid, version, text)] = query(
        empty_database,
        "SELECT oid, current_setting('server_version_num')::int, current_setting('server_version')"
        " FROM pg_database WHERE datname = current_database()",
    )
    [(identifier,)] = query(empty_database, "SELECT system_identifier FROM pg_control_system()")
    assert session == Session(
        database=connection.settings_dict["NAME"],
        oid=oid,
        version=version,
        version_text=text,
        system_identifier=identifier,
        user=connection.settings_dict["USER"],
        in_recovery=False,
        read_only=False,
        host=connection.settings_dict["HOST"],
        port=int(connection.settings_dict["PORT"]),
    )
    assert session.major == version // 10_000 >= 14


def test_any_role_may_read_it(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]]
) -> None:
    made = role()
    alias = new_database(**made, OPTIONS={"options": "-c default_transaction_read_only=on"})

    session = read_session(connections[alias])

    assert (session.user, session.read_only) == (made["USER"], True)


def test_it_is_read_in_one_query(empty_database: str) -> None:
    connection = connections[empty_database]
    connection.ensure_connection()
    connection.force_debug_cursor = True
    connection.queries_log.clear()

    read_session(connection)

    assert len(connection.queries) == 1


def test_a_server_that_is_not_there_is_an_operational_error(empty_database: str) -> None:
    other = connections[empty_database].copy()
    other.settings_dict["PORT"] = "1"

    with pytest.raises(OperationalError):
        read_session(other)


def test_a_report_describes_what_was_reached(empty_database: str) -> None:
    connection = connections[empty_database]
    session = read_session(connection)

    described = describe(connection, session)

    settings = connection.settings_dict
    assert described == Database(
        alias=empty_database,
        name=settings["NAME"],
        host=settings["HOST"],
        port=int(settings["PORT"]),
        server_version=session.version_text,
        system_identifier=str(session.system_identifier),
        oid=session.oid,
    )


def test_a_report_describes_what_was_not_reached_by_its_settings(empty_database: str) -> None:
    other = connections[empty_database].copy()
    other.settings_dict.update(NAME="nowhere", HOST="", PORT="")

    assert describe(other, None) == Database(
        alias=empty_database, name="nowhere", host=None, port=None
    )


@pytest.mark.parametrize("how", ["variables", "service"])
def test_a_report_names_the_place_that_libpq_was_led_to(
    how: str, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = connections[empty_database].copy()
    settings = dict(other.settings_dict)
    other.settings_dict.update(HOST="", PORT="")
    if how == "variables":
        monkeypatch.setenv("PGHOST", settings["HOST"])
        monkeypatch.setenv("PGPORT", str(settings["PORT"]))
    else:
        file = tmp_path / "services"
        file.write_text(f"[here]\nhost={settings['HOST']}\nport={settings['PORT']}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(file))
        other.settings_dict["OPTIONS"] = {**settings["OPTIONS"], "service": "here"}

    try:
        described = describe(other, read_session(other))
    finally:
        other.close()

    assert (described.host, described.port) == (settings["HOST"], int(settings["PORT"]))


def test_a_second_connection_is_a_session_of_its_own_closed_at_the_end(
    empty_database: str,
) -> None:
    connection = connections[empty_database]
    connection.set_autocommit(False)
    try:
        with second_connection(connection) as other:
            pid = backend_pid(other)
            assert pid != backend_pid(connection)
            assert other.get_autocommit()
            assert read_session(other) == read_session(connection)
    finally:
        connection.rollback()
        connection.set_autocommit(True)

    assert other.connection is None
    assert connection.is_usable()


def test_a_second_connection_can_be_to_another_database(empty_database: str) -> None:
    with second_connection(connections[empty_database], database="postgres") as other:
        assert read_session(other).database == "postgres"
    assert connections[empty_database].settings_dict["NAME"] != "postgres"


def test_a_second_connection_takes_no_part_in_a_pool(empty_database: str) -> None:
    connection = connections[empty_database].copy()
    connection.settings_dict["OPTIONS"]["pool"] = {"min_size": 1}

    other = open_second(connection, database="postgres")

    assert "pool" not in other.settings_dict["OPTIONS"]
    assert connection.settings_dict["OPTIONS"]["pool"] == {"min_size": 1}
    assert read_session(other).database == "postgres"
    other.close()


def test_settings_last_until_the_session_ends(empty_database: str) -> None:
    with second_connection(connections[empty_database]) as other:
        set_for_session(other, lock_timeout="100ms", statement_timeout="2s")
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
            )
            assert cursor.fetchone() == ("100ms", "2s")
    assert query(empty_database, "SHOW lock_timeout") != [("100ms",)]


def test_a_direct_connection_is_not_pooled_by_transaction(empty_database: str) -> None:
    assert is_pooled_by_transaction(connections[empty_database]) is False
