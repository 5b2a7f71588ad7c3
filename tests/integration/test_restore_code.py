"""What others own runs while it is restored: never with a superuser's rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate import isolated
from opsmigrate.pgtools.embedded import find_bindirs
from tests.backups import backup, scratch_databases
from tests.conftest import Answer, Ops, execute, query
from tests.rollbacks import restore

pytestmark = [
    pytest.mark.major,
    pytest.mark.usefixtures("no_kept_database"),
    pytest.mark.skipif(not find_bindirs(), reason="needs the embedded package"),
]

# It takes off every cloak, becomes a superuser where it can, and starts a program.
ATTACK = """
CREATE FUNCTION low.attack() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE what text;
BEGIN
  FOREACH what IN ARRAY ARRAY[
    'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE postgres',
    'SET SESSION AUTHORIZATION postgres', {alter}, {program}
  ] LOOP
    BEGIN EXECUTE what; EXCEPTION WHEN OTHERS THEN NULL; END;
  END LOOP;
  RETURN true;
END $body$
"""
ROW = "INSERT INTO low.t VALUES (1)"
KINDS = {
    "check": ("CREATE TABLE low.t (x int CHECK (low.attack()))", ROW),
    "generated": (
        "CREATE TABLE low.t (x int, y boolean GENERATED ALWAYS AS (low.attack()) STORED)",
        ROW,
    ),
    "default": (
        "CREATE TABLE low.t (x int, y boolean DEFAULT low.attack())",
        "CREATE FUNCTION low.fires() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM low.attack(); RETURN NEW; END'",
        "CREATE TRIGGER fires BEFORE INSERT ON low.t FOR EACH ROW EXECUTE FUNCTION low.fires()",
        "ALTER TABLE low.t ENABLE ALWAYS TRIGGER fires",
        ROW,
    ),
    "index": ("CREATE TABLE low.t (x int)", ROW, "CREATE INDEX ON low.t ((low.attack()))"),
    "view": ("CREATE TABLE low.t (x int)", "CREATE MATERIALIZED VIEW low.v AS SELECT low.attack()"),
    "domain": (
        "CREATE DOMAIN low.d AS int CHECK (low.attack())",
        "CREATE TABLE low.t (x low.d)",
        ROW,
    ),
    "operator": (
        "CREATE FUNCTION low.same(int, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE"
        " AS 'BEGIN RETURN low.attack(); END'",
        "CREATE OPERATOR low.== (LEFTARG = int, RIGHTARG = text, FUNCTION = low.same)",
        "CREATE TABLE low.t (x int CHECK (x OPERATOR(low.==) 'a'::text))",
        ROW,
    ),
    "rls": (
        "CREATE TABLE low.t (x int)",
        ROW,
        "ALTER TABLE low.t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON low.t USING (low.attack())",
        "CREATE TABLE low.u (x int CHECK (low.attack()))",
        "INSERT INTO low.u VALUES (1)",
    ),
}
COMMANDS = ("backup_db", "verify_backup", "restore_db", "into")


@dataclass(frozen=True)
class Attacked:
    """A superuser's database in which a role without powers owns a schema, and what it tries."""

    alias: str
    low: str
    written: Path
    folder: Path
    ops: Ops

    def plant(self, *statements: str) -> None:
        """Let the role make what it may, in its schema."""
        connection = connections[self.alias]
        connection.ensure_connection()
        name = sql.Identifier(self.low)
        alter = sql.SQL("ALTER ROLE {} SUPERUSER").format(name).as_string(connection.connection)
        program = f"COPY (SELECT current_user) TO PROGRAM 'cat > {self.written}'"
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE SCHEMA low AUTHORIZATION {}").format(name))
            cursor.execute(sql.SQL("SET ROLE {}").format(name))
            literals = {
                "alter": sql.Literal(alter).as_string(connection.connection),
                "program": sql.Literal(program).as_string(connection.connection),
            }
            cursor.execute(ATTACK.format(**literals).replace("%", "%%"))
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("RESET ROLE")
        self.require_harmless()

    def run(self, command: str, **options: object) -> Answer:
        """Run a command as the superuser that restores what is planted."""
        if command == "backup_db":
            folder = str(self.folder)
            return self.ops(
                command, database=self.alias, directory=folder, verify="restore", **options
            )
        _, file = backup(self.ops, self.alias, self.folder)
        self.require_harmless()
        if command == "verify_backup":
            return self.ops(
                command, str(file), database=self.alias, level="restore", **options
            )
        if command == "into":
            options["into"] = f"{connections[self.alias].settings_dict['NAME']}_into"
        return restore(self.ops, self.alias, str(file), **options)

    def is_superuser(self) -> bool:
        """Say whether the role has got its way."""
        connections[self.alias].close()
        asked = "SELECT rolsuper FROM pg_roles WHERE rolname = %s"
        return bool(query(self.alias, asked, [self.low])[0][0])

    def require_harmless(self) -> None:
        """Fail where it has got its way, or a program of its was started."""
        assert not self.is_superuser()
        assert not self.written.exists()

    def leftovers(self) -> list[str]:
        """Return what was made for the run and not removed."""
        roles = "SELECT rolname FROM pg_roles WHERE rolname ~ '^opsmigrate_'"
        return scratch_databases(self.alias) + [name for (name,) in query(self.alias, roles)]


@pytest.fixture
def attacked(
    new_database: Callable[..., str],
    roles: Callable[..., dict[str, str]],
    ops: Ops,
    tmp_path: Path,
) -> Iterator[Attacked]:
    alias = new_database()
    written = Path("/tmp") / f"opsmigrate-test-{alias}"
    yield Attacked(alias, roles()["USER"], written, tmp_path, ops)
    written.unlink(missing_ok=True)
    connections[alias].close()
    name = connections[alias].settings_dict["NAME"] + "_into"
    execute(
        connections[alias],
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
    )
    connections[alias].close()


@pytest.fixture
def no_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no embedded server at hand, though its clients are."""
    monkeypatch.setattr(isolated, "find_bindirs", dict)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_others_own_never_runs_with_a_superusers_rights(
    attacked: Attacked, kind: str, command: str
) -> None:
    attacked.plant(*KINDS[kind])

    answer = attacked.run(command)

    attacked.require_harmless()
    assert answer.code == 0, answer.stdout
    expected = {
        "backup_db": "a server of our own",
        "verify_backup": "a server of our own",
    }.get(command, "the examined server, by a role made for it")
    assert answer.report["facts"]["restored_on"] == expected
    assert answer.report["unexamined"] == []
    assert attacked.leftovers() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS[:2])
def test_without_a_server_of_our_own_a_role_is_made_for_it(
    attacked: Attacked, kind: str, command: str, no_embedded: None
) -> None:
    attacked.plant(*KINDS[kind])

    answer = attacked.run(command)

    attacked.require_harmless()
    assert answer.code == 0, answer.stdout
    facts = answer.report["facts"]
    assert facts["restored_on"] == "the examined server, by a role made for it"
    [missed] = answer.report["unexamined"]
    assert missed["what"] == "owners and rights of the restored objects"
    assert attacked.leftovers() == []
