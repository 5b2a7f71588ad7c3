"""One place opens every session, and makes it ours: opsmigrate/postgres/opening.py."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.guards.test_source import OURS, ROOT, found_in, tree

PACKAGE = ROOT / "opsmigrate"
# second_connection() and open_second(), which own() what they make; own() itself.
OPENS = {PACKAGE / "postgres" / name for name in ("opening.py", "session.py")}
# Databases of tests, in which nobody plants anything, on a server that the tests have started.
TRIALS = {PACKAGE / "management" / "migration_trial.py"}
# The rehearsal's process runs the project's own `migrate`, in sessions of the project.
REHEARSAL = {
    PACKAGE / "preflight" / "rehearsal" / name
    for name in ("child.py", "driver_fence.py", "psycopg_fence.py", "psycopg2_fence.py")
}
OPENING = re.compile(r"connection(?:s\[[^]]*\])?\.copy$|create_connection\(.*\)\.copy$")
DRIVERS_WAYS = {"connect", "get_new_connection", "create_connection"}
# What the words of a driver are used for besides: signals, and sockets that no driver has.
ELSEWHERE = (
    "connection_created.connect",
    "got_request_exception.connect",
    "pre_migrate.connect",
    "socket.create_connection",
    "line.connect",
)
WHERE_TO_GO = (
    "sessions are opened by second_connection() and open_second() of postgres/session.py, and a "
    "connection of an alias is made ours by own() of postgres/opening.py: only so does nothing "
    "that is planted in the database run with our rights"
)


def openings(module: ast.Module) -> list[str]:
    """Return the calls of a module that open a session."""
    called = [ast.unparse(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)]
    return [
        name
        for name in called
        if OPENING.search(name)
        or (name.rpartition(".")[2] in DRIVERS_WAYS and name not in ELSEWHERE)
    ]


def test_no_other_place_opens_a_session() -> None:
    others = set(OURS) - OPENS - REHEARSAL - TRIALS

    assert found_in(others, lambda path: openings(tree(path))) == {}, WHERE_TO_GO


@pytest.mark.parametrize(
    "code",
    [
        "connection.copy()",
        "run.connection.copy(alias)",
        "connections[alias].copy()",
        "connections.create_connection(name)",
        "connection.Database.connect(**params)",
        "connection.get_new_connection({})",
    ],
)
def test_such_a_place_is_found(code: str) -> None:
    assert openings(ast.parse(code)) != []


def taken(path: Path) -> list[str]:
    """Return how a module takes the connection of an alias, where it does not make it ours."""
    text = path.read_text(encoding="utf-8")
    makes = re.search(r"\bown\(|\.reach\(|\bowned\(", text)
    return [] if makes else re.findall(r"\bpostgresql_alias\(|\.choose\(", text)


def test_a_connection_of_an_alias_is_made_ours_where_it_is_taken() -> None:
    assert found_in(OURS, taken) == {}, WHERE_TO_GO
