"""Pairs in which something that no model knows of stands in the way."""

from tests.integration.pairs import CAGE, KEEPER, ROW, Pair

WIDER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'
FUNCTION = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
PRICED = """
migrations.CreateModel("Cage", [
    ("id", models.BigAutoField(primary_key=True)),
    ("price", models.DecimalField(max_digits=5, decimal_places=2, null=True)),
    ("name", models.CharField(max_length=20)),
]),
"""
TEXTUAL = CAGE.replace("models.CharField(max_length=20)", "models.TextField()")
NOT_UNIQUE = 'migrations.AlterField("cage", "code", models.UUIDField(default=uuid.uuid4)),'
CHECK_NAME = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="zoo_positive")),'
)
PARTITIONED = (
    "DROP TABLE zoo_cage",
    "CREATE TABLE zoo_cage (id bigint, code uuid, name varchar(20), size int)"
    " PARTITION BY RANGE (id)",
)

HIDDEN_PAIRS = (
    Pair(
        "altering the type of a column that a generated column uses",
        WIDER,
        ("ALTER TABLE zoo_cage ADD COLUMN twice int GENERATED ALWAYS AS (size * 2) STORED",),
        "column-in-use",
        column="size",
    ),
    Pair(
        "altering the type of a column that a policy uses",
        WIDER,
        ("CREATE POLICY small ON zoo_cage USING (size < 5)",),
        "column-in-use",
        column="size",
    ),
    Pair(
        "altering the type of a column that a trigger waits for",
        WIDER,
        (
            FUNCTION,
            "CREATE TRIGGER touched BEFORE UPDATE OF size ON zoo_cage"
            " FOR EACH ROW EXECUTE FUNCTION touch()",
        ),
        "column-in-use",
        column="size",
    ),
    Pair(
        "altering the type of a column that a trigger's condition names",
        WIDER,
        (
            FUNCTION,
            "CREATE TRIGGER touched BEFORE INSERT ON zoo_cage"
            " FOR EACH ROW WHEN (NEW.size > 1) EXECUTE FUNCTION touch()",
        ),
        "column-in-use",
        column="size",
    ),
    Pair(
        "altering the type of a column that a function uses",
        WIDER,
        (
            "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql"
            " BEGIN ATOMIC SELECT sum(size) FROM zoo_cage; END",
        ),
        "column-in-use",
        column="size",
    ),
    Pair(
        "adding a column with a value to a table whose rows are in a column of another",
        'migrations.AddField("cage", "age", models.IntegerField(default=1)),',
        ("CREATE TABLE kept (was zoo_cage[])",),
        "column-in-use",
        column="age",
    ),
    Pair(
        "altering the collation of a column that a view uses",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, db_collation="C")),',
        ("CREATE VIEW names AS SELECT name FROM zoo_cage",),
        "view-in-the-way",
        column="name",
    ),
    Pair(
        "altering the type of the column by which the table is partitioned",
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        (
            "DROP TABLE zoo_cage",
            "CREATE TABLE zoo_cage (id bigint, code uuid, name varchar(20), size int)"
            " PARTITION BY RANGE (size)",
        ),
        "column-in-use",
        column="size",
    ),
    Pair(
        "a type that cannot become the other, on an empty table",
        WIDER,
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE uuid USING NULL",),
        "type-not-castable",
        column="size",
    ),
    Pair(
        "a type that becomes the other only when it is told to",
        'migrations.AlterField("cage", "price", models.DecimalField('
        "max_digits=7, decimal_places=2, null=True)),",
        ("ALTER TABLE zoo_cage ALTER COLUMN price TYPE text",),
        "type-not-castable",
        column="price",
        first=PRICED,
    ),
    Pair(
        "a type that becomes an array",
        'migrations.AlterField("cage", "size", ArrayField(models.IntegerField(), null=True)),',
        (),
        "type-not-castable",
        column="size",
    ),
    Pair(
        "a second primary key",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, primary_key=True)),',
        (),
        "constraint-exists",
    ),
    Pair(
        "a check with braces that a row does not satisfy",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(name__in=["{a}"]), name="zoo_braces")),',
        (ROW.replace("'a'", "'{{a}}'"),),
        "check-violated",
        setup=(ROW.replace("'a'", "'{a}'"),),
    ),
    Pair(
        "a column dropped from a partition",
        'migrations.RemoveField("cage", "size"),',
        (
            "ALTER TABLE zoo_cage RENAME TO whole",
            "CREATE TABLE parent (LIKE whole) PARTITION BY RANGE (id)",
            "CREATE TABLE zoo_cage PARTITION OF parent DEFAULT",
        ),
        "inherited-column",
        column="size",
    ),
    Pair(
        "NOT NULL dropped from a partition whose table keeps it",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, null=True)),',
        (
            "ALTER TABLE zoo_cage RENAME TO whole",
            "CREATE TABLE parent (LIKE whole) PARTITION BY RANGE (id)",
            "CREATE TABLE zoo_cage PARTITION OF parent DEFAULT",
        ),
        "inherited-column",
        column="name",
    ),
    Pair(
        "a check whose operator the column's type has not, on an empty table",
        CHECK_NAME,
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text",),
        "expression-invalid",
    ),
    Pair(
        "an index whose condition does not fit the column's type",
        'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_part",'
        " condition=models.Q(size__gt=1))),",
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text",),
        "expression-invalid",
    ),
    Pair(
        "an index on an expression that does not fit the column's type",
        'migrations.AddIndex("cage", models.Index(models.F("size") + 1, name="zoo_sum")),',
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text",),
        "expression-invalid",
    ),
    Pair(
        "an index on a column whose type has no order",
        'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE json USING NULL",),
        "no-operator-class",
        column="size",
    ),
    Pair(
        "a pattern index on a column that is no text",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, db_index=True)),',
        ("ALTER TABLE zoo_cage ALTER COLUMN name TYPE int USING NULL",),
        "no-operator-class",
        column="name",
    ),
    Pair(
        "a unique constraint to drop to which a foreign key points that no model knows",
        NOT_UNIQUE,
        ("CREATE TABLE elsewhere (cage uuid REFERENCES zoo_cage (code))",),
        "constraint-in-use",
    ),
    Pair(
        "a table whose name a type has",
        KEEPER,
        ("CREATE TYPE zoo_keeper AS ENUM ('a')",),
        "table-exists",
        table="public.zoo_keeper",
    ),
    Pair(
        "a table renamed to the name of a type",
        'migrations.AlterModelTable("cage", "zoo_pens"),',
        ("CREATE DOMAIN zoo_pens AS int",),
        "table-exists",
        table="public.zoo_pens",
    ),
    Pair(
        "a unique constraint whose name a check has",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["name"], name="zoo_name")),',
        ("ALTER TABLE zoo_cage ADD CONSTRAINT zoo_name CHECK (size < 9)",),
        "constraint-exists",
    ),
    Pair(
        "unique on a partitioned table without its key",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["name"], name="zoo_name")),',
        PARTITIONED,
        "partition-key-missing",
    ),
    Pair(
        "an index made CONCURRENTLY on a partitioned table",
        'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),',
        PARTITIONED,
        "concurrently-on-partitioned",
        atomic=False,
    ),
    Pair(
        "a column added to a partition",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        (
            "ALTER TABLE zoo_cage RENAME TO whole",
            "CREATE TABLE parent (LIKE whole) PARTITION BY RANGE (id)",
            "CREATE TABLE zoo_cage PARTITION OF parent DEFAULT",
        ),
        "is-a-partition",
    ),
    Pair(
        "a foreign key to a table that a crash empties",
        KEEPER,
        ("ALTER TABLE zoo_cage SET UNLOGGED",),
        "references-unlogged",
    ),
    Pair(
        "a column that becomes an identity though it has a default",
        'migrations.AlterField("cage", "id", models.BigAutoField(primary_key=True)),',
        ("ALTER TABLE zoo_cage ALTER COLUMN id SET DEFAULT 1",),
        "default-in-the-way",
        column="id",
        first=CAGE.replace("models.BigAutoField(", "models.BigIntegerField("),
    ),
    Pair(
        "a default that cannot become the new type",
        'migrations.AlterField("cage", "name", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage ALTER COLUMN name SET DEFAULT 'none'",),
        "default-in-the-way",
        column="name",
    ),
    Pair(
        "a check that no model knows and that does not fit the new type",
        'migrations.AlterField("cage", "name", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage ADD CONSTRAINT filled CHECK (name <> '')",),
        "expression-in-the-way",
        column="name",
        first=TEXTUAL,
    ),
    Pair(
        "an index on an expression that no model knows and that does not fit the new type",
        'migrations.AlterField("cage", "name", models.IntegerField(null=True)),',
        ("CREATE INDEX lowered ON zoo_cage (lower(name))",),
        "expression-in-the-way",
        column="name",
        first=TEXTUAL,
    ),
    Pair(
        "two rows that an exclusion constraint keeps apart",
        'migrations.AddConstraint("cage", ExclusionConstraint(name="zoo_apart",'
        ' expressions=[(Func("size", 10, function="int4range", output_field=IntegerRangeField()),'
        ' "&&")])),',
        (ROW,),
        "rows-exclude-each-other",
        setup=(ROW.replace("1)", "NULL)"), ROW.replace("1)", "2)").replace("'a', 2", "'a', 10")),
    ),
    Pair(
        "a row too big for its index",
        'migrations.AlterField("cage", "name", models.TextField(db_index=True)),',
        (
            "INSERT INTO zoo_cage (code, name) SELECT gen_random_uuid(), "
            "string_agg(md5(random()::text), '') FROM generate_series(1, 400)",
        ),
        "index-row-too-big",
        column="name",
        setup=("INSERT INTO zoo_cage (code, name) SELECT gen_random_uuid(), repeat('a', 20000)",),
        first=TEXTUAL,
    ),
    Pair(
        "a generated column that divides by zero",
        'migrations.AddField("cage", "share", models.GeneratedField('
        'expression=100 / models.F("size"), output_field=models.IntegerField(),'
        " db_persist=True)),",
        (ROW.replace("1)", "0)"),),
        "expression-fails",
        column="share",
        setup=(ROW,),
    ),
    Pair(
        "uniqueness of an expression that two rows share",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'Lower("name"), name="zoo_lower")),',
        (ROW.replace("'a'", "'A'"),),
        "duplicate-values",
        setup=(ROW,),
    ),
    Pair(
        "uniqueness that takes NULLs for equal",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["size"], nulls_distinct=False, name="zoo_nulls")),',
        (ROW.replace("1)", "NULL)"),),
        "duplicate-values",
        column="size",
        setup=(ROW, ROW.replace("1)", "NULL)")),
    ),
    Pair(
        "a unique constant of the database on two rows",
        'migrations.AddField("cage", "tag", models.IntegerField(unique=True, db_default=7)),',
        (ROW,),
        "unique-with-one-default",
        column="tag",
        setup=(ROW,),
    ),
    Pair(
        "a default that breaks the column's own check",
        'migrations.AddField("cage", "age", models.PositiveIntegerField(default=-1)),',
        (ROW,),
        "check-violated",
        column="age",
    ),
    Pair(
        "a default that points to no row",
        'migrations.AddField("cage", "next", models.ForeignKey("zoo.Cage", models.CASCADE,'
        " default=1)),",
        ("DELETE FROM zoo_cage WHERE size = 1", ROW),
        "orphan-rows",
        column="next_id",
        setup=(ROW,),
    ),
)
