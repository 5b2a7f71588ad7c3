"""What a drift says to type never takes, cuts, rounds or shifts a value without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import pytest
from django.db import DataError, Error, connections, transaction

from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.remedies.type_remedies import keeps
from tests.conftest import Ops, execute
from tests.integration.drift_zoo import CAGE, COLUMN
from tests.integration.pairs import CAGE as SMALL_CAGE
from tests.integration.pairs import ROW
from tests.integration.test_drift import drifts, zoo  # noqa: F401
from tests.integration.test_drift_remedies import peopled  # noqa: F401
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

# Values that lose something where the other type has no room for it.
VALUES = {
    "smallint": ("0", "-32768"),
    "integer": ("7", "2147483647"),
    "bigint": ("7", "9007199254740993"),
    "numeric": ("0.125", "1e30"),
    "numeric(6,1)": ("99999.5",),
    "numeric(6,3)": ("0.125",),
    "numeric(12,3)": ("123456789.125",),
    "real": ("0.1",),
    "double precision": ("0.1", "1e300"),
    "boolean": ("true",),
    "text": ("'a '", "'7'", "repeat('long ', 9)"),
    "character varying(3)": ("'a  '", "'7'"),
    "character varying(9)": ("'a        '", "'long name'"),
    "character(5)": ("'a'",),
    "uuid": ("'123e4567-e89b-42d3-a456-426614174000'",),
    "inet": ("'10.0.0.1/8'",),
    "date": ("'2024-03-31'",),
    "timestamp without time zone": ("'2024-03-31 01:30:15.123456'",),
    "timestamp with time zone": ("'2024-03-31 01:30:15.123456+00'",),
    "timestamp(0) with time zone": ("'2024-03-31 01:30:15+00'",),
    "time without time zone": ("'01:30:15.123456'",),
    "interval": ("'1 day 02:03:04.5'",),
    "json": ("""'{"a": 1, "a": 2}'""",),
    "jsonb": ("""'{"a": 1.50}'""",),
    "integer[]": ("'{1,2}'",),
    "character varying(3)[]": ("'{a,\"b  \"}'",),
    "character varying(9)[]": ("'{long name}'",),
    "text[]": ("'{a }'",),
    "bytea": ("'\\x00ff'",),
}


@contextmanager
def damaged(alias: str, *statements: str) -> Iterator[tuple[Drift, ...]]:
    """Yield the drift after the statements, in their transaction, which is undone at the end."""
    with transaction.atomic(using=alias):
        for statement in statements:
            execute(connections[alias], statement)
        yield drifts(connections[alias])
        transaction.set_rollback(True, using=alias)


def of_id(found: tuple[Drift, ...], id: str, column: str) -> Drift:
    """Return the one drift of this id and column."""
    (drift,) = [item for item in found if (item.id, item.column) == (id, column)]
    return drift


def texts(drift: Drift) -> list[tuple[int, str]]:
    return [(step.alternative, step.text) for step in drift.steps]


def asked(alias: str, text: str) -> list[Any]:
    """Return the rows of a query."""
    with connections[alias].cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def test_a_text_that_is_too_long_is_refused_and_not_cut(peopled: str) -> None:  # noqa: F811
    long = "UPDATE zoo_cage SET name = repeat('long name ', 12) WHERE size = 1"
    with damaged(peopled, COLUMN + "name TYPE varchar(200)", long) as found:
        look, alter = of_id(found, "drift-type", "name").steps
        listed = asked(peopled, look.text)
        with pytest.raises(DataError, match="value too long"), transaction.atomic(using=peopled):
            execute(connections[peopled], alter.text)
        kept = asked(peopled, "SELECT max(length(name)) FROM zoo_cage")

    assert listed == [("long name " * 12, ("long name " * 12)[:20])]
    assert "USING" not in alter.text
    assert alter.risk == "refuses values that are too long, and removes trailing spaces"
    assert kept == [(120,)]


def test_numbers_that_would_be_rounded_are_listed_first(peopled: str) -> None:  # noqa: F811
    fine = "UPDATE zoo_cage SET price = 1.2345 WHERE size = 1"
    with damaged(peopled, COLUMN + "price TYPE numeric(12, 4)", fine) as found:
        look, alter = of_id(found, "drift-type", "price").steps
        listed = asked(peopled, f"SELECT p::text, q::text FROM ({look.text[:-1]}) AS t (p, q)")

    assert listed == [("1.2345", "1.23")]
    assert alter.risk == "changes the values that the query lists"


@pytest.mark.parametrize("old", VALUES)
def test_without_a_word_a_type_either_keeps_each_value_or_refuses(
    old: str,
    empty_database: str,
) -> None:
    connection = connections[empty_database]
    for new in VALUES:
        if new == old or not keeps(old, new):
            continue
        for value in VALUES[old]:
            execute(connection, f"CREATE TABLE t (v {old}); INSERT INTO t VALUES ({value})")
            try:
                execute(connection, f"ALTER TABLE t ALTER COLUMN v TYPE {new}")
            except Error:
                pass
            else:
                back = f"SELECT v::{old}::text = ({value})::{old}::text FROM t"
                assert asked(empty_database, back) == [(True,)], (old, new, value)
            execute(connection, "DROP TABLE t")


def test_what_takes_a_word_is_not_kept_silently() -> None:
    # Each of these changes some value of VALUES, or does so by the settings of who types it.
    for old, new in [
        ("numeric(6,3)", "numeric(6,1)"),
        ("numeric", "numeric(6,3)"),
        ("numeric", "integer"),
        ("double precision", "real"),
        ("text", "character varying(3)"),
        ("character varying(9)", "character varying(3)"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("timestamp with time zone", "date"),
        ("timestamp with time zone", "timestamp(0) with time zone"),
        ("json", "jsonb"),
        ("text", "uuid"),
    ]:
        assert not keeps(old, new), (old, new)
    assert sum(keeps(old, new) for old, new in permutations(VALUES, 2)) > 30


def test_a_view_on_the_column_is_named_where_it_forbids_another_type(
    peopled: str,  # noqa: F811
) -> None:
    view = "CREATE VIEW names AS SELECT name FROM zoo_cage"
    with damaged(peopled, COLUMN + "name TYPE varchar(30)", view) as found:
        drift = of_id(found, "drift-type", "name")

    assert drift.steps == ()
    assert drift.hint == (
        "it is used by view public.names of this column: drop that, give the column the type "
        "varchar(20), and recreate it; or write a migration that describes what exists"
    )


def test_a_column_under_another_name_is_renamed_first_and_added_second(
    peopled: str,  # noqa: F811
) -> None:
    with damaged(
        peopled, CAGE + "RENAME COLUMN note TO remark", CAGE + "ADD COLUMN other int"
    ) as found:
        missing = of_id(found, "drift-column-missing", "note")
        unknown = of_id(found, "drift-column-unknown", "remark")

    assert texts(missing)[:2] == [
        (1, 'ALTER TABLE "public"."zoo_cage" RENAME COLUMN "remark" TO "note";'),
        (2, 'ALTER TABLE "public"."zoo_cage" ADD COLUMN "note" text NULL;'),
    ]
    assert {step.alternative for step in missing.steps} == {1, 2}
    assert (missing.hint or "").startswith("decide: note may be remark under another name")
    assert unknown.steps == ()
    assert unknown.hint == "it may be note, which is missing: decide that first"


def test_a_table_under_another_name_is_renamed_first_and_made_second(
    peopled: str,  # noqa: F811
) -> None:
    moved = (
        "ALTER TABLE zoo_keeper_cages RENAME TO held",
        "ALTER TABLE held SET SCHEMA aside",
    )
    with damaged(peopled, *moved) as found:
        (drift,) = found
        for step in drift.steps:
            if step.alternative == 1:
                execute(connections[peopled], step.text)
        after = drifts(connections[peopled])
        rows = asked(peopled, "SELECT count(*) FROM zoo_keeper_cages")

    assert [text for number, text in texts(drift) if number == 1] == [
        'ALTER TABLE "aside"."held" RENAME TO "zoo_keeper_cages";',
        'ALTER TABLE "aside"."zoo_keeper_cages" SET SCHEMA "public";',
    ]
    assert texts(drift)[2][1].startswith('CREATE TABLE "public"."zoo_keeper_cages" (')
    assert (drift.hint or "").startswith("decide: it may be aside.held under another name")
    assert (after, rows) == ((), [(9,)])


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["UPDATE zoo_cage SET x = 1 WHERE size = 1"], "it may have values: "),
        (
            ["CREATE INDEX others ON zoo_cage (x)"],
            "leave it to the objects that use it (others), or ",
        ),
        (
            ["CREATE VIEW sizes AS SELECT x FROM zoo_cage"],
            "leave it to the objects that use it (public.sizes",
        ),
        (
            [CAGE + "ALTER COLUMN x SET DEFAULT 3", "UPDATE zoo_cage SET x = DEFAULT"],
            "it may have values: ",
        ),
    ],
    ids=["values", "index", "view", "default"],
)
def test_a_column_that_somebody_may_want_is_not_dropped(
    statements: list[str],
    words: str,
    peopled: str,  # noqa: F811
) -> None:
    with damaged(peopled, CAGE + "ADD COLUMN x smallint", *statements) as found:
        drift = of_id(found, "drift-column-unknown", "x")

    assert (drift.steps, (drift.hint or "")[: len(words)]) == ((), words)


def test_not_null_alone_does_not_use_a_column(
    peopled: str,  # noqa: F811
) -> None:
    empty = "TRUNCATE zoo_cage CASCADE"
    with damaged(peopled, empty, CAGE + "ADD COLUMN x smallint NOT NULL") as found:
        drift = of_id(found, "drift-column-unknown", "x")

    assert texts(drift)[-1][1] == 'ALTER TABLE "public"."zoo_cage" DROP COLUMN "x";'


CODE = "migrations.RunPython(lambda apps, editor: None),"
INSTALLS = 'migrations.RunSQL("SELECT 1"),'


@pytest.mark.parametrize(
    ("applied", "dropped"),
    [(CODE, False), (INSTALLS, False), ("migrations.RunPython(migrations.RunPython.noop),", True)],
    ids=["code", "SQL that calls", "no code"],
)
def test_a_column_that_an_applied_migration_may_have_made_is_not_dropped(
    applied: str,
    dropped: bool,
    write_migrations: Write,
    new_database: Callable[..., str],
    ops: Ops,
) -> None:
    write_migrations(SMALL_CAGE, applied)
    alias = new_database()
    assert migrate(alias, "zoo") is None
    execute(connections[alias], "ALTER TABLE zoo_cage ADD COLUMN sort_value integer")

    (finding,) = ops("preflight_migrate", "zoo", database=alias).report["findings"]

    assert finding["id"] == "drift-column-unknown"
    assert any("DROP COLUMN" in step["text"] for step in finding["steps"]) is dropped
    assert ("code or SQL of an applied migration" in finding["hint"]) is not dropped


def test_a_lost_key_is_not_numbered_anew(peopled: str) -> None:  # noqa: F811
    with damaged(peopled, "ALTER TABLE zoo_keeper_cages DROP COLUMN id") as found:
        drift = of_id(found, "drift-column-missing", "id")
    with damaged(
        peopled, "TRUNCATE zoo_keeper_cages", "ALTER TABLE zoo_keeper_cages DROP COLUMN id"
    ) as found:
        of_empty = of_id(found, "drift-column-missing", "id")

    assert drift.steps == ()
    assert "restore the column from a backup" in (drift.hint or "")
    assert [text for _, text in texts(of_empty)] == [
        'ALTER TABLE "public"."zoo_keeper_cages" ADD COLUMN "id" bigint NOT NULL '
        "GENERATED BY DEFAULT AS IDENTITY;",
        'ALTER TABLE "public"."zoo_keeper_cages" ADD PRIMARY KEY ("id");',
    ]


def test_rows_without_a_value_get_the_default_only_where_that_is_said(
    peopled: str,  # noqa: F811
) -> None:
    no_size = (COLUMN + "size DROP NOT NULL", "UPDATE zoo_cage SET size = NULL WHERE size = 1")
    no_name = (COLUMN + "name DROP NOT NULL", "UPDATE zoo_cage SET name = NULL WHERE size = 1")
    with damaged(peopled, *no_size) as found:
        with_default = of_id(found, "drift-null", "size")
    with damaged(peopled, *no_name) as found:
        without = of_id(found, "drift-null", "name")

    assert [(step.text, step.risk) for step in with_default.steps[1:]] == [
        (
            'UPDATE "public"."zoo_cage" SET "size" = 1 WHERE "size" IS NULL;',
            "gives these rows the default",
        ),
        ('ALTER TABLE "public"."zoo_cage" ALTER COLUMN "size" SET NOT NULL;', None),
    ]
    assert [text for _, text in texts(without)] == [
        'SELECT * FROM "public"."zoo_cage" WHERE "name" IS NULL;'
    ]
    assert "decide which they get" in (without.hint or "")


def test_uniqueness_that_a_foreign_key_rests_on_is_not_dropped(peopled: str) -> None:  # noqa: F811
    deferred = (
        "ALTER TABLE zoo_keeper_cages DROP CONSTRAINT zoo_keeper_cages_pkey, "
        "ADD PRIMARY KEY (keeper_id, cage_id)",
        "CREATE TABLE rests (a int, b bigint, FOREIGN KEY (a, b) REFERENCES zoo_keeper_cages)",
    )
    with damaged(peopled, *deferred) as found:
        drift = of_id(found, "drift-primary-key", "id")

    assert drift.steps == ()
    assert (drift.hint or "").startswith("foreign keys depend on zoo_keeper_cages_pkey: drop them")


def test_what_a_rebuild_left_behind_is_dropped_and_others_are_rebuilt(
    peopled: str,  # noqa: F811
) -> None:
    left = (
        "CREATE INDEX zoo_cage_data_ccnew ON zoo_cage (data)",
        "CREATE UNIQUE INDEX twins ON zoo_cage (name)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN "
        "('zoo_cage_data_ccnew'::regclass, 'twins'::regclass)",
    )
    with damaged(peopled, *left) as found:
        by_name = {item.name: texts(item) for item in found if item.id == "drift-index-invalid"}

    assert by_name == {
        "zoo_cage_data_ccnew": [(1, 'DROP INDEX CONCURRENTLY "public"."zoo_cage_data_ccnew";')],
        "twins": [
            (
                1,
                'SELECT "name", count(*) FROM "public"."zoo_cage" WHERE "name" IS NOT NULL '
                'GROUP BY "name" HAVING count(*) > 1;',
            ),
            (1, 'REINDEX INDEX CONCURRENTLY "public"."twins";'),
            (2, 'DROP INDEX CONCURRENTLY "public"."twins";'),
        ],
    }


def test_where_a_renamed_column_stops_the_plan_renaming_it_is_the_first_thing_to_type(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops, typist: Typist
) -> None:
    longer = 'migrations.AlterField("cage", "name", models.CharField(max_length=30)),'
    write_migrations(SMALL_CAGE, longer)
    alias = new_database()
    assert migrate(alias, "zoo", "0001") is None
    execute(connections[alias], ROW)
    execute(connections[alias], "ALTER TABLE zoo_cage RENAME COLUMN name TO title")

    before = ops("preflight_migrate", "zoo", database=alias)

    finding = before.report["findings"][0]
    assert (before.code, finding["id"]) == (1, "missing-column")
    assert finding["steps"][0]["text"] == (
        'ALTER TABLE "public"."zoo_cage" RENAME COLUMN "title" TO "name";'
    )
    assert typist.type(alias, finding) == []
    assert ops("preflight_migrate", "zoo", database=alias).code == 0
    assert migrate(alias, "zoo") is None
    assert asked(alias, "SELECT name FROM zoo_cage") == [("a",)]


SORTED = """
migrations.AddField("cage", "keepers", __import__("tests.zoo.sorted_field",
    fromlist=["zoo"]).SortedManyToManyField("zoo.Cage", related_name="+")),
"""


def test_the_column_of_a_sorted_relation_is_known_and_not_dropped(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(SMALL_CAGE, SORTED)
    alias = new_database()
    assert migrate(alias, "zoo") is None

    answer = ops("preflight_migrate", "zoo", database=alias)
    execute(connections[alias], "ALTER TABLE zoo_cage_keepers DROP COLUMN sort_value")
    (finding,) = ops("preflight_migrate", "zoo", database=alias).report["findings"]

    assert answer.report["facts"]["drift"] == []
    assert (finding["id"], finding["column"]) == ("drift-column-missing", "sort_value")
    assert [step["text"] for step in finding["steps"]] == [
        'ALTER TABLE "public"."zoo_cage_keepers" ADD COLUMN "sort_value" integer NOT NULL;'
    ]


@pytest.mark.parametrize("rows", [True, False])
def test_rows_are_numbered_again_from_behind_the_highest(
    rows: bool,
    peopled: str,  # noqa: F811
) -> None:
    emptied = [] if rows else ["TRUNCATE zoo_keeper_cages"]
    lost = "ALTER TABLE zoo_keeper_cages ALTER COLUMN id DROP IDENTITY"
    with damaged(peopled, *emptied, lost) as found:
        for step in of_id(found, "drift-identity", "id").steps:
            execute(connections[peopled], step.text)
        execute(connections[peopled], "DELETE FROM zoo_keeper_cages WHERE id < 3")
        numbered = asked(
            peopled,
            "INSERT INTO zoo_keeper_cages (keeper_id, cage_id) "
            "SELECT min(k.id), min(c.id) FROM zoo_keeper k, zoo_cage c RETURNING id",
        )

    assert numbered == [(10 if rows else 1,)]
