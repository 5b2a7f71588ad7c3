"""scripts/add_payment_id.sh: who asks for the password, and how it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import ROOT, execute
from tests.sql_script import psql

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")

SHELL = ROOT / "scripts" / "add_payment_id.sh"


@pytest.fixture
def with_psql(tmp_path: Path) -> Path:
    """Return a folder for PATH that has psql, with what it needs beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "psql").symlink_to(psql())
    return folder


def run_shell(
    alias: str, *args: str, path: Path, password: str = "", **changes: Any
) -> subprocess.CompletedProcess[str]:
    settings = {**connections[alias].settings_dict, **changes}
    return subprocess.run(
        [
            str(SHELL),
            "--host",
            settings["HOST"],
            "--port",
            str(settings["PORT"]),
            "--user",
            settings["USER"],
            "--database",
            settings["NAME"],
            *args,
        ],
        input=f"{password}\n",
        env={
            "PATH": f"{path}:{os.environ['PATH']}",
            "TMPDIR": str(path),
            "PGPASSWORD": "of another server",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_shell_script_asks_for_the_password_and_leaves_none_behind(
    password_server: str, empty_database: str, with_psql: Path
) -> None:
    password = "p:w'\\ \" $x `y"
    server = connections[empty_database].copy()
    server.settings_dict.update(environ.Env.db_url_config(password_server))
    name = sql.Identifier("asks for its password")
    make = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
    execute(server, make.format(name, sql.Literal(password)))
    execute(server, "CREATE TABLE asked AS SELECT n FROM generate_series(1, 90) n")
    before = set(with_psql.iterdir())
    place = {**server.settings_dict, "USER": "asks for its password"}
    try:
        answer = run_shell(
            empty_database, "--table", "asked", path=with_psql, password=password, **place
        )
        wrong = run_shell(
            empty_database, "--table", "asked", path=with_psql, password="wrong", **place
        )
        with server.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT payment_id) FROM asked")
            rows = cursor.fetchone()
    finally:
        execute(server, "DROP TABLE asked")
        execute(server, sql.SQL("DROP ROLE {}").format(name))
        server.close()

    assert (answer.returncode, wrong.returncode) == (0, 3), answer.stderr
    assert rows == (90,)
    assert password not in answer.stdout + answer.stderr
    assert set(with_psql.iterdir()) == before


RECORDER = """#!/bin/sh
{ tr '\\0' '\\n' </proc/$$/cmdline; echo --; tr '\\0' '\\n' </proc/$$/environ; } >"$0.seen"
stat -c %a "$PGPASSFILE" >"$0.mode"
cat "$PGPASSFILE" >"$0.passfile"
"""


def test_the_password_is_in_no_command_line_and_no_environment(
    staging: str, tmp_path: Path
) -> None:
    recorder = tmp_path / "psql"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)

    run_shell(staging, path=tmp_path, password="a:secret\\x")

    assert "secret" not in (tmp_path / "psql.seen").read_text()
    assert (tmp_path / "psql.mode").read_text().strip() == "600"
    assert (tmp_path / "psql.passfile").read_text() == "*:*:*:*:a\\:secret\\\\x\n"
    assert "PGPASSFILE" in (tmp_path / "psql.seen").read_text()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["--batch"], "--batch needs a value"),
        (["--batch", "many"], "--batch many is no number of rows"),
        (["--patience", "1h"], "--patience 1h is no number of seconds"),
        (["--triggers", "maybe"], "--triggers maybe is not refuse, fire or skip"),
    ],
)
def test_bad_usage_of_the_shell_script_is_said(
    args: list[str], words: str, staging: str, with_psql: Path
) -> None:
    answer = run_shell(staging, *args, path=with_psql)

    assert answer.returncode == 2
    assert words in answer.stderr


def test_a_server_that_is_out_of_reach_is_code_3_and_a_refusal_code_1(
    staging: str, with_psql: Path
) -> None:
    away = run_shell(staging, "--no-password", path=with_psql, PORT="1")
    known = connections[staging].settings_dict["PASSWORD"]
    refused = run_shell(staging, "--table", "no_such", path=with_psql, password=known)

    assert (away.returncode, refused.returncode) == (3, 1), refused.stderr
    assert 'relation "no_such" does not exist' in refused.stderr


def test_in_the_background_of_a_terminal_the_shell_script_runs_to_its_end(
    with_psql: Path,
) -> None:
    command = f"set -m; {SHELL} --no-password --host localhost --port 1 --database x & wait $!"
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import os, pty; print(os.WEXITSTATUS(pty.spawn(['sh', '-c', {command!r}])))",
        ],
        env={"PATH": f"{with_psql}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert answer.stdout.splitlines()[-1] == "3", answer.stdout
