"""A session of ours: how long it waits for a silent network."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.pgtools.libpq import LIMITS_OF_CLIENTS, child_environment
from opsmigrate.postgres.network_timeouts import LIMITS
from opsmigrate.postgres.opening import owned
from opsmigrate.postgres.session import second_connection
from tests.conftest import Ops

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names socket options as Linux does")


def options_of(connection: BaseDatabaseWrapper) -> dict[str, int]:
    """Return what the kernel keeps for the connection's socket, by libpq's names."""
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        tcp = socket.IPPROTO_TCP
        return {
            "keepalives": wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            "keepalives_idle": wire.getsockopt(tcp, socket.TCP_KEEPIDLE),
            "keepalives_interval": wire.getsockopt(tcp, socket.TCP_KEEPINTVL),
            "keepalives_count": wire.getsockopt(tcp, socket.TCP_KEEPCNT),
            "tcp_user_timeout": wire.getsockopt(tcp, socket.TCP_USER_TIMEOUT),
        }


def without_connecting(limits: dict[str, int]) -> dict[str, int]:
    """Return the limits that a socket has."""
    return {name: value for name, value in limits.items() if name != "connect_timeout"}


@LINUX
def test_every_session_of_ours_has_limits_and_the_projects_later_ones_have_not(
    empty_database: str,
) -> None:
    connection = connections[empty_database]
    with owned(connection):
        assert options_of(connection) == without_connecting(dict(LIMITS))
        assert connection.get_connection_params()["connect_timeout"] == 10
        with second_connection(connection) as other:
            assert options_of(other) == without_connecting(dict(LIMITS))
    connection.close()

    assert options_of(connection)["tcp_user_timeout"] == 0
    assert "connect_timeout" not in connection.get_connection_params()


@LINUX
def test_what_the_project_sets_stands(
    new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "service"
    file.write_text("[mine]\nkeepalives_interval=8\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "77")
    options = {"service": "mine", "keepalives_idle": 7, "tcp_user_timeout": 0}
    alias = new_database(OPTIONS=options)
    with owned(connections[alias]) as connection:
        found = options_of(connection)
        assert "connect_timeout" not in connection.get_connection_params()
    connection.close()

    assert found == without_connecting(
        {**LIMITS, "keepalives_idle": 7, "keepalives_interval": 8, "tcp_user_timeout": 0}
    )


def test_a_client_program_is_told_as_well(empty_database: str) -> None:
    with child_environment(connections[empty_database]) as environment:
        told = Path(environment.variables["PGSERVICEFILE"]).read_text(encoding="utf-8")
        variables = dict(environment.variables)

    for name, value in without_connecting(dict(LIMITS_OF_CLIENTS)).items():
        assert f"{name}={value}\n" in told
    assert variables["PGCONNECT_TIMEOUT"] == "10"
    assert "password" not in told


def test_a_service_of_the_environment_still_reaches_a_client_program(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "service"
    file.write_text("[mine]\nhost=elsewhere\nkeepalives_idle=7\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "mine")
    with child_environment(connections[empty_database]) as environment:
        told = Path(environment.variables["PGSERVICEFILE"]).read_text(encoding="utf-8")

    assert "host=elsewhere\n" in told
    assert "keepalives_idle=7\n" in told


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_command_gives_the_connection_back(staging: str, ops: Ops, ends: str) -> None:
    connection = connections[staging]
    arguments: dict[str, Any] = {} if ends == "well" else {"rehearse": "kept"}
    ops("preflight_migrate", database=staging, **arguments)

    assert "get_connection_params" not in vars(connection)
