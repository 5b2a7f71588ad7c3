"""scripts/add_payment_id.{sql,sh}: without Python, to the same end as seed_payment_id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import RefusedError
from opsmigrate.pgtools.embedded import find_bindirs
from tests.aliases import guest
from tests.conftest import ROOT, Ops, execute, query, url_of
from tests.integration import test_seed_tables
from tests.integration.test_seed_locks import autovacuum_working
from tests.integration.zoo_migrations import migrate
from tests.seeding import QUIET, goal_for, holding, options, wait_for, writing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")

SQL = ROOT / "scripts" / "add_payment_id.sql"
SHELL = ROOT / "scripts" / "add_payment_id.sh"
SCHEMA = """
SELECT 'column', attname::text, format_type(atttypid, atttypmod), attnotnull::text,
       pg_get_expr(adbin, adrelid), attstorage::text
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'treasury_payment'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid), convalidated::text, contype::text, ''
FROM pg_constraint WHERE conrelid = 'treasury_payment'::regclass
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text,
       indisunique::text, indimmediate::text
FROM pg_index WHERE indrelid = 'treasury_payment'::regclass
UNION ALL
SELECT 'trigger', tgname, '', '', '', '' FROM pg_trigger
WHERE tgrelid = 'treasury_payment'::regclass AND NOT tgisinternal
ORDER BY 1, 2
"""
OLD_RELEASE = (
    "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
    " created_at, updated_at, memo, account_id) SELECT 'old ' || {}, payee, amount, currency,"
    " status, due_date, created_at, updated_at, memo, account_id FROM treasury_payment LIMIT 1"
    " ON CONFLICT DO NOTHING",
    "UPDATE treasury_payment SET memo = memo WHERE id = {} % 500",
)


def psql() -> str:
    """Return the psql of the newest major that the embedded package brings."""
    return str(max(find_bindirs().items())[1] / "psql")


def run_sql(alias: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"--set={name}={value}" for name, value in variables.items()]
    return subprocess.run(
        [psql(), "-X", "-d", url_of(alias), *given, "-f", str(SQL)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def given(alias: str) -> dict[int, Any]:
    return dict(
        query(alias, "SELECT id, payment_id FROM treasury_payment WHERE payment_id IS NOT NULL")
    )


@pytest.mark.major
def test_the_script_ends_in_the_same_schema_as_the_command(
    staging: str, migrated: str, ops: Ops
) -> None:
    with writing(staging, *OLD_RELEASE) as written:
        first = run_sql(staging, batch="60")
    before = given(staging)
    again = run_sql(staging)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert written.errors == []
    assert "NOT NULL, unique, 0 NULLs, 0 duplicates" in first.stderr
    assert query(staging, SCHEMA) == query(migrated, SCHEMA)
    assert given(staging) == before
    assert query(staging, "SELECT count(*) FROM treasury_payment") == [(len(set(before.values())),)]
    assert ops("seed_payment_id", database=staging, verify_only=True).code == 0
    assert migrate(staging, "treasury") is None


ADD = "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid"
NAME = "treasury_payment_payment_id_key"
STATES = {
    "some values": [
        ADD,
        "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE id < 200",
    ],
    "another name": [f"{ADD} CONSTRAINT somebodys UNIQUE"],
    "an index": [ADD, "CREATE UNIQUE INDEX somebodys ON treasury_payment (payment_id)"],
    "an INVALID index": [
        ADD,
        f"CREATE UNIQUE INDEX {NAME} ON treasury_payment (payment_id)",
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{NAME}'::regclass",
    ],
    "the check of a run that was killed": [
        ADD,
        "ALTER TABLE treasury_payment ADD CONSTRAINT opsmigrate_seeded"
        " CHECK (payment_id IS NOT NULL) NOT VALID",
    ],
}


@pytest.mark.major
@pytest.mark.parametrize("state", STATES, ids=lambda name: name.replace(" ", "-"))
def test_the_script_goes_on_from_every_state(state: str, staging: str, ops: Ops) -> None:
    for statement in STATES[state]:
        execute(connections[staging], statement)
    before = given(staging)

    answer = run_sql(staging)

    assert answer.returncode == 0, answer.stderr
    assert {key: given(staging)[key] for key in before} == before
    assert ops("seed_payment_id", database=staging, verify_only=True).code == 0
    checks = "SELECT count(*) FROM pg_constraint WHERE conname = 'opsmigrate_seeded'"
    assert query(staging, checks) == [(0,)]


REFUSALS = {
    "duplicates": (
        [
            ADD,
            "UPDATE treasury_payment SET payment_id = '00000000-0000-0000-0000-000000000001'"
            " WHERE id < 3",
        ],
        "1 values of treasury_payment.payment_id stand on more than one row",
    ),
    "type": (
        ["ALTER TABLE treasury_payment ADD COLUMN payment_id varchar(36)"],
        "it is character varying(36)",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_the_script_refuses_before_anything_is_written(why: str, staging: str) -> None:
    statements, words = REFUSALS[why]
    for statement in statements:
        execute(connections[staging], statement)
    before = (query(staging, SCHEMA), query(staging, "SELECT xmin::text FROM treasury_payment"))

    answer = run_sql(staging)

    assert answer.returncode == 3
    assert "refused: " in answer.stderr
    assert words in answer.stderr
    after = (query(staging, SCHEMA), query(staging, "SELECT xmin::text FROM treasury_payment"))
    assert after == before


# What the command refuses on a table t, the script refuses as well: the same statements.
REFUSED_BY_BOTH = {
    **{
        why: (statements, {"triggers": "skip"} if changes else {})
        for why, (statements, changes, _) in test_seed_tables.REFUSALS.items()
        if "goal" not in changes
    },
    "partitioned": (test_seed_tables.PARTITIONED, {}),
    "inherited": (test_seed_tables.INHERITED, {}),
    "the name is taken": ([test_seed_tables.PLAIN, "CREATE SEQUENCE t_c_key"], {}),
    "a deferrable constraint": (
        [
            test_seed_tables.PLAIN,
            "ALTER TABLE t ADD c uuid",
            "ALTER TABLE t ADD UNIQUE (c) DEFERRABLE",
        ],
        {},
    ),
    "a generated column": (
        [
            test_seed_tables.PLAIN,
            "ALTER TABLE t ADD c uuid GENERATED ALWAYS AS (md5(v)::uuid) STORED",
        ],
        {},
    ),
    "a materialized view": (
        ["CREATE MATERIALIZED VIEW t AS SELECT 1 AS id, 'v'::text AS v"],
        {},
    ),
}


@pytest.mark.parametrize("why", REFUSED_BY_BOTH, ids=lambda name: name.replace(" ", "-"))
def test_what_the_command_refuses_the_script_refuses(why: str, empty_database: str) -> None:
    statements, changes = REFUSED_BY_BOTH[why]
    for statement in statements:
        execute(connections[empty_database], statement)
    seen = "SELECT relname, relnatts, relfilenode FROM pg_class WHERE relname LIKE 't%%' ORDER BY 1"
    rows = "SELECT xmin::text, count(*) FROM t GROUP BY 1 ORDER BY 1"
    before = (query(empty_database, seen, []), query(empty_database, rows))

    answer = run_sql(empty_database, table="t", column="c", **changes)

    with pytest.raises(RefusedError):
        seed(connections[empty_database], goal_for(), options(**changes), QUIET)
    assert answer.returncode == 3
    assert "ERROR:  refused: " in answer.stderr
    assert "HINT:  " in answer.stderr
    assert (query(empty_database, seen, []), query(empty_database, rows)) == before


RIGHTS = {
    "an index": ("REVOKE CREATE ON SCHEMA public FROM {user}", {}, "may not create an index"),
    "temporary objects": (
        "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
        {},
        "may make no temporary objects",
    ),
    "skip": (
        "CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        {"triggers": "skip"},
        "may not set session_replication_role",
    ),
    "ownership": ("ALTER TABLE t OWNER TO postgres", {}, "only the owner of t"),
    "row-level security": (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        {},
        "row-level security hides rows of t",
    ),
}


@pytest.mark.parametrize("what", RIGHTS, ids=lambda name: name.replace(" ", "-"))
def test_the_script_refuses_a_role_that_lacks_a_right(
    what: str, empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    statement, variables, words = RIGHTS[what]
    user = role()
    names = {
        "user": sql.Identifier(user["USER"]),
        "database": sql.Identifier(connections[empty_database].settings_dict["NAME"]),
    }
    for each in (
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 30) n",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "GRANT CREATE ON SCHEMA public TO {user}",
        "ALTER TABLE t OWNER TO {user}",
        statement,
    ):
        execute(connections[empty_database], sql.SQL(each).format(**names))
    with guest(empty_database, user) as alias:
        answer = run_sql(alias, table="t", column="c", **variables)

    assert "ERROR:  refused: " in answer.stderr
    assert words in answer.stderr
    assert "HINT:  " in answer.stderr
    assert query(empty_database, "SELECT 1 FROM pg_attribute WHERE attname = 'c'") == []


def test_the_script_warns_of_subscribers(empty_database: str) -> None:
    for statement in (test_seed_tables.PLAIN, "CREATE PUBLICATION p FOR TABLE t"):
        execute(connections[empty_database], statement)

    answer = run_sql(empty_database, table="t", column="c")

    assert answer.returncode == 0
    assert "WARNING:  t is published (p)" in answer.stderr


@pytest.mark.major
def test_a_duplicate_that_is_written_meanwhile_leaves_no_invalid_index(empty_database: str) -> None:
    # The default tells rows apart, but a trigger does not.
    for statement in (
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 300) n",
        "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.c := '00000000-0000-4000-8000-000000000001'; RETURN NEW; END $$",
        "CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION same()",
    ):
        execute(connections[empty_database], statement)

    answer = run_sql(empty_database, table="t", column="c", triggers="fire")

    assert answer.returncode == 3
    assert "is duplicated" in answer.stderr
    assert "stopped: the unique index could not be made" in answer.stderr
    assert query(empty_database, "SELECT 1 FROM pg_index WHERE indrelid = 't'::regclass") == []


@pytest.mark.long
def test_the_script_gets_past_an_autovacuum(empty_database: str) -> None:
    with autovacuum_working(empty_database):
        answer = run_sql(empty_database, table="t", column="c", patience="30")

    assert answer.returncode == 0, answer.stderr
    assert "one try waits 1500ms" in answer.stderr


def test_names_and_schema_may_hold_anything(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, """CREATE SCHEMA "odd's" """)
    execute(
        connection,
        """CREATE TABLE "odd's"."Order ü" AS SELECT n FROM generate_series(1, 300) n""",
    )

    answer = run_sql(empty_database, table='"odd\'s"."Order ü"', column='Päy "id"', batch="50")

    assert answer.returncode == 0, answer.stderr
    distinct = sql.SQL("SELECT count(*), count(DISTINCT {}) FROM {}").format(
        sql.Identifier('Päy "id"'), sql.Identifier("odd's", "Order ü")
    )
    [(rows, values)] = query(empty_database, distinct)
    assert rows == values == 300


def test_a_script_that_is_killed_goes_on_where_it_was(staging: str, ops: Ops) -> None:
    execute(connections[staging], ADD)
    default = "ALTER TABLE treasury_payment ALTER payment_id SET DEFAULT gen_random_uuid()"
    execute(connections[staging], default)
    with holding(staging, "SELECT FROM treasury_payment WHERE id = 499 FOR UPDATE"):
        process = subprocess.Popen(
            [psql(), "-X", "-d", url_of(staging), "-v", "batch=20", "-f", str(SQL)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(staging, "SELECT count(payment_id) = 499 FROM treasury_payment")
        second = run_sql(staging)
        command = ops("seed_payment_id", database=staging)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        # The server notices when it writes to the client next, at the latest at its end.
        query(
            staging,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'psql' AND datname = current_database()",
        )
        before = given(staging)
    wait_for(
        staging,
        "SELECT count(*) = 0 FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()",
    )

    answer = run_sql(staging)

    assert "another run is seeding" in second.stderr
    assert command.ids == ["already-running"]
    assert answer.returncode == 0, answer.stderr
    after = given(staging)
    assert len(after) == 500
    assert {key: after[key] for key in before} == before


def test_a_lock_that_is_held_stops_the_script_and_nobody_waits_long(staging: str) -> None:
    with (
        holding(staging, "LOCK TABLE treasury_payment IN ACCESS SHARE MODE"),
        writing(staging, "SELECT 1 FROM treasury_payment WHERE id = {}") as written,
    ):
        answer = run_sql(staging, patience="1")

    assert answer.returncode == 3
    assert "the lock was not obtained" in answer.stderr
    assert "treasury_payment is held by process " in answer.stderr
    assert "payment_id" not in {row[1] for row in query(staging, SCHEMA)}
    assert written.longest < 1.0


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
        env={"PATH": f"{path}:{os.environ['PATH']}", "TMPDIR": str(path)},
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
