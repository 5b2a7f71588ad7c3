"""The role that is made for a restore: what code that runs as it may hand on, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from time import sleep

import pytest
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import RefusedError
from opsmigrate.pgtools.embedded import find_bindirs
from opsmigrate.postgres.session import open_second, second_connection
from opsmigrate.scratch import scratch_database
from opsmigrate.scratch_role import hand_over, scratch_role
from tests.adversaries import ROW, Attacked
from tests.conftest import execute, query
from tests.own_extensions import extensions_from

pytestmark = [
    pytest.mark.major,
    pytest.mark.usefixtures("no_kept_database"),
    pytest.mark.skipif(not find_bindirs(), reason="needs the embedded package"),
]
COMMANDS = ("restore_db", "into")

# Who runs as the role that was made for a restore may give it another password, and so let the
# attacker in from outside, who then takes his time.
LET_IN = """
CREATE FUNCTION low.let_in() RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN
  IF session_user LIKE 'opsmigrate%' THEN
    EXECUTE format('ALTER ROLE %I PASSWORD %L', session_user, 'known');
    PERFORM pg_sleep(0.5);
  END IF;
  RETURN true;
END $body$
"""
WITH_PASSWORD = (LET_IN, "CREATE TABLE low.t (x int CHECK (low.let_in()))", ROW)


@dataclass
class Intruder(Thread):
    """Logs in as the role that is made for a restore, as soon as its password is known."""

    alias: str
    act: Callable[[BaseDatabaseWrapper], None]
    database: str | None = None
    ended: Event = field(default_factory=Event)

    def __hash__(self) -> int:
        return id(self)

    def __post_init__(self) -> None:
        super().__init__()

    def run(self) -> None:
        """Try until it is told to end."""
        watching = open_second(connections[self.alias], database="postgres")
        while not self.ended.wait(0.01):
            with watching.cursor() as cursor:
                cursor.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^opsmigrate_role'")
                row = cursor.fetchone()
            if row is None:
                continue
            scratch = row[0].replace("_role_", "_scratch_")
            own = open_second(watching, database=self.database or scratch)
            own.settings_dict.update(USER=row[0], PASSWORD="known")
            with suppress(Error):
                own.ensure_connection()
                self.act(own)
                self.ended.wait()
            own.close()
        watching.close()


@contextmanager
def intruder(
    alias: str, act: Callable[[BaseDatabaseWrapper], None], *, database: str | None = None
) -> Iterator[None]:
    """Have somebody outside who waits for the role's password to be known."""
    thread = Intruder(alias, act, database)
    thread.start()
    try:
        yield
    finally:
        thread.ended.set()
        thread.join()


# What belongs to an extension is in no dump.
POCKET = {
    "pocket.control": "default_version = '1'\ntrusted = true\nrelocatable = true\n",
    "pocket--1.sql": "CREATE FUNCTION in_pocket() RETURNS int LANGUAGE sql AS 'SELECT 1';",
}
HIDES = """
CREATE FUNCTION low.hides() RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN
  IF session_user LIKE 'opsmigrate%' THEN
    CREATE FUNCTION low.handed() RETURNS boolean LANGUAGE sql SECURITY DEFINER
      AS 'SELECT low.attack()';
    ALTER EXTENSION pocket ADD FUNCTION low.handed();
  END IF;
  RETURN true;
END $body$
"""


@pytest.fixture
def pocket(new_database: object) -> Iterator[bool]:
    """Have a trusted extension on the server, as pgcrypto is one; say whether it can have one."""
    with extensions_from("default", POCKET) as there:
        yield there


@pytest.mark.parametrize("command", COMMANDS)
def test_what_code_made_as_the_role_of_a_restore_does_not_become_a_superusers(
    attacked: Attacked, command: str, pocket: bool
) -> None:
    if not pocket:
        with pytest.raises(Error, match="pocket"):
            execute(connections[attacked.alias], "CREATE EXTENSION pocket")
        return
    execute(connections[attacked.alias], "CREATE EXTENSION pocket")
    attacked.plant(HIDES, "CREATE TABLE low.t (x int CHECK (low.hides()))", ROW)
    name = connections[attacked.alias].settings_dict["NAME"]
    # So that the role of the restore may make extensions.
    change = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    whose = sql.Identifier(name), sql.Identifier(attacked.low)
    execute(connections[attacked.alias], change.format(*whose))

    answer = attacked.run(command)

    connections[attacked.alias].close()
    own = open_second(
        connections[attacked.alias], database=f"{name}_into" if command == "into" else name
    )
    own.settings_dict.update(attacked.login)
    with suppress(Error):
        execute(own, "SELECT low.handed()")
    own.close()
    attacked.require_harmless()
    assert (answer.code, answer.ids) == (4, ["restore-runs-code"]), answer.stdout
    assert "low.handed()" in answer.report["findings"][0]["message"]
    assert attacked.leftovers() == []


def test_nothing_but_extensions_is_handed_over(empty_database: str) -> None:
    superuser = connections[empty_database]
    with (
        scratch_database(superuser, run_id="x", maintenance_db=None) as scratch,
        second_connection(superuser, database=scratch.name) as inside,
        scratch_role(superuser, scratch) as hands,
    ):
        execute(hands, "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        assert scratch.role is not None
        with inside.cursor() as cursor, pytest.raises(RefusedError, match=r"function public\.mine"):
            hand_over(cursor, scratch.role, scratch.name)
        # Nobody else is in it any more.
        with pytest.raises(Error):
            execute(hands, "SELECT 1")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_role_of_a_restore_sees_no_rows_that_its_owner_may_not_see(
    attacked: Attacked, command: str, new_database: Callable[..., str]
) -> None:
    other, low = new_database(), sql.Identifier(attacked.low)
    for statement in (
        "CREATE TABLE public.tenants AS SELECT 'of another' AS secret",
        "ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON public.tenants TO {}",
    ):
        execute(connections[other], sql.SQL(statement).format(low))
    attacked.plant(*WITH_PASSWORD)
    seen: list[object] = []

    def look(own: BaseDatabaseWrapper) -> None:
        for _ in range(100):
            with own.cursor() as cursor:
                cursor.execute("SELECT * FROM public.tenants")
                seen.extend(cursor.fetchall())
            sleep(0.05)

    with intruder(attacked.alias, look, database=connections[other].settings_dict["NAME"]):
        answer = attacked.run(command)

    assert seen == []
    assert answer.code in (0, 3, 4), answer.stdout
    assert attacked.leftovers() == []


def test_a_role_that_cannot_be_dropped_lets_nobody_in(attacked: Attacked) -> None:
    attacked.plant(*WITH_PASSWORD)

    def stay(own: BaseDatabaseWrapper) -> None:
        # In the live database, where it is a member of the schema's owner.
        execute(own, "CREATE TABLE low.stays (x int)")

    live = connections[attacked.alias].settings_dict["NAME"]
    with intruder(attacked.alias, stay, database=live):
        attacked.run("into")

    execute(connections[attacked.alias], "ALTER TABLE low.stays OWNER TO CURRENT_USER")
    [role] = [name for name in attacked.leftovers() if name.startswith("opsmigrate_role_")]
    asked = "SELECT rolcanlogin OR rolbypassrls FROM pg_roles WHERE rolname = %s"
    try:
        assert query(attacked.alias, asked, [role]) == [(False,)]
    finally:
        execute(connections[attacked.alias], sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
