"""Pairs of hand-written SQL: a database on which it applies, and one on which it fails."""

from dataclasses import dataclass

from tests.integration.pairs import CAGE, ROW


@dataclass(frozen=True)
class SqlPair:
    """SQL of a migration, what makes it fail, and the finding that must say so.

    `setup` is executed on both databases before, `drift` on the bad one only; `after` are
    operations of Django's behind it.
    """

    name: str
    sql: str
    drift: str
    finding: str = "sql-refused"
    setup: str = ""
    after: str = ""

    @property
    def pending(self) -> str:
        """Return the pending operations."""
        return f"migrations.RunSQL({self.sql!r}), {self.after}"


INDEX = "CREATE INDEX cage_size ON zoo_cage (size)"
CHECK = "ALTER TABLE zoo_cage ADD CONSTRAINT cage_size CHECK (size > 0)"
KEEPER = "CREATE TABLE keeper (id serial PRIMARY KEY, cage bigint)"
MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok')"
VIEW = "CREATE VIEW cages AS SELECT id, size FROM zoo_cage"
STOP = "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$"
DOUBLED = (
    "CREATE OR REPLACE FUNCTION doubled({}) RETURNS integer LANGUAGE plpgsql"
    " AS $$BEGIN RETURN 2 * $1; END$$"
)
TRIGGER = "CREATE TRIGGER stopping BEFORE DELETE ON zoo_cage EXECUTE FUNCTION stop()"
NO_NAME = "ALTER TABLE zoo_cage DROP COLUMN name"
NO_SIZE = "ALTER TABLE zoo_cage DROP COLUMN size"
NULLS = "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'b')"
TWICE = f"{ROW}; {ROW}"
ITS_VALUES = "('6f1c0a52-2f4e-4a3b-9a51-0c6f6a1f8e11', 'otter', 3)"
ONE = f"INSERT INTO zoo_cage (code, name, size) VALUES {ITS_VALUES}"
NO_SIZES = ONE.replace("3)", "NULL)")
ON_SIZE = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="on_size")),'

SQL_PAIRS = (
    # Settings
    SqlPair(
        "SELECT set_config",
        f"SELECT pg_catalog.set_config('lock_timeout', '5s', true); {INDEX}",
        NO_SIZE,
    ),
    # Indexes
    SqlPair("DROP INDEX", "DROP INDEX cage_size", "DROP INDEX cage_size", setup=INDEX),
    SqlPair(
        "DROP INDEX of a constraint",
        "DROP INDEX cage_size",
        "DROP INDEX cage_size; ALTER TABLE zoo_cage ADD CONSTRAINT cage_size UNIQUE (size)",
        setup=INDEX,
    ),
    SqlPair("CREATE INDEX", INDEX, NO_SIZE),
    SqlPair("CREATE INDEX of a name that is taken", INDEX, "CREATE VIEW cage_size AS SELECT 1"),
    SqlPair(
        "CREATE INDEX IF NOT EXISTS",
        "CREATE INDEX IF NOT EXISTS cage_size ON zoo_cage (size)",
        NO_SIZE,
        setup=INDEX.replace("cage_size", "other_index"),
    ),
    SqlPair("CREATE INDEX by an expression", "CREATE INDEX i ON zoo_cage (lower(name))", NO_NAME),
    SqlPair(
        "CREATE INDEX where", "CREATE INDEX i ON zoo_cage (name) WHERE size > 3", NO_SIZE
    ),
    SqlPair(
        "CREATE INDEX with an operator class",
        "CREATE INDEX i ON zoo_cage (name varchar_pattern_ops)",
        "ALTER TABLE zoo_cage ALTER name TYPE integer USING 1",
    ),
    SqlPair(
        "CREATE UNIQUE INDEX",
        "CREATE UNIQUE INDEX i ON zoo_cage (size)",
        ROW,
        finding="duplicate-values",
        setup=ROW,
    ),
    SqlPair(
        "RENAME of an index",
        "ALTER INDEX cage_size RENAME TO other",
        "CREATE TABLE other ()",
        setup=INDEX,
    ),
    SqlPair(
        "RENAME of an index that is not there",
        "ALTER INDEX cage_size RENAME TO other",
        "DROP INDEX cage_size",
        setup=INDEX,
    ),
    # Defaults
    SqlPair("SET DEFAULT", "ALTER TABLE zoo_cage ALTER size SET DEFAULT 3", NO_SIZE),
    SqlPair(
        "SET DEFAULT of another type",
        "ALTER TABLE zoo_cage ALTER size SET DEFAULT 3",
        f"{NO_SIZE}; ALTER TABLE zoo_cage ADD size date",
    ),
    SqlPair("DROP DEFAULT", "ALTER TABLE zoo_cage ALTER size DROP DEFAULT", NO_SIZE),
    SqlPair(
        "DROP DEFAULT of an identity column",
        "ALTER TABLE zoo_cage ALTER size DROP DEFAULT",
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL, ALTER size ADD GENERATED ALWAYS AS IDENTITY",
    ),
    # NULL
    SqlPair("DROP NOT NULL", "ALTER TABLE zoo_cage ALTER name DROP NOT NULL", NO_NAME),
    SqlPair(
        "DROP NOT NULL of a primary key",
        "ALTER TABLE zoo_cage ALTER name DROP NOT NULL",
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey, ADD PRIMARY KEY (name)",
    ),
    SqlPair(
        "SET NOT NULL",
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL",
        NULLS,
        finding="null-values",
        setup=ROW,
    ),
    # Columns
    SqlPair(
        "ADD COLUMN",
        "ALTER TABLE zoo_cage ADD COLUMN note text",
        "ALTER TABLE zoo_cage ADD note text",
    ),
    SqlPair(
        "ADD COLUMN NOT NULL without a default",
        "ALTER TABLE zoo_cage ADD COLUMN note text NOT NULL",
        ROW,
        finding="null-values",
    ),
    SqlPair(
        "ADD COLUMN with a default and a check",
        "ALTER TABLE zoo_cage ADD COLUMN rank integer NOT NULL DEFAULT 1 CHECK (rank > 0)",
        "CREATE DOMAIN rank AS text; ALTER TABLE zoo_cage ADD rank rank",
        setup=ROW,
    ),
    SqlPair(
        "ADD COLUMN of a type that people made",
        "ALTER TABLE zoo_cage ADD COLUMN mood mood DEFAULT 'ok'",
        "DROP TYPE mood",
        setup=MOOD,
    ),
    SqlPair(
        "ADD COLUMN that refers",
        "ALTER TABLE zoo_cage ADD COLUMN keeper integer REFERENCES keeper",
        "ALTER TABLE keeper DROP CONSTRAINT keeper_pkey",
        setup=KEEPER,
    ),
    SqlPair("DROP COLUMN", "ALTER TABLE zoo_cage DROP COLUMN size", NO_SIZE),
    SqlPair("DROP COLUMN that a view reads", "ALTER TABLE zoo_cage DROP COLUMN size", VIEW),
    SqlPair(
        "DROP COLUMN IF EXISTS",
        "ALTER TABLE zoo_cage DROP COLUMN IF EXISTS size",
        VIEW,
    ),
    SqlPair("RENAME of a column", "ALTER TABLE zoo_cage RENAME size TO big", NO_SIZE),
    SqlPair(
        "RENAME of a column to one that is there",
        "ALTER TABLE zoo_cage RENAME size TO big",
        "ALTER TABLE zoo_cage ADD big integer",
    ),
    SqlPair(
        "TYPE under a unique index",
        "ALTER TABLE zoo_cage ALTER size TYPE bigint",
        "CREATE RULE r AS ON DELETE TO zoo_cage WHERE old.size = 1 DO INSTEAD NOTHING",
        setup=f"{ONE}; CREATE UNIQUE INDEX cage_size ON zoo_cage (size)",
    ),
    SqlPair(
        "TYPE with USING",
        "ALTER TABLE zoo_cage ALTER name TYPE integer USING name::integer",
        ONE,
        finding="expression-fails",
        setup=ONE.replace("otter", "12").replace("6f1c", "7f1c"),
    ),
    SqlPair(
        "a narrower TYPE",
        "ALTER TABLE zoo_cage ALTER size TYPE smallint",
        ONE.replace("3)", "100000)"),
        finding="expression-fails",
        setup=ONE.replace("6f1c", "7f1c"),
    ),
    SqlPair(
        "a number computed beyond its type",
        "ALTER TABLE zoo_cage ADD half smallint GENERATED ALWAYS AS (size) STORED",
        ONE.replace("3)", "100000)"),
        finding="expression-fails",
        setup=ONE.replace("6f1c", "7f1c"),
    ),
    SqlPair(
        "TYPE", "ALTER TABLE zoo_cage ALTER size TYPE bigint", VIEW
    ),
    SqlPair(
        "TYPE without a cast",
        "ALTER TABLE zoo_cage ALTER size TYPE bigint",
        f"{NO_SIZE}; ALTER TABLE zoo_cage ADD size date",
    ),
    # Constraints
    SqlPair(
        "DROP CONSTRAINT",
        "ALTER TABLE zoo_cage DROP CONSTRAINT cage_size",
        "ALTER TABLE zoo_cage DROP CONSTRAINT cage_size",
        setup=CHECK,
    ),
    SqlPair(
        "DROP CONSTRAINT on which a foreign key rests",
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key",
        "CREATE TABLE keeper (cage uuid REFERENCES zoo_cage (code))",
    ),
    SqlPair(
        "RENAME of a constraint",
        "ALTER TABLE zoo_cage RENAME CONSTRAINT cage_size TO big",
        "ALTER TABLE zoo_cage ADD CONSTRAINT big CHECK (size < 9)",
        setup=CHECK,
    ),
    SqlPair(
        "ADD UNIQUE",
        "ALTER TABLE zoo_cage ADD CONSTRAINT one UNIQUE (size)",
        ROW,
        finding="duplicate-values",
        setup=ROW,
    ),
    SqlPair(
        "ADD UNIQUE of a name that is taken",
        "ALTER TABLE zoo_cage ADD CONSTRAINT one UNIQUE (size)",
        "ALTER TABLE zoo_cage ADD CONSTRAINT one CHECK (size > 0)",
    ),
    SqlPair(
        "ADD UNIQUE USING INDEX",
        "ALTER TABLE zoo_cage ADD CONSTRAINT one UNIQUE USING INDEX cage_size",
        "DROP INDEX cage_size; CREATE INDEX cage_size ON zoo_cage (size)",
        setup="CREATE UNIQUE INDEX cage_size ON zoo_cage (size)",
    ),
    SqlPair("ADD CHECK", CHECK, ROW.replace("1)", "-1)"), finding="check-violated", setup=ROW),
    SqlPair("ADD CHECK of a column that is not there", CHECK, NO_SIZE),
    SqlPair("ADD CHECK NOT VALID", f"{CHECK} NOT VALID", NO_SIZE, setup=ROW.replace("1)", "-1)")),
    SqlPair(
        "VALIDATE",
        "ALTER TABLE zoo_cage VALIDATE CONSTRAINT cage_size",
        "ALTER TABLE zoo_cage DROP CONSTRAINT cage_size",
        setup=f"{CHECK} NOT VALID; {ROW}",
    ),
    SqlPair(
        "VALIDATE with rows in the way",
        "ALTER TABLE zoo_cage VALIDATE CONSTRAINT cage_size",
        f"ALTER TABLE zoo_cage DROP CONSTRAINT cage_size; {ROW.replace('1)', '-1)')};"
        f"{CHECK} NOT VALID",
        finding="check-violated",
        setup=f"{CHECK} NOT VALID",
    ),
    SqlPair(
        "ADD FOREIGN KEY",
        "ALTER TABLE keeper ADD FOREIGN KEY (cage) REFERENCES zoo_cage",
        "INSERT INTO keeper (cage) VALUES (7)",
        finding="orphan-rows",
        setup=KEEPER,
    ),
    SqlPair(
        "ADD FOREIGN KEY to columns without a unique constraint",
        "ALTER TABLE keeper ADD FOREIGN KEY (cage) REFERENCES zoo_cage (id)",
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey",
        setup=KEEPER,
    ),
    SqlPair(
        "ADD FOREIGN KEY of another type",
        "ALTER TABLE keeper ADD FOREIGN KEY (cage) REFERENCES zoo_cage",
        "ALTER TABLE keeper ALTER cage TYPE text",
        setup=KEEPER,
    ),
    # Tables
    SqlPair("CREATE TABLE", KEEPER, "CREATE VIEW keeper AS SELECT 1"),
    SqlPair(
        "CREATE TABLE IF NOT EXISTS that refers",
        "CREATE TABLE IF NOT EXISTS keeper (cage bigint REFERENCES zoo_cage)",
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey",
    ),
    SqlPair("DROP TABLE", "DROP TABLE keeper", "DROP TABLE keeper", setup=KEEPER),
    SqlPair(
        "DROP TABLE to which others refer",
        "DROP TABLE keeper",
        "CREATE TABLE pet (keeper integer REFERENCES keeper)",
        setup=KEEPER,
    ),
    SqlPair("RENAME of a table", "ALTER TABLE keeper RENAME TO warden", VIEW.replace(
        "cages", "warden"), setup=KEEPER),
    SqlPair(
        "COMMENT", "COMMENT ON COLUMN zoo_cage.size IS 'in square metres'", NO_SIZE
    ),
    # Views
    SqlPair("CREATE VIEW", VIEW, NO_SIZE),
    SqlPair("CREATE OR REPLACE VIEW", VIEW.replace("CREATE", "CREATE OR REPLACE"),
            "CREATE VIEW cages AS SELECT size, id FROM zoo_cage"),
    SqlPair("DROP VIEW", "DROP VIEW cages", "DROP VIEW cages", setup=VIEW),
    # Functions and triggers
    SqlPair("CREATE FUNCTION", STOP, STOP),
    SqlPair("CREATE OR REPLACE FUNCTION with other names", DOUBLED.format("n integer"),
            DOUBLED.format("m integer")),
    SqlPair("CREATE OR REPLACE FUNCTION without a default", DOUBLED.format("n integer"),
            DOUBLED.format("n integer DEFAULT 1")),
    SqlPair("DROP FUNCTION", "DROP FUNCTION stop()", "DROP FUNCTION stop()", setup=STOP),
    SqlPair("DROP FUNCTION of a trigger", "DROP FUNCTION stop()", TRIGGER, setup=STOP),
    SqlPair("CREATE TRIGGER", TRIGGER, "DROP FUNCTION stop()", setup=STOP),
    SqlPair("CREATE TRIGGER of a name that is taken", TRIGGER, TRIGGER, setup=STOP),
    SqlPair("DROP TRIGGER", "DROP TRIGGER stopping ON zoo_cage",
            "DROP TRIGGER stopping ON zoo_cage", setup=f"{STOP}; {TRIGGER}"),
    # Types, sequences, schemas
    SqlPair("CREATE TYPE", MOOD, MOOD),
    SqlPair("ADD VALUE", "ALTER TYPE mood ADD VALUE 'happy'", "ALTER TYPE mood ADD VALUE 'happy'",
            setup=MOOD),
    SqlPair("DROP TYPE", "DROP TYPE mood", "ALTER TABLE zoo_cage ADD mood mood", setup=MOOD),
    SqlPair("CREATE SEQUENCE", "CREATE SEQUENCE counter OWNED BY zoo_cage.size", NO_SIZE),
    SqlPair("CREATE SCHEMA", "CREATE SCHEMA aside", "CREATE SCHEMA aside"),
    # Rows
    SqlPair(
        "UPDATE that fills before a NOT NULL of Django's",
        "UPDATE zoo_cage SET size = 3 WHERE size IS NULL",
        NO_SIZE,
        setup=NULLS,
        after='migrations.AlterField("cage", "size", models.IntegerField()),',
    ),
    SqlPair(
        "UPDATE that does not fill all before a NOT NULL of Django's",
        "UPDATE zoo_cage SET size = 3 WHERE size IS NULL AND name = 'b'",
        NULLS.replace("'b'", "'c'"),
        finding="null-values",
        setup=NULLS,
        after='migrations.AlterField("cage", "size", models.IntegerField()),',
    ),
    SqlPair(
        "UPDATE that a check refuses",
        "UPDATE zoo_cage SET size = 3",
        "ALTER TABLE zoo_cage ADD CHECK (size > 3) NOT VALID",
        finding="check-violated",
        setup=ROW,
    ),
    SqlPair(
        "UPDATE to NULL",
        "UPDATE zoo_cage SET size = NULL",
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL",
        finding="null-values",
        setup=ROW,
    ),
    SqlPair(
        "UPDATE of a text", "UPDATE zoo_cage SET name = 'otter' WHERE size > 0", NO_NAME, setup=ROW
    ),
    SqlPair(
        "UPDATE by a function",
        "UPDATE zoo_cage SET size = length(name)",
        "ALTER TABLE zoo_cage ADD CHECK (size <> 1) NOT VALID",
        finding="check-violated",
        setup=ROW.replace("1)", "2)"),
    ),
    SqlPair("UPDATE of no row", "UPDATE zoo_cage SET size = 3", NO_SIZE),
    SqlPair("DELETE", "DELETE FROM zoo_cage WHERE size = 1", "DROP TABLE zoo_cage", setup=NULLS),
    SqlPair("INSERT", ONE, NO_NAME),
    SqlPair("INSERT of what is there", ONE, ONE),
    SqlPair(
        "INSERT of two that are equal",
        f"{ONE}, {ITS_VALUES.replace('6f1c', '7f1c')}",
        "ALTER TABLE zoo_cage ADD UNIQUE (name)",
    ),
    SqlPair("INSERT without a value", ONE, "ALTER TABLE zoo_cage ADD note text NOT NULL"),
    SqlPair("INSERT of NULL", NO_SIZES, "ALTER TABLE zoo_cage ALTER size SET NOT NULL"),
    SqlPair(
        "INSERT of what is too long", ONE, "ALTER TABLE zoo_cage ALTER name TYPE varchar(2)"
    ),
    SqlPair("INSERT that a check refuses", ONE, "ALTER TABLE zoo_cage ADD CHECK (size > 3)"),
    SqlPair(
        "INSERT with a key that the sequence gives again",
        ONE,
        f"{ROW}; SELECT setval('zoo_cage_id_seq', 1, false)",
    ),
    # What Django's own operations find after it
    SqlPair(
        "an index of Django's on a column that SQL has added",
        "ALTER TABLE zoo_cage ADD COLUMN IF NOT EXISTS size integer",
        "CREATE TABLE on_size ()",
        finding="index-exists",
        setup=NO_SIZE,
        after=ON_SIZE,
    ),
    SqlPair(
        "an index of Django's by a name that SQL has set free",
        "ALTER TABLE on_size RENAME TO off_size",
        "CREATE TABLE off_size ()",
        setup="CREATE TABLE on_size ()",
        after=ON_SIZE,
    ),
    SqlPair(
        "a NOT NULL of Django's after SQL that has dropped another column",
        "ALTER TABLE zoo_cage DROP COLUMN code",
        NULLS,
        finding="null-values",
        setup=ROW,
        after='migrations.AlterField("cage", "size", models.IntegerField()),',
    ),
    SqlPair(
        "a unique constraint of Django's on a column that SQL has renamed",
        "ALTER TABLE zoo_cage RENAME big TO size",
        ROW.replace("size", "big"),
        finding="duplicate-values",
        setup=f"ALTER TABLE zoo_cage RENAME size TO big; {ROW.replace('size', 'big')}",
        after='migrations.AlterField("cage", "size", models.IntegerField(unique=True, null=True)),',
    ),
    SqlPair(
        "a block that is a statement",
        "DO $$ BEGIN ALTER TABLE zoo_cage ADD COLUMN note text; END $$",
        "ALTER TABLE zoo_cage ADD note text",
    ),
    SqlPair(
        "a block of several statements",
        f"DO $do$ BEGIN {CHECK}; {INDEX}; END; $do$ LANGUAGE plpgsql",
        INDEX,
    ),
    SqlPair(
        "a block that handles what does not happen",
        "DO $$ BEGIN ALTER TABLE zoo_cage DROP COLUMN size;"
        " EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "CREATE VIEW sizes AS SELECT size FROM zoo_cage",
    ),
    SqlPair(
        "a block that handles what is there already",
        f"DO $$ BEGIN {MOOD}; EXCEPTION WHEN duplicate_object THEN null; END $$;"
        " ALTER TABLE zoo_cage ADD note text",
        "ALTER TABLE zoo_cage ADD note text",
        setup=MOOD,
    ),
    SqlPair(
        "a block whose statement asks the rows",
        "DO 'BEGIN ALTER TABLE zoo_cage ALTER COLUMN size SET NOT NULL; END'",
        NULLS,
        finding="null-values",
    ),
    SqlPair(
        "a foreign key of Django's to a table that SQL has made",
        "CREATE TABLE zoo_warden (id bigint PRIMARY KEY)",
        "CREATE TABLE zoo_warden (id bigint PRIMARY KEY)",
        after="""
migrations.SeparateDatabaseAndState(state_operations=[migrations.CreateModel("Warden", [
    ("id", models.BigIntegerField(primary_key=True))])]),
migrations.AddField("cage", "warden", models.ForeignKey("zoo.Warden", models.CASCADE, null=True)),
""",
    ),
)  # fmt: skip
# Each is a migration after this one.
FIRST = CAGE
