"""A database in which a role without powers owns what a restore would run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.session import open_second
from tests.backups import backup, scratch_databases
from tests.conftest import Answer, Ops, execute, query
from tests.rollbacks import restore

# It takes off every cloak, becomes a superuser where it can, and starts a program.
ATTACK = """
CREATE FUNCTION low.attack() RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE cloak text; what text;
BEGIN
  FOREACH cloak IN ARRAY ARRAY[
    'SELECT 1', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE postgres',
    'SET SESSION AUTHORIZATION postgres'
  ] LOOP
    BEGIN EXECUTE cloak; EXCEPTION WHEN OTHERS THEN NULL; END;
    FOREACH what IN ARRAY ARRAY[{alter}, {program}] LOOP
      BEGIN EXECUTE what; EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP;
  END LOOP;
  RETURN true;
END $body$
"""
# What is declared to change nothing may not, but may call what does.
PURE = """
CREATE FUNCTION low.pure() RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS 'BEGIN RETURN low.attack(); END'
"""
ROW = "INSERT INTO low.t VALUES (1)"


@dataclass(frozen=True)
class Attacked:
    """A superuser's database in which a role without powers owns a schema, and what it tries."""

    alias: str
    login: dict[str, str]
    written: Path
    folder: Path
    ops: Ops

    @property
    def low(self) -> str:
        """The name of the role."""
        return self.login["USER"]

    def plant(self, *statements: str) -> None:
        """Let the role make what it may, in its schema."""
        connection = connections[self.alias]
        name = sql.Identifier(self.low)
        execute(connection, sql.SQL("CREATE SCHEMA low AUTHORIZATION {}").format(name))
        # By a session of its own: in a superuser's, it would get its way at once.
        own = open_second(connection)
        own.settings_dict.update(self.login)
        with own.cursor() as cursor:
            alter = sql.SQL("ALTER ROLE {} SUPERUSER").format(name).as_string(own.connection)
            program = f"COPY (SELECT current_user) TO PROGRAM 'cat > {self.written}'"
            literals = {
                "alter": sql.Literal(alter).as_string(own.connection),
                "program": sql.Literal(program).as_string(own.connection),
            }
            for statement in (ATTACK.format(**literals), PURE, *statements):
                cursor.execute(statement)
        own.close()
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
            return self.ops(command, str(file), database=self.alias, level="restore", **options)
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
    yield Attacked(alias, roles(), written, tmp_path, ops)
    written.unlink(missing_ok=True)
    connections[alias].close()
    name = connections[alias].settings_dict["NAME"] + "_into"
    execute(
        connections[alias],
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
    )
    connections[alias].close()
