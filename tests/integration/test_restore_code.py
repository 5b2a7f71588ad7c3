"""What others own runs while it is restored: never with a superuser's rights."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate import isolated
from opsmigrate.manifest import read_manifest, write_manifest
from opsmigrate.pgtools.embedded import find_bindirs, running
from tests.adversaries import ROW, Attacked
from tests.backups import act_as, backup
from tests.conftest import Ops, execute, query
from tests.rollbacks import restore
from tests.tiers import one_in_core

pytestmark = [
    pytest.mark.adversary,
    pytest.mark.major,
    pytest.mark.usefixtures("no_kept_database"),
    pytest.mark.skipif(not find_bindirs(), reason="needs the embedded package"),
]

KINDS = {
    "check": ("CREATE TABLE low.t (x int CHECK (low.attack()))", ROW),
    "generated": (
        "CREATE TABLE low.t (x int, y boolean GENERATED ALWAYS AS (low.pure()) STORED)",
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
    "index": ("CREATE TABLE low.t (x int)", ROW, "CREATE INDEX ON low.t ((low.pure()))"),
    "view": ("CREATE TABLE low.t (x int)", "CREATE MATERIALIZED VIEW low.v AS SELECT low.attack()"),
    "domain": (
        "CREATE DOMAIN low.d AS int CHECK (low.attack())",
        "CREATE TABLE low.t (x low.d)",
        ROW,
    ),
    "operator": (
        "CREATE FUNCTION low.same(int, text) RETURNS boolean LANGUAGE plpgsql"
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
OWN, BY_A_ROLE = "a temporary embedded server", "the live server, by a role created for it"
COMMANDS = ("backup_db", "verify_backup", "restore_db", "into")


@pytest.fixture
def no_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no embedded server at hand, though its clients are."""
    monkeypatch.setattr(isolated, "find_bindirs", dict)


CASES = [
    ("check", "backup_db"),
    ("check", "restore_db"),
    ("view", "into"),
    ("check", "verify_backup"),
    *((kind, "backup_db") for kind in KINDS if kind != "check"),
    *((kind, "restore_db") for kind in ("default", "view")),
    *((kind, "into") for kind in ("check", "default")),
]


@pytest.mark.parametrize(("kind", "command"), one_in_core(CASES, core=3))
def test_what_others_own_never_runs_with_a_superusers_rights(
    attacked: Attacked, kind: str, command: str
) -> None:
    attacked.plant(*KINDS[kind])

    answer = attacked.run(command)

    attacked.require_harmless()
    assert answer.code == 0, answer.stdout
    expected = OWN if command in COMMANDS[:2] else BY_A_ROLE
    assert answer.report["facts"]["restored_on"] == expected
    # It may make the restore with owners fail, by taking another role; then they are not proven.
    missed = {each["what"] for each in answer.report["undecided"]}
    assert missed <= {"owners and rights of the restored objects"}
    assert attacked.leftovers() == []


@pytest.mark.parametrize("kind", one_in_core(["check", "generated", "domain"]))
@pytest.mark.parametrize("command", one_in_core(COMMANDS[:2]))
def test_without_a_server_of_our_own_a_role_is_made_for_it(
    attacked: Attacked, kind: str, command: str, no_embedded: None
) -> None:
    attacked.plant(*KINDS[kind])

    answer = attacked.run(command)

    attacked.require_harmless()
    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["restored_on"] == BY_A_ROLE
    [missed] = answer.report["undecided"]
    assert missed["what"] == "owners and rights of the restored objects"
    assert attacked.leftovers() == []


@pytest.mark.parametrize("command", one_in_core(COMMANDS))
def test_where_only_a_superuser_could_it_is_refused_unless_the_code_is_trusted(
    attacked: Attacked, command: str
) -> None:
    # Nobody else may make an event trigger, and anybody may change the function that is theirs.
    attacked.plant(
        *KINDS["check"],
        "CREATE FUNCTION low.on_ddl() RETURNS event_trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM low.attack(); END'",
    )
    execute(
        connections[attacked.alias],
        "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION low.on_ddl()",
    )

    answer = attacked.run(command)

    attacked.require_harmless()
    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    [finding] = answer.report["findings"]
    assert attacked.low in finding["message"]
    assert "low.attack" in finding["message"]
    assert "--trust-code" in finding["hint"]
    assert finding["evidence"]["owners"] == [attacked.low]
    assert {"kind": "TABLE", "name": "low.t", "owner": attacked.low} in finding["evidence"]["code"]
    assert attacked.leftovers() == []

    trusting = attacked.run(command, trust_code=True)

    assert trusting.code == 0, trusting.stdout
    assert trusting.report["facts"]["restored_on"] == "the live server"


@pytest.mark.named
def test_what_is_to_be_kept_here_is_refused(attacked: Attacked) -> None:
    attacked.plant(*KINDS["check"])

    answer = attacked.run("backup_db", keep_scratch=True)

    attacked.require_harmless()
    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    assert "cannot be kept on this server" in answer.report["findings"][0]["message"]
    assert attacked.leftovers() == []


def test_where_row_security_hides_rows_from_their_owner_no_role_could_restore_them(
    attacked: Attacked, no_embedded: None
) -> None:
    attacked.plant(
        *KINDS["check"],
        "ALTER TABLE low.t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE low.t FORCE ROW LEVEL SECURITY",
    )

    answer = attacked.run("backup_db")

    attacked.require_harmless()
    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    assert "row security is forced on the owner" in answer.report["findings"][0]["message"]


def test_on_a_server_of_our_own_no_program_is_started(attacked: Attacked) -> None:
    attacked.plant(*KINDS["check"])
    _, file = backup(attacked.ops, attacked.alias, attacked.folder)

    answer = attacked.ops(
        "verify_backup", str(file), database=attacked.alias, level="restore", on="embedded"
    )

    attacked.require_harmless()
    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["restored_on"] == OWN


@pytest.mark.parametrize("command", one_in_core(COMMANDS))
def test_a_login_that_only_acts_as_another_role_is_a_superuser_still(
    attacked: Attacked, command: str
) -> None:
    attacked.plant(*KINDS["check"])
    alias = attacked.alias
    execute(
        connections[alias], sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(attacked.low))
    )
    connections[alias].close()
    # What runs as that role may RESET it, and is who logged in.
    connections[alias].settings_dict["OPTIONS"]["assume_role"] = attacked.low

    answer = attacked.run(command)

    attacked.require_harmless()
    assert answer.code in (0, 4), answer.stdout


@pytest.mark.named
def test_a_crafted_backup_is_looked_at_itself_and_not_its_manifest(attacked: Attacked) -> None:
    attacked.plant(*KINDS["check"])
    _, file = backup(attacked.ops, attacked.alias, attacked.folder)
    manifest = read_manifest(file)
    owner = query(attacked.alias, "SELECT current_user")[0][0]
    roles = {"owners": [owner], "grantees": []}
    properties = {**manifest.properties, "roles": roles, "owner": owner}
    write_manifest(file.parent, replace(manifest, properties=properties))

    for level in ("verify_backup", "restore_db"):
        options = {"level": "restore"} if level == "verify_backup" else {"no_input": True}
        answer = attacked.ops(level, str(file), database=attacked.alias, **options)

        attacked.require_harmless()
        assert answer.code in (0, 4), answer.stdout
        assert answer.report["facts"].get("restored_on") != "the live server"


def test_a_backup_that_others_of_the_machine_may_write_is_foreign(attacked: Attacked) -> None:
    execute(connections[attacked.alias], "CREATE TABLE mine (x int CHECK (x > 0))")
    _, file = backup(attacked.ops, attacked.alias, attacked.folder)
    plain = restore(attacked.ops, attacked.alias, str(file))
    assert plain.report["facts"]["restored_on"] == "the live server"
    file.chmod(0o666)

    answer = restore(attacked.ops, attacked.alias, str(file))

    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    assert "every user of this machine" in answer.report["findings"][0]["message"]


def test_what_several_wrote_is_restored_by_none_of_them(
    attacked: Attacked, roles: Callable[..., dict[str, str]]
) -> None:
    attacked.plant(*KINDS["check"])
    other = roles()["USER"]
    for statement in ("CREATE TABLE theirs (x int)", "ALTER TABLE theirs OWNER TO {}"):
        execute(connections[attacked.alias], sql.SQL(statement).format(sql.Identifier(other)))

    answer = attacked.run("restore_db")

    attacked.require_harmless()
    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    [finding] = answer.report["findings"]
    assert set(finding["evidence"]["owners"]) == {attacked.low, other}
    assert "no other role may restore objects of several roles" in finding["message"]
    assert attacked.leftovers() == []


def test_a_database_of_one_role_comes_back_with_its_owner(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    made, connection = roles(), connections[staging]
    owner, name = sql.Identifier(made["USER"]), sql.Identifier(connection.settings_dict["NAME"])
    superuser = dict(connection.settings_dict)
    act_as(staging, made, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    connections[staging].close()
    connections.settings[staging].update(USER=superuser["USER"], PASSWORD=superuser["PASSWORD"])
    del connections[staging]
    owned = "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^treasury'"
    before = query(staging, owned + " ORDER BY 1")
    _, file = backup(ops, staging, tmp_path)

    answer = restore(ops, staging, str(file))

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["restored_on"] == BY_A_ROLE
    assert query(staging, owned + " ORDER BY 1") == before
    assert query(staging, "SELECT rolname FROM pg_roles WHERE rolname ~ '^opsmigrate_'") == []


def test_nothing_is_slower_where_nothing_is_of_others(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="restore")

    assert answer.report["facts"]["restored_on"] == "the live server"


def test_where_the_server_lets_no_such_role_in_it_is_refused(
    ops: Ops, tmp_path: Path, no_embedded: None, django_db_modify_db_settings: None
) -> None:
    with running(tmp_path / "server", durable=False) as server:
        hba = server.data / "pg_hba.conf"
        mode = hba.stat()
        hba.write_text("host all postgres 127.0.0.1/32 scram-sha-256\n")
        os.chown(hba, mode.st_uid, mode.st_gid)
        connections.settings["closed"] = {
            **connections.settings["default"],
            **environ.Env.db_url_config(server.url),
        }
        try:
            for statement in (
                "SELECT pg_reload_conf()",
                "CREATE ROLE low",
                "CREATE TABLE t (x int CHECK (x > 0))",
                "ALTER TABLE t OWNER TO low",
            ):
                execute(connections["closed"], statement)
            folder = str(tmp_path / "backups")
            answer = ops("backup_db", database="closed", directory=folder, verify="restore")
            roles = query("closed", "SELECT rolname FROM pg_roles WHERE rolname ~ '^opsmigrate_'")
        finally:
            connections["closed"].close()
            del connections["closed"], connections.settings["closed"]

    assert (answer.code, answer.ids) == (4, ["restore-runs-code"])
    message = answer.report["findings"][0]["message"]
    assert "no role can be created for it here: " in message
    assert "pg_hba.conf" in message
    assert Path(answer.report["facts"]["file"]).exists()
    assert roles == []


def test_what_a_killed_run_made_is_removed_by_the_next(attacked: Attacked) -> None:
    connection = connections[attacked.alias]
    for number, statements in enumerate(
        (
            ("CREATE ROLE {role}", "CREATE DATABASE {database}", OWNS),
            ("CREATE ROLE {role}", "CREATE DATABASE {database}", GRANTS, OWNS_OTHER),
            ("CREATE ROLE {role}",),
        )
    ):
        end = f"0123456789{number:02}"
        names = {
            "role": sql.Identifier(f"opsmigrate_role_{end}"),
            "database": sql.Identifier(f"opsmigrate_scratch_{end}"),
            "owner": sql.Identifier(attacked.low),
        }
        for statement in statements:
            execute(connection, sql.SQL(statement).format(**names))
    assert len(attacked.leftovers()) == 5

    assert attacked.ops("backup_db", database=attacked.alias, list=True).code == 0

    assert attacked.leftovers() == []


OWNS = "ALTER DATABASE {database} OWNER TO {role}"
OWNS_OTHER = "ALTER DATABASE {database} OWNER TO {owner}"
GRANTS = "GRANT {owner} TO {role}"
