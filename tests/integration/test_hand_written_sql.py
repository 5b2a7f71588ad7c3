"""Hand-written SQL is decided without a rehearsal, as `migrate` then decides it."""

from collections.abc import Callable
from unittest import mock

import pytest
from django.db import connections

from opsmigrate.preflight import explain
from tests.conftest import Ops, execute
from tests.integration.pairs import ROW
from tests.integration.sql_pairs import FIRST, ONE, SQL_PAIRS, SqlPair
from tests.integration.zoo_migrations import Write, migrate


@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("pair", SQL_PAIRS, ids=lambda pair: pair.name.replace(" ", "-"))
def test_the_verdict_equals_what_migrate_then_does(
    pair: SqlPair,
    bad: bool,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias = new_database("sql ")
    write_migrations(FIRST)
    assert migrate(alias, "zoo") is None
    for statement in filter(None, (pair.setup, pair.drift if bad else "")):
        execute(connections[alias], statement)
    write_migrations(FIRST, pair.pending)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    failure = migrate(alias, "zoo")

    assert answer.report["undecided"] == []
    assert answer.code == (1 if bad else 0), answer.stdout
    assert (failure is not None) == bad, failure
    if bad:
        finding = answer.report["findings"][0]
        assert finding["id"] == pair.finding, answer.stdout
        assert finding["operation"] is not None


LEFT_TO_A_REHEARSAL = {
    "a table from which another inherits": (
        "CREATE TABLE kid () INHERITS (zoo_cage)",
        "ALTER TABLE zoo_cage ADD COLUMN note text",
    ),
    "who inherits": ("CREATE TABLE kid (LIKE zoo_cage)", "ALTER TABLE kid INHERIT zoo_cage"),
    "a partitioned table": (
        "CREATE TABLE log (at date) PARTITION BY RANGE (at)",
        "ALTER TABLE log ADD COLUMN note text",
    ),
    "a domain": (
        "CREATE DOMAIN weight AS integer; ALTER TABLE zoo_cage ADD weight weight",
        "ALTER TABLE zoo_cage ADD COLUMN note text",
    ),
    "the history": ("", "ALTER TABLE django_migrations ADD COLUMN note text"),
    "new rows with what a function gives": ("", ROW),
    "new rows from a query": (
        ROW,
        "INSERT INTO zoo_cage SELECT 7, gen_random_uuid(), name FROM zoo_cage",
    ),
    "new rows of a table that the plan has changed": (
        "",
        f"ALTER TABLE zoo_cage ADD n int DEFAULT 1; {ONE}",
    ),
    "new rows where a trigger fires": (
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
        " CREATE TRIGGER touched BEFORE INSERT ON zoo_cage FOR EACH ROW EXECUTE FUNCTION touch()",
        ONE,
    ),
    "new rows beside others of the plan": ("", f"{ONE}; {ONE.replace('6f1c', '7f1c')}"),
    "new rows that row security may refuse": (
        "ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY",
        ONE,
    ),
    "new rows with a default that calls anything": (
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        " ALTER TABLE zoo_cage ADD n integer DEFAULT one()",
        ONE,
    ),
    "new rows that point to others": (
        "CREATE TABLE sizes (id integer PRIMARY KEY);"
        " ALTER TABLE zoo_cage ADD CONSTRAINT k FOREIGN KEY (size) REFERENCES sizes",
        ONE,
    ),
    "a query": ("", "SELECT 1 FROM zoo_cage"),
    "a block": ("", "DO $$ BEGIN PERFORM 1; END $$"),
    "a block with a condition": (
        "",
        "DO $$ BEGIN IF true THEN ALTER TABLE zoo_cage ADD note text; END IF; END $$",
    ),
    "a block whose errors are handled": (
        "",
        "DO $$ BEGIN ALTER TABLE zoo_cage ADD note text; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    ),
    "a block of a language that the database does not have": (
        "DROP EXTENSION plpgsql",
        "DO $$ BEGIN ALTER TABLE zoo_cage ADD note text; END $$",
    ),
    "a commit": ("", "COMMIT"),
    "a setting that matters": ("", "SELECT set_config('statement_timeout', '1', true)"),
    "a setting that a query gives": (
        ROW,
        "SELECT set_config('lock_timeout', name, true) FROM zoo_cage",
    ),
    "another search_path": ("CREATE SCHEMA aside", "SET search_path TO aside"),
    "a new value that is used at once": (
        "CREATE TYPE mood AS ENUM ('sad')",
        "ALTER TYPE mood ADD VALUE 'ok'; ALTER TABLE zoo_cage ADD mood mood DEFAULT 'ok'",
    ),
    "a key": (ROW, "UPDATE zoo_cage SET id = 7"),
    "a unique column": (ROW, "UPDATE zoo_cage SET code = NULL WHERE size = 3"),
    "rows to which others refer": (
        f"{ROW}; CREATE TABLE keeper (cage bigint REFERENCES zoo_cage)",
        "DELETE FROM zoo_cage WHERE size = 3",
    ),
    "rows that row security hides": (
        f"{ROW}; ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY",
        "UPDATE zoo_cage SET size = 3",
    ),
    "a trigger that fires": (
        f"{ROW}; CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RETURN NEW; END$$; CREATE TRIGGER touched BEFORE UPDATE ON zoo_cage"
        " FOR EACH ROW EXECUTE FUNCTION touch()",
        "UPDATE zoo_cage SET size = 3",
    ),
    "what may be too long": (ROW, "UPDATE zoo_cage SET name = 'a name of more than twenty'"),
    "a function of somebody's own": (
        f"{ROW}; CREATE FUNCTION length(varchar) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "UPDATE zoo_cage SET size = length(name)",
    ),
    "a function whose value differs": (ROW, "UPDATE zoo_cage SET size = random()"),
}


@pytest.mark.parametrize("about", LEFT_TO_A_REHEARSAL, ids=lambda about: about.replace(" ", "-"))
def test_what_nobody_can_tell_for_certain_is_left_to_a_rehearsal(
    about: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    setup, text = LEFT_TO_A_REHEARSAL[about]
    write_migrations(FIRST)
    assert migrate(empty_database, "zoo") is None
    if setup:
        execute(connections[empty_database], setup)
    write_migrations(FIRST, f"migrations.RunSQL({text!r}),")

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 3, answer.stdout
    assert "hand-written SQL is not understood" in answer.report["undecided"][0]["why"]


OTHER_EXPRESSIONS = {
    "a check": ("int GENERATED ALWAYS AS (size) STORED CHECK (g > 0)", "-size"),
    "a check after it": (
        "int GENERATED ALWAYS AS (size) STORED",
        "-size); ALTER TABLE zoo_cage ADD CHECK (g > 0",
    ),
    "NOT NULL": ("int GENERATED ALWAYS AS (size) STORED NOT NULL", "nullif(size, 3)"),
    "a unique index": ("int GENERATED ALWAYS AS (id) STORED UNIQUE", "size"),
}


@pytest.mark.parametrize("about", OTHER_EXPRESSIONS, ids=lambda about: about.replace(" ", "-"))
def test_what_looks_at_a_column_that_is_computed_otherwise_is_left_to_a_rehearsal(
    about: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    connection = connections[empty_database]
    column, expression = OTHER_EXPRESSIONS[about]
    write_migrations(FIRST)
    assert migrate(empty_database, "zoo") is None
    if connections[empty_database].pg_version < 170_000:
        pytest.skip("SET EXPRESSION came with PostgreSQL 17")
    for each in (ONE, ONE.replace("6f1c", "7f1c"), f"ALTER TABLE zoo_cage ADD g {column}"):
        execute(connection, each)
    text = f"ALTER TABLE zoo_cage ALTER g SET EXPRESSION AS ({expression})"
    write_migrations(FIRST, f"migrations.RunSQL({text!r}),")

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert migrate(empty_database, "zoo") is not None
    assert answer.code == 3, answer.stdout
    assert "whether the rows of public.zoo_cage suit" in answer.report["undecided"][0]["why"]


def test_a_plan_is_walked_once_where_no_copy_can_follow(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST, "migrations.RunSQL('ALTER TABLE zoo_cage ADD note text'),")

    with mock.patch.object(explain, "walk_plan", wraps=explain.walk_plan) as walked:
        answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 0, answer.stdout
    assert walked.call_count == 1


def test_what_stands_alone_is_refused_within_a_migration_that_is_a_transaction(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    index = 'migrations.RunSQL("CREATE INDEX CONCURRENTLY i ON zoo_cage (size)"),'
    write_migrations(FIRST, index)
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    failure = migrate(empty_database, "zoo")
    write_migrations(FIRST, index, atomic=False)
    alone = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["sql-refused"]), answer.stdout
    assert failure is not None
    assert (alone.code, alone.ids) == (0, []), alone.stdout
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize(
    "before",
    [
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD CHECK (size <> 3)"),',
        'migrations.AddConstraint("cage", models.UniqueConstraint(models.F("size"), name="u")), '
        f'migrations.RunSQL("{ONE.replace("6f1c", "7f1c")}"),',
        f'migrations.RunSQL("{ONE}"),',
        'migrations.RunSQL("ALTER SEQUENCE zoo_cage_id_seq RESTART"),',
    ],
    ids=["a check", "a unique constraint and a row", "the same row", "a sequence"],
)
def test_rows_are_not_promised_to_a_table_that_the_plan_has_changed_before(
    before: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROW)
    write_migrations(FIRST, f'{before} migrations.RunSQL("{ONE}"),')

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 3, answer.stdout
    assert migrate(empty_database, "zoo") is not None


@pytest.mark.parametrize(
    "sql",
    [
        "RunSQL('-- nothing')",
        "RunSQL('DROP VIEW IF EXISTS v; -- done')",
        "RunSQL('DROP VIEW IF EXISTS v;;')",
        "RunSQL(['', 'DROP VIEW IF EXISTS v'])",
        "RunSQL('')",
        "RunSQL([('  ', None)])",
        "RunPython(lambda apps, editor: editor.execute('/* no */'))",
    ],
)
def test_a_text_without_a_statement_is_what_the_driver_says_of_it(
    sql: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """psycopg2 refuses it, psycopg 3 does not; Django itself passes over RunSQL.noop only."""
    write_migrations(FIRST, f"migrations.{sql},")
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    failure = migrate(empty_database, "zoo")

    assert answer.report["undecided"] == [] or "RunPython" in sql
    assert answer.code == (3 if answer.report["undecided"] else 1 if failure else 0), answer.stdout
    assert answer.code != 1 or answer.ids == ["malformed-statement"]


@pytest.mark.parametrize("text", ["COPY zoo_cage FROM STDIN", "COPY (SELECT 1) TO STDOUT"])
def test_a_copy_whose_rows_the_driver_sends_or_gets_fails_in_execute(
    text: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST, f"migrations.RunSQL({text!r}),")
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["malformed-statement"]), answer.stdout
    assert migrate(empty_database, "zoo") is not None


ROUTINE = "CREATE FUNCTION made({}) RETURNS {} LANGUAGE {} AS $$ {} $$"
REFUSED_ROUTINES = {
    "a word that is none": ("", "integer", "plpgsql", "BEGIN RETRUN 1; END"),
    "no end": ("", "integer", "plpgsql", "BEGIN RETURN 1;"),
    "a variable that is not declared": ("", "integer", "plpgsql", "BEGIN n := 1; RETURN n; END"),
    "a value of nothing": ("", "void", "plpgsql", "BEGIN RETURN 1; END"),
    "a name twice": ("n integer, n integer", "integer", "plpgsql", "BEGIN RETURN n; END"),
    "no default behind one": ("n integer = 1, m integer", "integer", "plpgsql", "BEGIN NULL; END"),
    "a default that is no number": ("n integer = 'x'", "integer", "plpgsql", "BEGIN NULL; END"),
    "no SQL": ("", "integer", "sql", "SELEC 1"),
}


@pytest.mark.parametrize("case", REFUSED_ROUTINES)
def test_a_function_that_postgresql_does_not_take_is_a_no(
    case: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database("sql ")
    write_migrations(FIRST)
    assert migrate(alias, "zoo") is None
    text = ROUTINE.format(*REFUSED_ROUTINES[case])
    write_migrations(FIRST, f'migrations.RunSQL("""{text}"""),')

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 1, answer.stdout
    [finding, *_] = answer.report["findings"]
    assert finding["id"] == "sql-refused"
    if case == "a word that is none":
        assert 'syntax error at or near "RETRUN"' in finding["message"]
    assert migrate(alias, "zoo") is not None


UNREAD_ROUTINES = {
    "SQL, of which nobody here says what it gives": ("", "integer", "sql", "SELECT NULL::text"),
    "variables of a type of somebody's own": (
        "", "integer", "plpgsql", "DECLARE c zoo_absent%ROWTYPE; BEGIN RETURN 1; END",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREAD_ROUTINES)
def test_a_function_whose_body_is_not_understood_is_left_to_a_rehearsal(
    case: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database("sql ")
    write_migrations(FIRST)
    assert migrate(alias, "zoo") is None
    text = ROUTINE.format(*UNREAD_ROUTINES[case])
    write_migrations(FIRST, f'migrations.RunSQL("""{text}"""),')

    assert ops("preflight_migrate", "zoo", database=alias, rehearse="off").code == 3
    assert ops("preflight_migrate", "zoo", database=alias, rehearse="schema").code == 1
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize(
    "value", ["'soon'", "'5 weeks'", "-1", "99999999999"], ids=["word", "unit", "sign", "high"]
)
def test_a_setting_is_harmless_only_with_a_plain_value(
    value: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    text = f"SET LOCAL lock_timeout = {value}"
    write_migrations(FIRST, f'migrations.RunSQL("{text}"),')
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 3, answer.stdout
    assert migrate(empty_database, "zoo") is not None
