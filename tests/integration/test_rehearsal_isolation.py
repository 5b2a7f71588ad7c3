"""A server of its own for the copy, a network of its own for the process, no live credentials.

And where the copy must be on the examined server: the fence. The attempts are an adversary's.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.postgres.session import backend_pid, second_connection
from tests.conftest import Answer, Ops, execute, query, url_of
from tests.integration.fence_attempts import BELOW, OWNER, SUPERUSER, UNSEEN, WITH_PSYCOPG
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.rehearsals import DOUBLE, owner_of_zoo, prepared, reasons, rehearse

EVERYTHING = """
SELECT (SELECT jsonb_agg(to_jsonb(d) - 'datfrozenxid' - 'datminmxid' ORDER BY oid)
        FROM pg_database d WHERE datname !~ '^opsmigrate_scratch')::text,
       (SELECT jsonb_agg(to_jsonb(r) ORDER BY oid) FROM pg_authid r)::text,
       (SELECT jsonb_agg(to_jsonb(s) ORDER BY s::text) FROM pg_db_role_setting s
        WHERE setdatabase = 0 OR setdatabase IN (
            SELECT oid FROM pg_database WHERE datname !~ '^opsmigrate_scratch'))::text,
       (SELECT jsonb_agg(to_jsonb(m) ORDER BY m::text) FROM pg_auth_members m)::text,
       (SELECT jsonb_agg(to_jsonb(z) ORDER BY id) FROM zoo_cage z)::text,
       (SELECT jsonb_agg(to_jsonb(f) ORDER BY f::text) FROM pg_file_settings f)::text,
       (SELECT count(*) FROM pg_prepared_xacts)
"""
PREAMBLE = """
cursor = editor.connection.cursor()
raw = editor.connection.connection.cursor()
DRIVER = editor.connection.Database
own = editor.connection.get_connection_params()
given = GIVEN
role, database, other, pid, live, trace = (
    given[key] for key in ("role", "database", "other", "pid", "live", "trace"))
own = {key: own[key] for key in ("dbname", "user", "password", "host", "port")}
def run(text):
    for key in ("ROLE_", "DB_", "OTHER_", "PID_", "TRACE_"):
        text = text.replace(key, str(given[{"DB_": "database"}.get(key, key[:-1].lower())]))
    cursor.execute(text)
"""


@pytest.fixture(autouse=True)
def unbound(settings: Any) -> None:
    """Say nothing of where the copy is to be made."""
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}


def test_the_copy_is_made_on_a_server_of_its_own_wherever_one_suits(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answer = rehearse(ops, prepared(empty_database, write_migrations, DOUBLE))

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert isolation == {
        "server": "embedded",
        "network": "namespace",
        "fence": "isolated",
        "why": [],
    }


def attempts(alias: str, other: str, tried: dict[str, str], pid: int, trace: Path) -> str:
    """Return operations that try, and go on as if nothing had been."""
    settings, quoted = connections[alias].settings_dict, connections[alias].ops.quote_name
    given = {
        "role": quoted(settings["USER"]),
        "database": quoted(settings["NAME"]),
        "other": quoted(connections[other].settings_dict["NAME"]),
        "live": url_of(alias),
        "pid": pid,
        "trace": str(trace),
    }
    preamble = PREAMBLE.replace("GIVEN", repr(given))
    texts = [
        f"{preamble}\ntry:\n    {code}\nexcept Exception:\n    pass\n" for code in tried.values()
    ]
    return "\n".join(
        f"migrations.RunPython(lambda apps, editor: exec({text!r}, {{'editor': editor}})),"
        for text in texts
    )


def refused(answer: Answer) -> set[str]:
    """Return the operations in which the fence refused something."""
    return {item["what"] for item in answer.report["unexamined"] if "it may not" in item["why"]}


def told(answer: Answer) -> list[str]:
    """Return what became of the operations."""
    return [
        f"{item['what']} {item['why']}"
        for item in answer.report["unexamined"]
        if "only running" not in item["why"]
    ]


def try_all(
    alias: str, other: str, tried: dict[str, str], folder: Path, write: Write, ops: Ops, boss: str
) -> tuple[Answer, set[str]]:
    """Rehearse the attempts; hold that nothing live is another; return what was not refused."""
    trace = folder / "trace"
    trace.mkdir()
    trace.chmod(0o777)
    name = connections[other].settings_dict["NAME"]
    with second_connection(connections[alias]) as session:
        pid = backend_pid(session)
        write(CAGE, attempts(alias, other, tried, pid, trace / "made"), atomic=False)
        before = query(boss, EVERYTHING)
        answer = rehearse(ops, alias)
        assert query(boss, EVERYTHING) == before
        assert backend_pid(session) == pid
    assert query(boss, "SELECT 1 FROM pg_database WHERE datname = %s", [name]) == [(1,)]
    assert list(trace.iterdir()) == []
    found = refused(answer)
    places = {f"zoo.0002_step {n}: RunPython": each for n, each in enumerate(tried)}
    return answer, {each for what, each in places.items() if what not in found}


PLACES = {"isolated": {}, "shared": {"REHEARSE_ON": "default"}}


def of_this_driver(tried: dict[str, str]) -> dict[str, str]:
    """Return the attempts that the installed drivers allow for."""
    psycopg2 = connections["default"].Database.__name__ == "psycopg2"
    left_out = WITH_PSYCOPG if psycopg2 else frozenset()
    return {name: code for name, code in tried.items() if name not in left_out}


@pytest.mark.major
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("who", ["owner", "superuser"])
def test_an_adversary_gets_nowhere(
    who: str,
    place: str,
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", **PLACES[place]}
    alias, other = new_database("live"), new_database("other")
    below = BELOW if place == "isolated" else {}
    tried = of_this_driver({**OWNER, **(SUPERUSER if who == "superuser" else {}), **below})
    prepared(alias, write_migrations, "")
    with ExitStack() as stack:
        if who == "owner":
            user = role("CREATEDB")
            grant = f"""GRANT CREATE ON SCHEMA public TO "{user["USER"]}" """
            execute(connections[alias], grant)
            examined = stack.enter_context(owner_of_zoo(alias, user))
        else:
            examined = alias
        answer, passed = try_all(examined, other, tried, tmp_path, write_migrations, ops, alias)

    assert answer.code == 3, [answer.report["findings"], *told(answer)]
    may_run = set(below) | (UNSEEN if (who, place) == ("owner", "isolated") else set())
    assert passed <= may_run, "\n".join(told(answer))
