"""Tables as they come: every row of them is counted, dumped and restored."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.digest.tables import label
from tests.backups import backup
from tests.conftest import Ops, execute

pytestmark = pytest.mark.major

NAMES = [
    ("public", "plain"),
    ("public", 'quo"ted'),
    ("public", "odd (id) FROM stdin;"),
    ("public", "line\nbreak"),
    ("public", "line FROM stdin;\nbreak"),
    ("public", "COPY public.plain (id) FROM stdin;"),
    ("public", "Zahlungen für Übermorgen €"),
    ("dotted.schema", "table"),
    ("dotted", "schema.table"),
    ('"', "."),
]


@pytest.fixture
def make(empty_database: str) -> Callable[[str], None]:
    """Execute a statement on the database."""
    return lambda statement: execute(connections[empty_database], statement)


def backed_up(ops: Ops, alias: str, folder: Path) -> dict[str, int]:
    """Back up, verify both from the file and by restoring, and return the rows."""
    answer, _ = backup(ops, alias, folder, verify="restore")
    tables: dict[str, int] = answer.report["facts"]["tables"]
    return tables


def test_tables_of_any_name_are_told_apart(empty_database: str, ops: Ops, tmp_path: Path) -> None:
    connection = connections[empty_database]
    for number, (schema, name) in enumerate(NAMES):
        create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
        execute(connection, create)
        fill = sql.SQL("CREATE TABLE {} AS SELECT generate_series(1, {}) AS {}").format(
            sql.Identifier(schema, name), sql.Literal(number), sql.Identifier('c\n (")')
        )
        execute(connection, fill)

    tables = backed_up(ops, empty_database, tmp_path)

    assert tables == {label(*names): number for number, names in enumerate(NAMES)}
    assert len(tables) == len(NAMES)


def test_a_label_is_quoted_only_where_it_could_be_another_ones() -> None:
    assert label("public", "treasury_payment") == "public.treasury_payment"
    assert label("public", "Zahlung x") == "public.Zahlung x"
    assert label("a.b", "c") == '"a.b".c'
    assert label("a", "b.c") == 'a."b.c"'
    assert label("a", 'b"c') == 'a."b""c"'


def test_tables_without_columns_or_rows_count(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    make("CREATE TABLE no_columns ()")
    make("INSERT INTO no_columns SELECT FROM generate_series(1, 3)")
    make("CREATE TABLE no_rows (id int)")
    make("CREATE TABLE dropped (id int)")
    make("INSERT INTO dropped VALUES (1), (2)")
    make("ALTER TABLE dropped DROP COLUMN id")

    assert backed_up(ops, empty_database, tmp_path) == {
        "public.no_columns": 3,
        "public.no_rows": 0,
        "public.dropped": 2,
    }


def test_values_that_look_like_the_format_are_rows(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    make("CREATE TABLE texts (id int, value text)")
    make(r"INSERT INTO texts VALUES (1, E'\\.'), (2, E'a\n\\.\nb'), (3, NULL), (4, '')")
    make("INSERT INTO texts VALUES (5, E'\\nCOPY public.texts (id) FROM stdin;\\n')")
    make("CREATE TABLE single (value text)")
    make(r"INSERT INTO single VALUES (E'\\.'), (NULL), ('')")

    assert backed_up(ops, empty_database, tmp_path) == {"public.texts": 5, "public.single": 3}


def test_generated_columns_and_identities_are_no_obstacle(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    make(
        "CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, net numeric,"
        " gross numeric GENERATED ALWAYS AS (net * 1.2) STORED)"
    )
    make("INSERT INTO generated (net) SELECT generate_series(1, 7)")
    make("CREATE TABLE only_generated (one int GENERATED ALWAYS AS (1) STORED)")
    make("INSERT INTO only_generated SELECT FROM generate_series(1, 2)")

    assert backed_up(ops, empty_database, tmp_path) == {
        "public.generated": 7,
        "public.only_generated": 2,
    }


def test_partitions_and_children_are_counted_each_by_itself(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    make("CREATE TABLE payments (id int, year int) PARTITION BY LIST (year)")
    make("CREATE TABLE payments_2024 PARTITION OF payments FOR VALUES IN (2024)")
    make("CREATE TABLE payments_2025 PARTITION OF payments FOR VALUES IN (2025)")
    make("INSERT INTO payments SELECT n, 2024 + n % 2 FROM generate_series(1, 5) n")
    make("CREATE TABLE parent (id int)")
    make("CREATE TABLE child () INHERITS (parent)")
    make("INSERT INTO parent VALUES (1)")
    make("INSERT INTO child VALUES (2), (3)")

    assert backed_up(ops, empty_database, tmp_path) == {
        "public.payments_2024": 2,
        "public.payments_2025": 3,
        "public.parent": 1,
        "public.child": 2,
    }


@pytest.mark.major
def test_partitions_by_the_hash_of_an_enum_are_counted_together_as_a_restore_mixes_them(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    # More labels before these: in the scratch database the same labels have other oids.
    make("CREATE TYPE former AS ENUM ('a', 'b', 'c')")
    make("DROP TYPE former")
    make("CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'white', 'black', 'brown', 'pink')")
    make("CREATE TABLE paint (colour colour, litres int) PARTITION BY HASH (colour)")
    for number in range(4):
        make(
            f"CREATE TABLE paint_{number} PARTITION OF paint"
            f" FOR VALUES WITH (MODULUS 4, REMAINDER {number})"
        )
    make(
        "INSERT INTO paint SELECT c, n"
        " FROM unnest(enum_range(NULL::colour)) c, generate_series(1, 9) n"
    )

    assert backed_up(ops, empty_database, tmp_path) == {"public.paint": 63}


def test_large_objects_views_and_unlogged_tables_come_along(
    make: Callable[[str], None], empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    make("CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 4) AS id")
    make("CREATE MATERIALIZED VIEW materialized AS SELECT id FROM unlogged")
    make("CREATE VIEW plain AS SELECT id FROM materialized")
    make(r"SELECT lo_from_bytea(0, E'\\x434f5059207075626c69632e61') FROM generate_series(1, 3)")

    assert backed_up(ops, empty_database, tmp_path) == {"public.unlogged": 4}


def test_an_empty_database_can_be_backed_up(empty_database: str, ops: Ops, tmp_path: Path) -> None:
    assert backed_up(ops, empty_database, tmp_path) == {}
