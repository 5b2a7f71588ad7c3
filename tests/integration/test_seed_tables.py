"""seed_payment_id on tables as they are in the wild, while somebody writes to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.seed import seed
from opsmigrate.errors import RefusedError
from opsmigrate.report import Verdict
from tests.conftest import execute, query
from tests.remedies import psql
from tests.seed_tables import FILL, INHERITED, PARTITIONED, PLAIN, REFUSED_TABLES, ROWS, TOUCH
from tests.seeding import QUIET, goal_for, holding, options, wait_for, writing

pytestmark = pytest.mark.major

WRITES = (
    "UPDATE t SET v = v WHERE id = {} % 3000",
    "DELETE FROM t WHERE id = 3000 - {} % 40",
    "INSERT INTO t (id, v) VALUES ({} + 3000, 'new') ON CONFLICT DO NOTHING",
)
UNIQUE_TABLES: dict[str, list[str]] = {
    "plain": [PLAIN, FILL],
    "without a primary key": ["CREATE TABLE t (id bigint, v text)", FILL],
    "with a composite primary key": [
        "CREATE TABLE t (id bigint, v text, PRIMARY KEY (v, id))",
        FILL,
    ],
    "with a uuid as primary key": [
        "CREATE TABLE t (u uuid PRIMARY KEY DEFAULT gen_random_uuid(), id bigint, v text)",
        FILL,
    ],
    "with generated and identity columns": [
        "CREATE TABLE t (i bigint GENERATED ALWAYS AS IDENTITY, id bigint PRIMARY KEY, v text,"
        " g text GENERATED ALWAYS AS (v || '!') STORED)",
        FILL,
    ],
    "with a fillfactor": [f"{PLAIN} WITH (fillfactor = 70)", FILL],
    "with toasted rows": [
        PLAIN,
        "ALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL",
        "INSERT INTO t SELECT n, repeat(md5(n::text), 300) FROM generate_series(1, 400) n",
    ],
    "with two rows in a block": [
        f"{PLAIN}",
        "ALTER TABLE t ALTER COLUMN v SET STORAGE PLAIN",
        "INSERT INTO t SELECT n, repeat(md5(n::text), 110) FROM generate_series(1, 400) n",
    ],
    "with row-level security": [
        PLAIN,
        FILL,
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON t USING (id < 10)",
    ],
    "with a view and rules on top": [
        PLAIN,
        FILL,
        "CREATE VIEW w AS SELECT id, v FROM t",
        "CREATE RULE w_update AS ON UPDATE TO w"
        " DO INSTEAD UPDATE t SET v = NEW.v WHERE id = OLD.id",
    ],
    "with foreign keys in and out": [
        "CREATE TABLE a (id int PRIMARY KEY)",
        "INSERT INTO a VALUES (1)",
        "CREATE TABLE t (id bigint PRIMARY KEY, v text, a_id int DEFAULT 1 REFERENCES a)",
        FILL,
        "CREATE TABLE b (t_id bigint REFERENCES t (id) ON DELETE CASCADE)",
        "INSERT INTO b SELECT id FROM t WHERE id < 100",
    ],
    "published": [PLAIN, FILL, "CREATE PUBLICATION p FOR TABLE t"],
    "a child that inherits": [
        "CREATE TABLE parent (id bigint, v text)",
        "CREATE TABLE t (PRIMARY KEY (id)) INHERITS (parent)",
        FILL,
        "INSERT INTO parent VALUES (1, 'of the parent')",
    ],
    "unlogged": [PLAIN.replace("TABLE", "UNLOGGED TABLE"), FILL],
    "empty": [PLAIN],
}


def prepare(alias: str, statements: list[str]) -> None:
    for statement in statements:
        execute(connections[alias], statement)


def digest(alias: str, rows: str = "true") -> list[tuple[Any, ...]]:
    return query(
        alias,
        f"SELECT count(*), sum(hashtextextended((to_jsonb(t) - 'c')::text, 0)) FROM t WHERE {rows}",
    )


def column(alias: str, table: str = "t") -> tuple[Any, ...]:
    [row] = query(
        alias,
        "SELECT format_type(atttypid, atttypmod), attnotnull, atthasdef,"
        " (SELECT count(*) FROM pg_constraint WHERE conrelid = attrelid AND contype = 'u'"
        "  AND conkey = ARRAY[attnum])"
        f" FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = 'c'",
    )
    return row


@pytest.mark.parametrize(
    ("kind", "workers"), [("plain", 1), *((kind, 2) for kind in UNIQUE_TABLES)]
)
def test_the_column_is_added_filled_and_unique(
    kind: str, workers: int, empty_database: str
) -> None:
    prepare(empty_database, UNIQUE_TABLES[kind])
    untouched = "id BETWEEN 1 AND 2900"
    before = digest(empty_database, untouched)

    with writing(empty_database, *WRITES) as written:
        result = seed(connections[empty_database], goal_for(), options(workers=workers), QUIET)

    assert result.verdict is Verdict.PASSED
    assert written.errors == []
    assert column(empty_database) == ("uuid", True, True, 1)
    assert digest(empty_database, untouched) == before
    [(rows, values)] = query(empty_database, "SELECT count(*), count(DISTINCT c) FROM ONLY t")
    assert rows == values


@pytest.mark.parametrize("statements", [PARTITIONED, INHERITED], ids=["partitioned", "inherited"])
def test_a_hierarchy_is_refused_before_anything_is_written_and_filled_without_uniqueness(
    statements: list[str], empty_database: str
) -> None:
    prepare(empty_database, statements)
    before = digest(empty_database)

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], goal_for(), options(), QUIET)
    columns = query(empty_database, "SELECT count(*) FROM pg_attribute WHERE attname = 'c'")
    result = seed(connections[empty_database], goal_for(unique=False), options(workers=2), QUIET)

    assert (refused.value.id, columns) == ("table-hierarchy", [(0,)])
    assert [step.text for step in refused.value.steps] == [
        "python manage.py seed_payment_id --no-unique"
    ]
    assert result.verdict is Verdict.PASSED
    assert digest(empty_database) == before
    tables = query(
        empty_database,
        "SELECT c.oid::regclass::text, a.attnotnull, a.atthasdef"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE attname = 'c'",
    )
    assert len(tables) == sum("CREATE TABLE" in statement for statement in statements)
    assert all(not_null and has_default for _, not_null, has_default in tables)
    checks = "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%%_seeded'"
    assert query(empty_database, checks, []) == [(0,)]


def test_rows_that_move_between_partitions_end_with_a_value(empty_database: str) -> None:
    prepare(empty_database, PARTITIONED)
    moves = (
        "UPDATE t SET id = (id + 1000) % 3000 WHERE id = {} % 3000",
        "UPDATE t SET v = v WHERE id = {} % 3000",
    )

    with writing(empty_database, *moves) as written:
        result = seed(
            connections[empty_database],
            goal_for(unique=False),
            options(workers=2, max_rows_per_second=4000.0),
            QUIET,
        )

    assert result.verdict is Verdict.PASSED
    assert written.statements > 50
    assert query(empty_database, "SELECT count(*), count(c) FROM t") == [(ROWS, ROWS)]


def test_a_row_that_leaves_its_partition_while_a_batch_waits_for_it_is_come_back_to(
    empty_database: str,
) -> None:
    default = "ALTER TABLE t ADD COLUMN c uuid, ALTER COLUMN c SET DEFAULT gen_random_uuid()"
    prepare(empty_database, [*PARTITIONED, default, "UPDATE t SET c = NULL"])
    waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    moves = "UPDATE t SET id = id + 2500 WHERE id = 500"

    def let_it_move() -> None:
        wait_for(empty_database, waits)
        commit()
        # This thread's own.
        connections[empty_database].close()

    with holding(empty_database, moves, end="COMMIT") as commit:
        thread = threading.Thread(target=let_it_move)
        thread.start()
        result = seed(
            connections[empty_database],
            goal_for(unique=False),
            options(lock_timeout=10.0),
            QUIET,
        )
        thread.join()

    assert result.verdict is Verdict.PASSED
    assert result.facts["batches_with_locked_rows"] == 1
    assert query(empty_database, "SELECT count(*), count(c) FROM t") == [(ROWS, ROWS)]


def test_somebody_who_goes_on_writing_null_is_refused_in_the_end_and_holds_nothing_up(
    empty_database: str,
) -> None:
    prepare(empty_database, [PLAIN, FILL, "ALTER TABLE t ADD COLUMN c uuid"])
    null = "UPDATE t SET c = NULL WHERE id = {} % 3000"

    with writing(empty_database, null) as written:
        result = seed(connections[empty_database], goal_for(), options(workers=2), QUIET)

    assert result.verdict is Verdict.PASSED
    assert all("null value" in error or "opsmigrate_seeded" in error for error in written.errors)
    assert query(empty_database, "SELECT count(c) FROM t") == [(ROWS,)]


def test_a_partition_and_a_foreign_partition_are_refused(empty_database: str) -> None:
    prepare(
        empty_database,
        [
            *PARTITIONED,
            "CREATE FOREIGN DATA WRAPPER nowhere",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere",
        ],
    )
    with pytest.raises(RefusedError, match="is a partition") as partition:
        seed(connections[empty_database], goal_for("t_low", unique=False), options(), QUIET)
    prepare(
        empty_database,
        [
            "CREATE FOREIGN TABLE t_far PARTITION OF t FOR VALUES FROM (9000000) TO (9000001)"
            " SERVER elsewhere",
        ],
    )
    with pytest.raises(RefusedError, match=r"another server \(public\.t_far\)") as foreign:
        seed(connections[empty_database], goal_for(unique=False), options(), QUIET)

    assert partition.value.id == foreign.value.id == "table-hierarchy"


@pytest.mark.parametrize(("triggers", "fired"), [("fire", ROWS), ("skip", 0)])
def test_triggers_fire_or_are_skipped_as_asked(
    triggers: str, fired: int, empty_database: str
) -> None:
    prepare(empty_database, TOUCH)

    result = seed(connections[empty_database], goal_for(), options(triggers=triggers), QUIET)

    assert result.verdict is Verdict.PASSED
    assert query(empty_database, "SELECT sum(touched) FROM t") == [(fired,)]
    assert query(empty_database, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'touch'") == [
        ("O",)
    ]


@pytest.mark.parametrize("why", REFUSED_TABLES, ids=lambda name: name.replace(" ", "-"))
def test_what_cannot_be_updated_safely_is_refused_before_anything_is_written(
    why: str, empty_database: str
) -> None:
    statements, changes, id = REFUSED_TABLES[why]
    prepare(empty_database, statements)
    changes = dict(changes)
    goal: ColumnSpec = changes.pop("goal", goal_for())
    before = query(empty_database, "SELECT count(*) FROM pg_attribute WHERE attname = 'c'")
    transactions = "SELECT xmin::text, count(*) FROM t GROUP BY 1 ORDER BY 1"
    rows = query(empty_database, transactions)

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], goal, options(**changes), QUIET)

    assert refused.value.id == id
    assert refused.value.hint
    assert query(empty_database, "SELECT count(*) FROM pg_attribute WHERE attname = 'c'") == before
    assert query(empty_database, transactions) == rows


def test_a_published_table_is_seeded_with_a_warning_about_its_subscribers(
    empty_database: str, new_database: Callable[..., str]
) -> None:
    prepare(empty_database, UNIQUE_TABLES["published"])

    result = seed(connections[empty_database], goal_for(), options(), QUIET)

    assert [finding.id for finding in result.findings] == ["published-table"]
    assert result.verdict is Verdict.PASSED
    prepare(subscriber := new_database(), [PLAIN])
    psql(subscriber, result.findings[0].steps[0].text)
    assert column(subscriber)[0] == "uuid"


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (goal_for(type="character varying(9)", expression="'it''s 5%'", unique=False), "it's 5%"),
        (goal_for(type="integer", expression="nextval('s')::int"), None),
        (
            goal_for(
                type="text", expression="upper(v)", unique=False, nullable=True, reads_row=True
            ),
            "VALUE 7",
        ),
        (goal_for(type="jsonb", expression="'{}'", unique=False), {}),
    ],
    ids=["constant", "sequence", "computed", "json"],
)
def test_the_engine_fills_any_column_with_any_expression(
    goal: ColumnSpec, value: Any, empty_database: str
) -> None:
    prepare(empty_database, [PLAIN, FILL, "CREATE SEQUENCE s"])

    result = seed(connections[empty_database], goal, options(), QUIET)
    again = seed(connections[empty_database], goal, options(), QUIET)

    assert (result.facts["seeded"], again.facts["seeded"]) == (ROWS, 0)
    assert result.verdict is again.verdict is Verdict.PASSED
    assert column(empty_database)[1:] == (not goal.nullable, goal.wants_default, int(goal.unique))
    if value is not None:
        statement = sql.SQL("SELECT c FROM t WHERE id = 7")
        assert str(query(empty_database, statement)[0][0]) == str(value)
