"""What scripts/add_payment_id.sql refuses, as the command does: before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import RefusedError
from tests.aliases import guest
from tests.conftest import execute, query
from tests.seed_tables import INHERITED, PARTITIONED, PLAIN, REFUSED_TABLES
from tests.seeding import QUIET, SCHEMA, goal_for, options
from tests.sql_script import ADD, run_sql

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="psql was not tried on Windows")

REFUSALS = {
    "duplicates": (
        [
            ADD,
            "UPDATE treasury_payment SET payment_id = '00000000-0000-0000-0000-000000000001'"
            " WHERE id < 3",
        ],
        "values of public.treasury_payment.payment_id that are in more than one row: 1",
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
        for why, (statements, changes, _) in REFUSED_TABLES.items()
        if "goal" not in changes
    },
    "partitioned": (PARTITIONED, {}),
    "inherited": (INHERITED, {}),
    "the name is taken": ([PLAIN, "CREATE SEQUENCE t_c_key"], {}),
    "a deferrable constraint": (
        [
            PLAIN,
            "ALTER TABLE t ADD c uuid",
            "ALTER TABLE t ADD UNIQUE (c) DEFERRABLE",
        ],
        {},
    ),
    "a generated column": (
        [
            PLAIN,
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
    "an index": (
        "REVOKE CREATE ON SCHEMA public FROM {user}, PUBLIC",
        {},
        "may not create an index",
    ),
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
    "ownership": ("ALTER TABLE t OWNER TO postgres", {}, "only the owner of public.t"),
    "row-level security": (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        {},
        "row-level security hides rows of public.t",
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
