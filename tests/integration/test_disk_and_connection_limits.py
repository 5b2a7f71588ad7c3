"""Where no copy can be had or looked at: what was found without it stands, and it is said why."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import Error, connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import UndecidedError
from opsmigrate.management import rehearsing
from opsmigrate.pgtools.embedded import running
from opsmigrate.scratch import looks_of, scratch_database
from tests.aliases import alias_of
from tests.backups import scratch_databases
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import owner_of_zoo, prepared, rehearse

pytestmark = pytest.mark.major

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no server of our own."""
    monkeypatch.setattr(rehearsing, "why_not_embedded", lambda *args: "it is not installed")


@pytest.mark.usefixtures("only_here", "django_db_modify_db_settings")
def test_a_server_that_lets_nobody_into_a_new_database_leaves_the_verdict_as_it_is(
    tmp_path: Path, write_migrations: Write, ops: Ops, settings: Any, django_db_blocker: object
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    with (
        django_db_blocker.unblock(),  # type: ignore[attr-defined]
        running(tmp_path / "server", durable=False) as server,
    ):
        place = {**connections.settings["default"], **environ.Env.db_url_config(server.url)}
        with alias_of("closed", **place) as boss:
            execute(connections[boss], "CREATE ROLE app LOGIN CREATEDB PASSWORD 'geheim'")
            execute(connections[boss], "CREATE DATABASE live OWNER app")
            hba = server.data / "pg_hba.conf"
            mode = hba.stat()
            lines = ("all postgres", "live app", "postgres app")
            hba.write_text("".join(f"host {each} 127.0.0.1/32 scram-sha-256\n" for each in lines))
            os.chown(hba, mode.st_uid, mode.st_gid)
            execute(connections[boss], "SELECT pg_reload_conf()")
            with alias_of(
                "app", **{**place, "NAME": "live", "USER": "app", "PASSWORD": "geheim"}
            ) as alias:
                write_migrations(CAGE)
                assert migrate(alias, "zoo") is None
                execute(connections[alias], ROW)
                write_migrations(CAGE, AGE)
                answers = {how: rehearse(ops, alias, rehearse=how) for how in ("auto", "clone")}
                backup = ops(
                    "backup_db", database=alias, directory=str(tmp_path / "b"), verify="restore"
                )
                left = scratch_databases(alias)
                assert migrate(alias, "zoo") is None

    for how, severity in (("auto", "info"), ("clone", "warning")):
        [finding] = answers[how].report["findings"]
        assert (answers[how].code, finding["id"]) == (0, "not-rehearsed"), answers[how].stdout
        assert finding["severity"] == severity
        assert "pg_hba.conf" in finding["message"]
        assert "opsmigrate_scratch_" in finding["hint"]
    assert (backup.code, backup.ids) == (3, ["no-scratch-database"]), backup.stdout
    assert "is complete, and verified by archive" in backup.report["findings"][0]["message"]
    assert Path(backup.report["facts"]["file"]).exists()
    assert left == []


def test_a_server_without_the_locale_is_no_place_for_a_copy(empty_database: str) -> None:
    connection = connections[empty_database]
    looks = looks_of(connection)
    elsewhere = {**looks["locale"], "datcollate": "xx_XX.UTF-8", "datctype": "xx_XX.UTF-8"}
    like = {**looks, "locale": elsewhere}
    making = scratch_database(connection, run_id="a-run", maintenance_db=None, like=like)

    with pytest.raises(UndecidedError, match="xx_XX") as caught, making:
        pass

    assert caught.value.id == "no-scratch-database"


@pytest.mark.parametrize(
    ("how", "needed"), [("embedded", 3), ("examined", 5)], ids=["embedded", "examined"]
)
def test_a_role_that_may_have_few_connections_is_told_how_many_it_takes(
    how: str,
    needed: int,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    settings: Any,
) -> None:
    if how == "embedded":
        settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    alias = prepared(empty_database, write_migrations, AGE)
    user = role(f"CREATEDB CONNECTION LIMIT {needed - 1}")
    with owner_of_zoo(alias, user) as asking:
        few = rehearse(ops, asking)
        [finding] = few.report["findings"]
        execute(connections[alias], finding["steps"][0]["text"])
        enough = rehearse(ops, asking)

    assert (few.code, finding["id"]) == (0, "not-rehearsed"), few.stdout
    assert f"needs {needed} connections at once" in finding["message"]
    assert (enough.code, enough.ids) == (0, []), enough.stdout
    assert enough.report["facts"]["rehearsal"]["isolation"]["server"] == how


def test_a_backup_says_how_many_connections_it_takes(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    alias = prepared(empty_database, write_migrations, AGE)
    user = role("CREATEDB CONNECTION LIMIT 2")
    with owner_of_zoo(alias, user) as asking:
        few = ops("backup_db", database=asking, directory=str(tmp_path), verify="restore")
        [finding] = few.report["findings"]
        execute(connections[alias], finding["steps"][0]["text"])
        enough = ops("backup_db", database=asking, directory=str(tmp_path), verify="restore")

    assert (few.code, few.ids) == (3, ["too-few-connections"]), few.stdout
    assert "needs 5 connections at once" in finding["message"]
    assert (enough.code, enough.ids) == (0, []), enough.stdout


def test_a_scratch_database_goes_though_the_role_becomes_another_one(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    tmp_path: Path,
) -> None:
    """As with roles of the day that a vault makes: ALTER ROLE … SET role."""
    alias = prepared(empty_database, write_migrations, AGE)
    owner, login = role("CREATEDB"), role()
    names = {"owner": sql.Identifier(owner["USER"]), "login": sql.Identifier(login["USER"])}
    with owner_of_zoo(alias, owner):
        for statement in ("GRANT {owner} TO {login}", "ALTER ROLE {login} SET role TO {owner}"):
            execute(connections[alias], sql.SQL(statement).format(**names))
    with alias_of("login", **{**connections[alias].settings_dict, **login}) as asking:
        answer = ops("backup_db", database=asking, directory=str(tmp_path), verify="restore")
        with scratch_database(connections[asking], run_id="a", maintenance_db=None) as scratch:
            # As that of a program that is just ending: the role that it became may not end it.
            other = connections[asking].copy(f"stranger {asking}")
            other.settings_dict["NAME"] = scratch.name
            other.ensure_connection()
        left = scratch_databases(alias)
        with suppress(Error):
            other.close()

    assert (answer.code, answer.ids, left) == (0, [], []), answer.stdout


def test_a_scratch_database_that_stays_behind_is_named(
    empty_database: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is in it whose session the role may not end."""
    alias = empty_database
    monkeypatch.setattr("opsmigrate.scratch._drop", lambda *args: None)

    answer = ops("backup_db", database=alias, directory=str(tmp_path), verify="restore")

    left = scratch_databases(alias)
    [finding] = answer.report["findings"]
    execute(connections[alias], finding["steps"][0]["text"])
    assert (answer.code, finding["id"], len(left)) == (0, "scratch-left", 1), answer.stdout
    assert finding["message"] == f"the scratch database {left[0]} could not be dropped"
    assert scratch_databases(alias) == []
