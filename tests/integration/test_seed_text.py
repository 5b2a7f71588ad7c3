"""A column that holds UUIDs as text becomes one of UUIDs, while the old release writes text."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import ProgrammingError, connections

from opsmigrate.backfill.seed import seed
from opsmigrate.errors import OpsmigrateError, PartialError, RefusedError
from opsmigrate.postgres.session import read_session
from opsmigrate.report import Verdict
from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import migrate
from tests.remedies import psql
from tests.seeding import PAYMENTS, QUIET, goal_for, options, wait_for, writing
from tests.sessions import stranger

pytestmark = pytest.mark.major

KINDS = {
    "varchar(36)": "gen_random_uuid()::text",
    "char(36)": "upper(gen_random_uuid()::text)",
    "text": "gen_random_uuid()::text",
    "char(32)": "replace(gen_random_uuid()::text, '-', '')",
}


def table(alias: str, kind: str, value: str, *more: str) -> None:
    statements = [
        f"CREATE TABLE t (id bigint PRIMARY KEY, v text, c {kind})",
        f"INSERT INTO t SELECT n, 'v', {value} FROM generate_series(1, 2000) n",
        *more,
    ]
    for statement in statements:
        execute(connections[alias], statement)


def columns(alias: str) -> list[tuple[Any, ...]]:
    return query(
        alias,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_holds_uuids_becomes_a_uuid_column_with_the_same_values(
    kind: str, empty_database: str
) -> None:
    like = "CREATE INDEX t_c_like ON t (c text_pattern_ops)" if kind == "text" else "SELECT 1"
    table(
        empty_database, kind, KINDS[kind], "ALTER TABLE t ADD CONSTRAINT t_c_key UNIQUE (c)", like
    )
    execute(connections[empty_database], "UPDATE t SET c = NULL WHERE id > 1990")
    before = dict(query(empty_database, "SELECT id, c FROM t WHERE id BETWEEN 101 AND 1990"))
    # As a driver sends a string: a literal of no type, which suits text and uuid alike.
    literal = "'00000000000040008000{0:012}'"
    changed = f"UPDATE t SET c = {literal} WHERE id = {{0}} % 100"
    new = f"INSERT INTO t VALUES ({{0}} + 5000, 'new', {literal}) ON CONFLICT DO NOTHING"
    empty = "INSERT INTO t VALUES ({} + 5000, 'without') ON CONFLICT DO NOTHING"

    with writing(empty_database, changed, new, empty) as written:
        result = seed(
            connections[empty_database], goal_for(), options(max_rows_per_second=4000.0), QUIET
        )

    assert result.verdict is Verdict.PASSED
    assert [error for error in written.errors if "t_c_key" not in error] == []
    assert columns(empty_database)[0] == ("c", "uuid", True, True)
    assert len(columns(empty_database)) == 3
    after = dict(query(empty_database, "SELECT id, c FROM t WHERE id BETWEEN 101 AND 1990"))
    assert after == {key: uuid.UUID(value) for key, value in before.items()}
    assert query(empty_database, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    assert query(
        empty_database,
        "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 't'::regclass",
    ) == [("t_c_key",)]


def test_what_is_written_meanwhile_is_what_stands_there_at_the_end(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    execute(connections[empty_database], "CREATE TABLE log (id bigint, c text)")
    both = (
        "WITH new AS (UPDATE t SET c = gen_random_uuid()::text WHERE id = {} % 2000"
        " RETURNING id, c::text) INSERT INTO log SELECT * FROM new"
    )

    slow = options(max_rows_per_second=1500.0, time_budget=0.6)
    with (
        writing(empty_database, both) as written,
        pytest.raises(PartialError, match="time budget"),
    ):
        seed(connections[empty_database], goal_for(), slow, QUIET)
    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert written.statements > 20
    last = (
        "SELECT count(*) FROM (SELECT DISTINCT ON (id) id, c FROM log ORDER BY id, ctid DESC) l"
        " JOIN t USING (id) WHERE l.c <> t.c::text"
    )
    assert query(empty_database, last) == [(0,)]


def test_text_that_is_no_uuid_and_written_meanwhile_is_not_lost(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    goal = goal_for(unique=False, nullable=True)
    followed = "SELECT count(*) > 0 FROM pg_trigger WHERE NOT tgisinternal"

    def write() -> None:
        try:
            wait_for(empty_database, followed)
        finally:
            connections[empty_database].close()
        with stranger(empty_database) as other:
            execute(other, "UPDATE t SET c = 'precious' WHERE id = 7")

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(OpsmigrateError) as stopped:
        seed(connections[empty_database], goal, options(max_rows_per_second=1500.0), QUIET)
    writer.join()
    assert stopped.value.id == "not-seeded"
    assert query(empty_database, "SELECT c FROM t WHERE id = 7") == [("precious",)]

    execute(connections[empty_database], "UPDATE t SET c = NULL WHERE id = 7")
    result = seed(connections[empty_database], goal, options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert columns(empty_database)[0] == ("c", "uuid", False, True)


def test_what_a_replica_writes_meanwhile_is_not_lost(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    execute(connections[empty_database], "CREATE TABLE log (id bigint PRIMARY KEY, c text)")
    both = (
        "SET session_replication_role = replica",
        "WITH new AS (UPDATE t SET c = gen_random_uuid()::text WHERE id = {} % 2000"
        " RETURNING id, c::text) INSERT INTO log SELECT * FROM new"
        " ON CONFLICT (id) DO UPDATE SET c = EXCLUDED.c",
    )

    with writing(empty_database, *both) as written:
        result = seed(
            connections[empty_database], goal_for(), options(max_rows_per_second=4000.0), QUIET
        )

    differ = "SELECT count(*) FROM log l JOIN t USING (id) WHERE l.c <> t.c::text"
    assert result.verdict is Verdict.PASSED
    # After the swap its text is of the wrong type.
    assert [error for error in written.errors if "is of type uuid" not in error] == []
    assert written.statements > 20
    assert query(empty_database, differ) == [(0,)]


def stopped_in_the_middle(alias: str) -> None:
    slow = options(max_rows_per_second=1500.0, time_budget=0.6)
    with pytest.raises(PartialError, match="time budget"):
        seed(connections[alias], goal_for(), slow, QUIET)


def test_what_was_written_while_triggers_were_disabled_is_seen_before_the_text_goes(
    empty_database: str,
) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    new = "00000000-0000-4000-8000-000000000007"
    stopped_in_the_middle(empty_database)
    for statement in (
        "ALTER TABLE t DISABLE TRIGGER ALL",
        f"UPDATE t SET c = '{new}' WHERE c_seeded IS NOT NULL AND id = 1",
        "ALTER TABLE t ENABLE TRIGGER ALL",
    ):
        execute(connections[empty_database], statement)

    with pytest.raises(OpsmigrateError, match="while its triggers were disabled") as stopped:
        seed(connections[empty_database], goal_for(), options(), QUIET)
    assert query(empty_database, "SELECT c FROM t WHERE id = 1") == [(new,)]
    mend, again = stopped.value.steps
    assert again.text == "python manage.py seed_payment_id"
    psql(empty_database, mend.text)
    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert result.verdict is Verdict.PASSED
    assert query(empty_database, "SELECT c::text FROM t WHERE id = 1") == [(new,)]


def test_what_another_trigger_makes_of_the_text_is_what_stands_there(empty_database: str) -> None:
    table(
        empty_database,
        "varchar(36)",
        KINDS["varchar(36)"],
        "CREATE FUNCTION zero() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.v = 'zero' THEN NEW.c := lpad(NEW.id::text, 32, '0'); END IF;"
        " RETURN NEW; END $$",
        "CREATE TRIGGER zero BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION zero()",
    )
    wild = options(triggers="fire", max_rows_per_second=4000.0)

    with writing(empty_database, "UPDATE t SET v = 'zero' WHERE id = {} % 2000") as written:
        result = seed(connections[empty_database], goal_for(), wild, QUIET)

    wrong = (
        "SELECT count(*), count(*) FILTER (WHERE c <> lpad(id::text, 32, '0')::uuid)"
        " FROM t WHERE v = 'zero'"
    )
    [(rows, differ)] = query(empty_database, wrong)
    assert result.verdict is Verdict.PASSED
    assert written.errors == []
    assert (rows > 20, differ) == (True, 0)


# Everything that pg_dump would say of the table, but for the place of the column in it.
SCHEMA = """
SELECT 'column', attname::text, format_type(atttypid, atttypmod), attnotnull::text,
       pg_get_expr(adbin, adrelid), attacl::text, col_description(attrelid, attnum),
       nullif(attstattarget, -1)::text, attoptions::text
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid), convalidated::text, '', '', '', '', ''
FROM pg_constraint WHERE conrelid = 't'::regclass
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text,
       '', '', '', '', '' FROM pg_index WHERE indrelid = 't'::regclass
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid), tgenabled::text, '', '', '', '', ''
FROM pg_trigger WHERE tgrelid = 't'::regclass
UNION ALL
SELECT 'function', proname, '', '', '', '', '', '', '' FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
ORDER BY 1, 2
"""


def test_nothing_of_the_schema_but_the_type_changes(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    reader, lender = role()["USER"], role()["USER"]
    table(
        empty_database,
        "varchar(36) NOT NULL DEFAULT gen_random_uuid()",
        KINDS["varchar(36)"],
        "ALTER TABLE t ADD CONSTRAINT t_c_key UNIQUE (c)",
        "ALTER TABLE t ADD CONSTRAINT young CHECK (id > 0)",
        "CREATE INDEX other ON t (v)",
        f'GRANT SELECT (c), UPDATE (c, v) ON t TO "{reader}"',
        f'GRANT REFERENCES (c) ON t TO "{lender}" WITH GRANT OPTION',
        "GRANT SELECT (c) ON t TO PUBLIC",
        "COMMENT ON COLUMN t.c IS 'it''s 100%% ours'".replace("%%", "%"),
        "ALTER TABLE t ALTER c SET STATISTICS 777, ALTER c SET (n_distinct = -1)",
    )
    before = query(empty_database, SCHEMA)

    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    def as_uuid(row: tuple[Any, ...]) -> tuple[Any, ...]:
        if row[:2] != ("column", "c"):
            return row
        return (*row[:2], "uuid", row[3], "gen_random_uuid()", *row[5:])

    assert result.verdict is Verdict.PASSED
    assert before[0][5:] != (None, None, None, None)
    assert query(empty_database, SCHEMA) == [as_uuid(row) for row in before]


def test_who_subscribes_is_warned_of_the_column_that_is_filled(empty_database: str) -> None:
    publish = "CREATE PUBLICATION p FOR TABLE t"
    table(empty_database, "varchar(36)", KINDS["varchar(36)"], publish)

    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert [finding.id for finding in result.findings] == ["published-table"]
    [step] = result.findings[0].steps
    assert step.text == 'ALTER TABLE "public"."t" ADD COLUMN "c_seeded" uuid;'


def test_a_view_that_is_made_meanwhile_stops_the_run_and_loses_nothing(empty_database: str) -> None:
    table(empty_database, "varchar(36)", KINDS["varchar(36)"])
    stopped_in_the_middle(empty_database)
    for statement in ("CREATE VIEW w AS SELECT c FROM t", "CREATE STATISTICS s ON c, v FROM t"):
        execute(connections[empty_database], statement)

    with pytest.raises(RefusedError, match="on view w, statistics object s"):
        seed(connections[empty_database], goal_for(), options(), QUIET)
    for statement in ("DROP VIEW w", "DROP STATISTICS s"):
        execute(connections[empty_database], statement)

    assert seed(connections[empty_database], goal_for(), options(), QUIET).verdict is Verdict.PASSED


REFUSALS: dict[str, tuple[list[str], str]] = {
    "no uuid": (
        ["UPDATE t SET c = 'payment ' || id WHERE id < 4"],
        "3 values that are not UUIDs: 'payment 1', 'payment 2', 'payment 3'",
    ),
    "the same uuid twice": (
        ["UPDATE t SET c = upper((SELECT c FROM t WHERE id = 1)) WHERE id = 2"],
        "are in more than one row",
    ),
    "a view": (["CREATE VIEW w AS SELECT c FROM t"], "view w"),
    "a foreign key": (
        ["ALTER TABLE t ADD UNIQUE (c)", "CREATE TABLE o (c varchar(36) REFERENCES t (c))"],
        "constraint o_c_fkey",
    ),
    "an index of two columns": (["CREATE INDEX two ON t (id, c)"], "index two"),
    "a policy": (["CREATE POLICY p ON t USING (c <> '')"], "policy p"),
    "a generated column": (
        ["ALTER TABLE t ADD g text GENERATED ALWAYS AS (lower(c)) STORED"],
        "column g of table t",
    ),
    "a publication of this column": (
        ["CREATE PUBLICATION p FOR TABLE t (id, c)"],
        "publication of table t in publication p",
    ),
    "a check": (["ALTER TABLE t ADD CONSTRAINT long CHECK (length(c) = 36)"], "constraint long"),
    "an index of some rows": (["CREATE INDEX few ON t (c) WHERE id > 5"], "index few"),
    "an index of an expression": (["CREATE INDEX low ON t (lower(c))"], "index low"),
    "a hash index": (["CREATE INDEX hash ON t USING hash (c)"], "index hash"),
    "the replica identity": (
        [
            "ALTER TABLE t ALTER c SET NOT NULL",
            "CREATE UNIQUE INDEX one ON t (c)",
            "ALTER TABLE t REPLICA IDENTITY USING INDEX one",
        ],
        "index one",
    ),
    "statistics": (["CREATE STATISTICS s ON c, v FROM t"], "statistics object s"),
    "a trigger of the column": (
        [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER of_c BEFORE UPDATE OF c ON t FOR EACH ROW EXECUTE FUNCTION f()",
        ],
        "trigger of_c",
    ),
    "a sequence": (["CREATE SEQUENCE s OWNED BY t.c"], "sequence s"),
    "a parent": (["CREATE TABLE p (c varchar(36))", "ALTER TABLE t INHERIT p"], "inherited"),
    "a column of that name": (
        ["ALTER TABLE t ADD c_seeded text"],
        "c_seeded, and a column of this name",
    ),
    "children": (["CREATE TABLE u () INHERITS (t)"], "partitions or children"),
}


@pytest.mark.parametrize("why", REFUSALS, ids=lambda name: name.replace(" ", "-"))
def test_text_that_cannot_be_swapped_is_refused_before_anything_is_written(
    why: str, empty_database: str
) -> None:
    statements, words = REFUSALS[why]
    if "publication" in why and read_session(connections[empty_database]).major < 15:
        # It has no lists of columns there, so that no publication can stand in the way.
        with pytest.raises(ProgrammingError):
            table(empty_database, "varchar(36)", KINDS["varchar(36)"], *statements)
        return
    table(empty_database, "varchar(36)", KINDS["varchar(36)"], *statements)
    before = columns(empty_database)
    goal = goal_for(unique=why != "children")

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], goal, options(), QUIET)

    assert words in str(refused.value)
    assert refused.value.id in ("column-type", "duplicates")
    assert refused.value.hint
    assert columns(empty_database) == before


def test_a_payment_id_of_text_ends_as_migrate_wants_it(staging: str, ops: Ops) -> None:
    connection = connections[staging]
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id varchar(36)")
    execute(connection, "UPDATE treasury_payment SET payment_id = gen_random_uuid()")
    dry = ops("seed_payment_id", database=staging, dry_run=True)

    answer = ops("seed_payment_id", database=staging)

    assert (dry.code, answer.code) == (0, 0), answer.stdout
    assert [phase["phase"] for phase in dry.report["facts"]["phases"]][::9] == [
        "add a uuid column that follows the text column",
        "swap the uuid column into its place",
    ]
    assert migrate(staging, "treasury") is None
    assert PAYMENTS.constraint in str(query(staging, "SELECT conname FROM pg_constraint"))
