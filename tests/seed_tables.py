"""Tables t as they are in the wild, and those that neither command nor script may seed."""

from __future__ import annotations

from typing import Any

from tests.seeding import goal_for

ROWS = 3000
FILL = f"INSERT INTO t (id, v) SELECT n, 'value ' || n FROM generate_series(1, {ROWS}) n"
PLAIN = "CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL)"
PARTITIONED = [
    "CREATE TABLE t (id bigint, v text) PARTITION BY RANGE (id)",
    "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (1000)",
    "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (1000) TO (9000000) PARTITION BY HASH (id)",
    'CREATE TABLE "t_high 0" PARTITION OF t_high FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
    "CREATE TABLE t_high_1 PARTITION OF t_high FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    FILL,
]
INHERITED = [
    PLAIN,
    FILL,
    "CREATE TABLE t_child (extra int) INHERITS (t)",
    "INSERT INTO t_child (id, v) SELECT n + 10000, 'child' FROM generate_series(1, 500) n",
    "CREATE TABLE t_grandchild () INHERITS (t_child)",
    "INSERT INTO t_grandchild (id, v) SELECT n + 20000, 'grandchild' FROM generate_series(1, 50) n",
]
TOUCH = [
    PLAIN.replace("v text", "touched int DEFAULT 0, v text"),
    FILL,
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END'",
    "CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
]
DEFAULT = "ALTER TABLE t ALTER COLUMN c SET DEFAULT '00000000-0000-0000-0000-000000000001'"
# Two columns, and all other numbers given to columns that are gone.
USED_UP = """
DO $$ BEGIN
EXECUTE (SELECT 'ALTER TABLE t ' || string_agg(format('ADD c%s int', n), ', ')
         FROM generate_series(3, 1600) n);
EXECUTE (SELECT 'ALTER TABLE t ' || string_agg(format('DROP c%s', n), ', ')
         FROM generate_series(3, 1600) n);
END $$
"""
REFUSED_TABLES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "trigger": (TOUCH, {}, "update-triggers"),
    "trigger that fires always": (
        [*TOUCH, "ALTER TABLE t ENABLE ALWAYS TRIGGER touch"],
        {"triggers": "skip"},
        "update-triggers",
    ),
    "trigger of a partition": (
        [*PARTITIONED, *TOUCH[2:3], TOUCH[3].replace("ON t ", "ON t_low ")],
        {"goal": goal_for(unique=False)},
        "update-triggers",
    ),
    "rule": (
        [PLAIN, FILL, "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING"],
        {},
        "update-rules",
    ),
    "published without identity": (
        ["CREATE TABLE t (id bigint, v text)", FILL, "CREATE PUBLICATION p FOR TABLE t"],
        {},
        "no-replica-identity",
    ),
    "row that an old check does not let change": (
        [PLAIN, FILL, "ALTER TABLE t ADD CONSTRAINT young CHECK (id > 10) NOT VALID"],
        {},
        "rows-not-updatable",
    ),
    "no table": (
        [PLAIN, FILL, "CREATE VIEW w AS SELECT * FROM t"],
        {"goal": goal_for("w")},
        "table-hierarchy",
    ),
    "table of a composite type": (
        ["CREATE TYPE kind AS (id bigint, v text)", "CREATE TABLE t OF kind", FILL],
        {},
        "table-hierarchy",
    ),
    "no number of a column left": ([PLAIN, FILL, USED_UP], {}, "too-many-columns"),
    "one value for all": (
        [PLAIN, FILL],
        {"goal": goal_for(type="text", expression="'the same'")},
        "unique-with-one-default",
    ),
    "a default that is one value for all": (
        [PLAIN, FILL, "ALTER TABLE t ADD COLUMN c uuid", DEFAULT],
        {},
        "unique-with-one-default",
    ),
    "value computed from the row": (
        [PLAIN, FILL],
        {"goal": goal_for(type="text", expression="lower(v)", unique=False, reads_row=True)},
        "no-default",
    ),
    "identity": (
        [
            "CREATE TABLE t (id bigint, v text, c int GENERATED ALWAYS AS IDENTITY)",
            FILL,
        ],
        {"goal": goal_for(type="integer", expression="1", unique=False)},
        "column-type",
    ),
}
