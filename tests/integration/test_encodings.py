"""Databases and names in other encodings: answered rightly, or refused in one sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.clients import find_clients
from tests.aliases import alias_of
from tests.backups import backup
from tests.conftest import Ops, execute, query, url_of
from tests.tiers import one_in_core


def psql(alias: str, statement: bytes, *, encoding: str) -> None:
    """Execute a statement in bytes that no driver would send."""
    url = urlsplit(url_of(alias))
    variables = {
        "PGCLIENTENCODING": encoding,
        "PGPASSWORD": connections[alias].settings_dict["PASSWORD"],
    }
    variables |= {"PGDATABASE": connections[alias].settings_dict["NAME"], "PGUSER": "postgres"}
    argv = [find_clients(18, None).program("psql"), "-X", "-v", "ON_ERROR_STOP=1"]
    argv += ["-h", str(url.hostname), "-p", str(url.port)]
    subprocess.run(argv, input=statement, env={**os.environ, **variables}, check=True)


Make = Callable[[str], str]


@pytest.fixture
def encoded(empty_database: str) -> Iterator[Make]:
    """Yield a function that makes a database in another encoding, and returns its alias."""
    made, stack = [], []

    def make(encoding: str) -> str:
        name = f"encoded_{encoding.lower()}_{token_hex(3)}"
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE 'C'"
        execute(
            connections[empty_database],
            sql.SQL(statement).format(sql.Identifier(name), sql.Literal(encoding)),
        )
        made.append(name)
        context = alias_of(name, **{**connections[empty_database].settings_dict, "NAME": name})
        stack.append(context)
        return context.__enter__()

    yield make
    for context in stack:
        context.__exit__(None, None, None)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    for (name,) in query(
        empty_database, "SELECT datname FROM pg_database WHERE starts_with(datname, 'encoded_')"
    ):
        execute(connections[empty_database], drop.format(sql.Identifier(name)))


@pytest.fixture
def foreign_names(empty_database: str, encoded: Make) -> Iterator[None]:
    """Have databases beside with names that are no text in EUC_JP, and none in UTF-8 either."""
    plain = encoded("SQL_ASCII")
    names = [b'"n\xc3\xbc\xe2\x82\xac"', b'"n\xff\xfe\x80"']
    for name in names:
        psql(
            plain,
            b"CREATE DATABASE " + name + b" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'",
            encoding="SQL_ASCII",
        )
        psql(plain, b"COMMENT ON DATABASE " + name + b" IS 'c\xff\xfe'", encoding="SQL_ASCII")
    yield
    for name in names:
        psql(plain, b"DROP DATABASE " + name, encoding="SQL_ASCII")


@pytest.mark.parametrize("encoding", one_in_core(["EUC_JP", "UTF8", "LATIN1", "SQL_ASCII"]))
def test_a_database_is_backed_up_and_rolled_back_beside_names_that_it_cannot_hold(
    encoding: str, encoded: Make, foreign_names: None, ops: Ops, tmp_path: Path
) -> None:
    alias = encoded(encoding)
    word = {"EUC_JP": "日本", "LATIN1": "né"}.get(encoding, "plain")
    execute(connections[alias], sql.SQL("CREATE TABLE {} (t text)").format(sql.Identifier(word)))
    insert = sql.SQL("INSERT INTO {} VALUES ({})")
    execute(connections[alias], insert.format(sql.Identifier(word), sql.Literal(word)))
    connections[alias].close()

    _, file = backup(ops, alias, tmp_path, verify="restore")
    for options in ({"into": f"encoded_{token_hex(3)}"}, {}, {"undo": True}):
        args = [] if "undo" in options else [str(file)]
        answer = ops("restore_db", *args, database=alias, no_input=True, traceback=True, **options)
        assert (answer.code, answer.ids) == (0, []), answer.stderr
        connections[alias].close()
    listed = ops("backup_db", database=alias, directory=str(tmp_path), list=True)
    looked = ops("preflight_migrate", database=alias, rehearse="clone")

    assert listed.code == 0
    assert looked.code == 0, looked.stdout
    assert looked.report["facts"]["rehearsal"]
    assert query(alias, sql.SQL("SELECT t FROM {}").format(sql.Identifier(word))) == [(word,)]


def test_names_that_are_no_text_are_said_to_be_none_in_one_sentence(
    encoded: Make, ops: Ops, tmp_path: Path
) -> None:
    alias = encoded("SQL_ASCII")
    psql(alias, b'CREATE TABLE "t\xff" ("c\xfe" text)', encoding="SQL_ASCII")
    for command, options in (
        ("backup_db", {"directory": str(tmp_path)}),
        ("preflight_migrate", {}),
        ("seed_payment_id", {"model": "treasury.Payment", "field": "payment_id"}),
        ("run_uat", {"report_dir": str(tmp_path / "r")}),
        ("run_uat", {"save_baseline": str(tmp_path / "b.json")}),
    ):
        answer = ops(command, database=alias, **options)
        assert "internal-error" not in answer.ids, answer.stdout
        assert "database-error" not in answer.ids, answer.stdout
        if "not-text" in answer.ids:
            [finding] = answer.report["findings"]
            assert finding["message"].startswith(f"database {alias} has names or values")
            assert answer.code == 3
