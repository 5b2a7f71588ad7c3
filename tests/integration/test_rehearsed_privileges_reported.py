"""Reported statements that lack a privilege which their text does not name: C2 to C6, C8, C9."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import (
    LEDGER,
    NO_CREATE,
    OPEN,
    OWN,
    READS_SEQUENCES,
    Case,
    execute_for,
    rehearsed_and_migrated,
    told,
)

# Where everything is the role's, it lacks nothing, whatever it executes.
MINE_ALL = 'ALTER DATABASE "{database}" OWNER TO {role}; ALTER SCHEMA public OWNER TO {role}'
CREATE = "GRANT CREATE ON SCHEMA public TO {role}"
ON_PUBLIC = "CREATE on SCHEMA public"
MINE = (LEDGER, "ALTER TABLE ledger OWNER TO {role}", NO_CREATE)
OTHERS_TABLE = (LEDGER, "GRANT SELECT ON ledger TO PUBLIC")
ENGLISH = "CREATE TEXT SEARCH CONFIGURATION public.tsc (COPY = pg_catalog.english)"
STATISTICS = "CREATE STATISTICS st ON id, n FROM ledger"
COLLATION = 'CREATE COLLATION cc FROM "C"'
MOOD = "CREATE TYPE mood AS ENUM ('a')"

COMPOSED = """
(lambda sql: schema_editor.connection.cursor().execute(
    sql.SQL('CREATE TABLE {} (id int)').format(sql.Identifier('extra'))
))(__import__('importlib').import_module('django.db.backends.postgresql.psycopg_any').sql)
"""
OWNS_HEIR = "only the owner may alter public.heir"
HEIR = "CREATE TABLE heir () INHERITS (ledger)"
TO_HEIR = "ALTER TABLE heir OWNER TO {role}"
MINE_AND_SCHEMA = (LEDGER, "ALTER TABLE ledger OWNER TO {role}", CREATE)
WITH_HEIR = (*MINE_AND_SCHEMA, HEIR)
C2 = (
    Case("index", "CREATE INDEX extra ON ledger (n)", ON_PUBLIC, MINE, CREATE),
    Case("rename", "ALTER TABLE ledger RENAME TO ledgers", ON_PUBLIC, MINE, CREATE),
    Case(
        "set schema",
        "ALTER TABLE ledger SET SCHEMA other",
        "CREATE on SCHEMA other",
        (*MINE, "CREATE SCHEMA other", "GRANT USAGE ON SCHEMA other TO {role}"),
        "GRANT CREATE ON SCHEMA other TO {role}",
    ),
    Case("select into", "SELECT * INTO kept FROM ledger", ON_PUBLIC, MINE, CREATE),
    Case("table as", "CREATE TABLE kept AS SELECT * FROM ledger", ON_PUBLIC, MINE, CREATE),
    Case("statistics", STATISTICS, ON_PUBLIC, MINE, CREATE),
    Case("text search", ENGLISH, ON_PUBLIC, MINE, CREATE),
    Case(
        "dictionary",
        "CREATE TEXT SEARCH DICTIONARY tsd (TEMPLATE = simple)",
        ON_PUBLIC,
        MINE,
        CREATE,
    ),
    Case(
        "operator",
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        ON_PUBLIC,
        MINE,
        CREATE,
    ),
    Case("unique", "ALTER TABLE ledger ADD UNIQUE (n)", ON_PUBLIC, MINE, CREATE),
    Case("serial", "ALTER TABLE ledger ADD COLUMN s serial", ON_PUBLIC, MINE, CREATE),
    Case(
        "identity",
        "ALTER TABLE ledger ADD COLUMN s int GENERATED ALWAYS AS IDENTITY",
        ON_PUBLIC,
        MINE,
        CREATE,
    ),
    Case("column", "ALTER TABLE ledger RENAME COLUMN n TO m", None, MINE),
    Case("inherited column", "ALTER TABLE ledger ADD COLUMN m int", OWNS_HEIR, WITH_HEIR, TO_HEIR),
    Case(
        "inherited default",
        "ALTER TABLE ledger ALTER n SET DEFAULT 1",
        OWNS_HEIR,
        WITH_HEIR,
        TO_HEIR,
    ),
    Case("inherited name", "ALTER TABLE ledger RENAME n TO m", OWNS_HEIR, WITH_HEIR, TO_HEIR),
    Case("only the parent", "ALTER TABLE ONLY ledger ALTER n SET DEFAULT 1", None, WITH_HEIR),
    Case("index of the parent", "CREATE INDEX extra ON ledger (n)", None, WITH_HEIR),
    Case(
        "a heir that the plan makes",
        "CREATE TABLE child () INHERITS (ledger); ALTER TABLE ledger ADD COLUMN m int",
        None,
        MINE_AND_SCHEMA,
    ),
    Case(
        "a key that is not given",
        "INSERT INTO counted DEFAULT VALUES",
        "USAGE on SEQUENCE public.counted_id_seq",
        ("CREATE TABLE counted (id serial)", "GRANT INSERT ON counted TO {role}"),
        "GRANT USAGE ON SEQUENCE counted_id_seq TO {role}",
    ),
    Case(
        "a key that is given",
        "INSERT INTO counted SELECT 1",
        None,
        ("CREATE TABLE counted (id serial)", "GRANT INSERT ON counted TO {role}"),
    ),
    Case(
        "extension",
        "CREATE EXTENSION plpgsql",
        "CREATE on DATABASE",
        ("DROP EXTENSION plpgsql",),
        'GRANT CREATE ON DATABASE "{database}" TO {role}',
    ),
    Case("extension there", "CREATE EXTENSION IF NOT EXISTS plpgsql", None),
    Case(
        "temporary",
        "CREATE TEMP TABLE kept (id int)",
        "TEMPORARY on DATABASE",
        ('REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC',),
        'GRANT TEMPORARY ON DATABASE "{database}" TO {role}',
    ),
    Case("temporary in no schema", "CREATE TEMP TABLE kept (id int)", None, MINE),
)
C3 = (
    Case(
        "block with a type",
        f"DO $$ BEGIN {MOOD}; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        OPEN,
        MINE,
        CREATE,
    ),
    Case(
        "block about another's type",
        "DO $$ BEGIN ALTER TYPE public.le ADD VALUE IF NOT EXISTS 'b'; END $$",
        OPEN,
        ("CREATE TYPE le AS ENUM ('a')",),
        "ALTER TYPE le OWNER TO {role}",
    ),
    Case(
        "block with a text",
        "DO $$ BEGIN EXECUTE format('DROP TYPE %I', 'mood'); END $$",
        OPEN,
        (MOOD,),
        f"ALTER TYPE mood OWNER TO {{role}}; {MINE_ALL}",
    ),
    Case(
        "function",
        "SELECT note()",
        OPEN,
        (
            LEDGER,
            "CREATE FUNCTION note() RETURNS void LANGUAGE sql AS 'INSERT INTO ledger VALUES (1)'",
        ),
        "GRANT ALL ON ledger TO {role}",
    ),
)
UNKNOWN = (
    Case(
        "a sequence in a literal",
        "SELECT setval(pg_get_serial_sequence('slips', 'id'), 5)",
        "UPDATE on public.slips_id_seq",
        ("CREATE TABLE slips (id serial)",),
        "ALTER TABLE slips OWNER TO {role}",
    ),
    Case(
        "text that is put together",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE kept' || '(id int)'; END $$",
        OPEN,
        (NO_CREATE,),
        MINE_ALL,
    ),
    Case(
        "a command that has no rule",
        "CREATE CAST (mood AS varchar) WITH INOUT",
        OPEN,
        (MOOD,),
        f"ALTER TYPE mood OWNER TO {{role}}; {MINE_ALL}",
    ),
)
C4 = (
    Case(
        "several",
        "SET LOCAL lock_timeout = '5s'; CREATE TABLE extra (id int)",
        ON_PUBLIC,
        MINE,
        CREATE,
    ),
    Case(
        "comment before a block",
        "/* why */ DO $$ BEGIN INSERT INTO ledger VALUES (1); END $$",
        OPEN,
        OTHERS_TABLE,
        "ALTER TABLE ledger OWNER TO {role}",
    ),
    Case(
        "comment before a table", "/* why */ CREATE TABLE extra (id int)", ON_PUBLIC, MINE, CREATE
    ),
)
C5 = (
    Case(
        "replaced view",
        "CREATE OR REPLACE VIEW public.lv AS SELECT 2 AS a",
        "only the owner may alter public.lv",
        ("CREATE VIEW lv AS SELECT 1 AS a", "GRANT ALL ON lv TO {role}"),
        "ALTER VIEW lv OWNER TO {role}",
    ),
    Case("new view", "CREATE OR REPLACE VIEW lv AS SELECT 2 AS a", None),
)
C6 = tuple(
    Case(
        runs,
        runs,
        "only the owner may alter EXTENSION plpgsql",
        ('GRANT CREATE ON DATABASE "{database}" TO {role}',),
        "DROP EXTENSION plpgsql; SET ROLE {role}; CREATE EXTENSION plpgsql; RESET ROLE",
    )
    for runs in (
        "DROP EXTENSION plpgsql",
        "ALTER EXTENSION plpgsql UPDATE",
        "COMMENT ON EXTENSION plpgsql IS 'x'",
    )
)
C8 = tuple(
    Case(
        runs,
        runs,
        f"only the owner may alter {kind} public.{name}",
        setup,
        f"ALTER {kind} {name} OWNER TO {{role}}",
    )
    for runs, kind, name, setup in (
        (
            "ALTER TEXT SEARCH CONFIGURATION public.tsc ALTER MAPPING FOR asciiword WITH simple",
            "TEXT SEARCH CONFIGURATION",
            "tsc",
            (ENGLISH,),
        ),
        ("DROP TEXT SEARCH CONFIGURATION tsc", "TEXT SEARCH CONFIGURATION", "tsc", (ENGLISH,)),
        ("DROP STATISTICS public.st", "STATISTICS", "st", (LEDGER, STATISTICS)),
        ("ALTER STATISTICS st RENAME TO su", "STATISTICS", "st", (LEDGER, STATISTICS)),
        ("DROP COLLATION public.cc", "COLLATION", "cc", (COLLATION,)),
        ("COMMENT ON COLLATION cc IS 'x'", "COLLATION", "cc", (COLLATION,)),
        ("DROP TYPE mood", "TYPE", "mood", (MOOD,)),
        ("ALTER TYPE mood RENAME TO moods", "TYPE", "mood", (MOOD,)),
    )
)
C9 = (
    Case(
        "database",
        'ALTER DATABASE "{database}" SET timezone TO UTC',
        "only the owner may alter DATABASE",
        (),
        'ALTER DATABASE "{database}" OWNER TO {role}',
    ),
    Case(
        "comment on the database",
        "COMMENT ON DATABASE \"{database}\" IS 'x'",
        "only the owner may alter DATABASE",
        (),
        'ALTER DATABASE "{database}" OWNER TO {role}',
    ),
)
CASES = {"C2": C2, "C3": C3, "C4": C4, "C5": C5, "C6": C6, "C8": C8, "C9": C9, "unknown": UNKNOWN}


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{number}-{case.name.replace(' ', '-')}")
        for number, cases in CASES.items()
        for case in cases
    ],
)
def test_a_privilege_that_the_text_does_not_name_is_missed(
    case: Case, granted: bool, empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    case.hold(empty_database, role(), granted=granted)


@pytest.mark.parametrize(
    ("code", "on"),
    [
        (
            "schema_editor.execute('ALTER DATABASE \"%s\" SET timezone TO UTC'"
            " % schema_editor.connection.settings_dict['NAME'])",
            "DATABASE",
        ),
        (
            "schema_editor.execute(\"SET LOCAL lock_timeout = '5s'; CREATE TABLE extra (id int)\")",
            "SCHEMA public",
        ),
        (
            COMPOSED,
            "SCHEMA public",
        ),
    ],
    ids=["C9-database-of-the-settings", "C4-several-statements", "composed"],
)
def test_what_code_needs_on_the_live_database_is_a_no_after_a_rehearsal(
    code: str,
    on: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    execute_for(user, empty_database, *OWN, ROW, READS_SEQUENCES, NO_CREATE)
    write_migrations(CAGE, f"migrations.RunPython(lambda apps, schema_editor: {code}),")

    answer, failure = rehearsed_and_migrated(ops, empty_database, user)

    assert failure is not None
    assert (answer.code, told(answer)) == (1, ["missing-privilege"]), answer.stdout
    assert on in answer.report["findings"][-1]["table"], answer.stdout
