"""Pairs: one migration, a database on which it applies, and one on which it fails."""

from dataclasses import dataclass

CAGE = """
migrations.CreateModel("Cage", [
    ("id", models.BigAutoField(primary_key=True)),
    ("code", models.UUIDField(unique=True, default=uuid.uuid4)),
    ("name", models.CharField(max_length=20)),
    ("size", models.IntegerField(null=True)),
]),
"""
KEEPER = """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, to_field="code")),
]),
"""
ROW = "INSERT INTO zoo_cage (code, name, size) VALUES (gen_random_uuid(), 'a', 1)"


@dataclass(frozen=True)
class Pair:
    """The pending operations, what makes them fail, and the finding that must say so.

    `first` is the migration before; `setup` is executed after it on both databases, `drift` on the
    bad one only. Without a `drift`, the pending operations fail on every database.
    """

    name: str
    pending: str
    drift: tuple[str, ...]
    finding: str
    table: str | None = "public.zoo_cage"
    column: str | None = None
    setup: tuple[str, ...] = ()
    atomic: bool = True
    first: str = CAGE


PAIRS = (
    Pair(
        "an index of a child that names a column of its parent",
        """
migrations.CreateModel("Den", [
    ("cage_ptr", models.OneToOneField("zoo.Cage", models.CASCADE, auto_created=True,
        parent_link=True, primary_key=True, serialize=False)),
    ("depth", models.IntegerField()),
], bases=("zoo.cage",)),
migrations.AddIndex("den", models.Index(fields=["depth"], include=["id"], name="zoo_depth")),
""",
        (),
        "missing-column",
        table="public.zoo_den",
        column="id",
    ),
    Pair(
        "another type while a column elsewhere holds rows of the table",
        'migrations.AlterField("cage", "name", models.CharField(max_length=40)),',
        ("CREATE TABLE hoard (cage zoo_cage)",),
        "column-in-use",
        column="name",
    ),
    Pair(
        "a new column's foreign key, by whose name there is a constraint",
        'migrations.AddField("cage", "next", models.ForeignKey("zoo.Cage", models.CASCADE,'
        " null=True)),",
        (
            "ALTER TABLE zoo_cage ADD CONSTRAINT zoo_cage_next_id_93a33692_fk_zoo_cage_id"
            " CHECK (size > -1)",
        ),
        "constraint-exists",
    ),
    Pair(
        "foreign key to a column that does not exist",
        KEEPER,
        ("ALTER TABLE zoo_cage DROP COLUMN code",),
        "missing-column",
        column="code",
    ),
    Pair(
        "foreign key to a column without a unique constraint",
        KEEPER,
        ("ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key",),
        "missing-unique",
        column="code",
    ),
    Pair(
        "foreign key to a column with only a partial unique index",
        KEEPER,
        (
            "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key",
            "CREATE UNIQUE INDEX ON zoo_cage (code) WHERE size > 0",
        ),
        "missing-unique",
        column="code",
    ),
    Pair(
        "foreign key to a column with only an expression on it unique, by the plan",
        """
migrations.AddConstraint("cage", models.UniqueConstraint(
    models.Func("code", function="uuid_send", output_field=models.BinaryField()),
    name="zoo_sent")),
"""
        + KEEPER,
        ("ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key",),
        "missing-unique",
        column="code",
    ),
    Pair(
        "foreign key to a column with a deferrable unique constraint",
        KEEPER,
        (
            "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key",
            "ALTER TABLE zoo_cage ADD UNIQUE (code) DEFERRABLE",
        ),
        "missing-unique",
        column="code",
    ),
    Pair(
        "foreign key to a column of another type",
        KEEPER,
        ("ALTER TABLE zoo_cage ALTER COLUMN code TYPE varchar(36)",),
        "foreign-key-type",
        column="code",
    ),
    Pair(
        "foreign key to a table that does not exist",
        KEEPER,
        ("DROP TABLE zoo_cage",),
        "missing-table",
    ),
    Pair(
        "a table that already exists",
        KEEPER,
        ("CREATE TABLE zoo_keeper (id int)",),
        "table-exists",
        table="public.zoo_keeper",
    ),
    Pair(
        "a table whose name a view has",
        KEEPER,
        ("CREATE VIEW zoo_keeper AS SELECT 1",),
        "table-exists",
        table="public.zoo_keeper",
    ),
    Pair(
        "a column that already exists",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage ADD COLUMN age integer",),
        "column-exists",
        column="age",
    ),
    Pair(
        "a column added to a table that does not exist",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage RENAME TO elsewhere",),
        "missing-table",
    ),
    Pair(
        "NOT NULL without a default on a table with rows",
        'migrations.AddField("cage", "age", models.IntegerField()),',
        (ROW,),
        "not-null-without-default",
        column="age",
    ),
    Pair(
        "unique with one default on two rows",
        'migrations.AddField("cage", "tag", models.UUIDField(unique=True, default=uuid.uuid4)),',
        (ROW, ROW),
        "unique-with-one-default",
        column="tag",
        setup=(),
    ),
    Pair(
        "dropping a column that does not exist",
        'migrations.RemoveField("cage", "size"),',
        ("ALTER TABLE zoo_cage DROP COLUMN size",),
        "missing-column",
        column="size",
    ),
    Pair(
        "renaming a column that does not exist",
        'migrations.RenameField("cage", "size", "extent"),',
        ("ALTER TABLE zoo_cage DROP COLUMN size",),
        "missing-column",
        column="size",
    ),
    Pair(
        "renaming a column to one that is there",
        'migrations.RenameField("cage", "size", "extent"),',
        ("ALTER TABLE zoo_cage ADD COLUMN extent int",),
        "column-exists",
        column="extent",
    ),
    Pair(
        "renaming a table to one that is there",
        'migrations.RenameModel("Cage", "Pen"),',
        ("CREATE TABLE zoo_pen (id int)",),
        "table-exists",
        table="public.zoo_pen",
    ),
    Pair(
        "altering the type of a column that a view uses",
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        ("CREATE VIEW zoo_sizes AS SELECT size FROM zoo_cage",),
        "view-in-the-way",
        column="size",
    ),
    Pair(
        "dropping a table that does not exist",
        'migrations.DeleteModel("Cage"),',
        ("DROP TABLE zoo_cage",),
        "missing-table",
    ),
    Pair(
        "an index whose name is taken",
        'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
        ("CREATE TABLE zoo_size (id int)",),
        "index-exists",
    ),
    Pair(
        "an index whose name an INVALID index has",
        'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
        (
            "CREATE INDEX zoo_size ON zoo_cage (size)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'zoo_size'::regclass",
        ),
        "index-exists",
    ),
    Pair(
        "an index on a column that does not exist",
        'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),',
        ("ALTER TABLE zoo_cage RENAME COLUMN size TO extent",),
        "missing-column",
        column="size",
    ),
    Pair(
        "an index whose condition names a column that does not exist",
        'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_name",'
        " condition=models.Q(size__gt=1))),",
        ("ALTER TABLE zoo_cage DROP COLUMN size",),
        "missing-column",
        column="size",
    ),
    Pair(
        "renaming an index that does not exist",
        'migrations.RenameIndex("cage", new_name="zoo_new", old_name="zoo_old"),',
        ("DROP INDEX zoo_old",),
        "missing-index",
        first=CAGE + 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_old")),',
    ),
    Pair(
        "dropping a constraint that does not exist",
        'migrations.RemoveConstraint("cage", "zoo_positive"),',
        ("ALTER TABLE zoo_cage DROP CONSTRAINT zoo_positive",),
        "missing-constraint",
        first=CAGE + 'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
    ),
    Pair(
        "a constraint whose name is taken on the table",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
        ("ALTER TABLE zoo_cage ADD CONSTRAINT zoo_positive CHECK (size > 1)",),
        "constraint-exists",
    ),
    Pair(
        "a unique constraint whose index name is taken",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["name"], name="zoo_unique")),',
        ("CREATE SEQUENCE zoo_unique",),
        "index-exists",
    ),
    Pair(
        "unique_together to drop that does not exist",
        'migrations.AlterUniqueTogether("cage", set()),',
        (
            "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE zoo_cage DROP CONSTRAINT ' || conname"
            " FROM pg_constraint WHERE conrelid = 'zoo_cage'::regclass AND contype = 'u'"
            " AND array_length(conkey, 1) = 2); END $$",
        ),
        "missing-constraint",
        first=CAGE + 'migrations.AlterUniqueTogether("cage", {("name", "size")}),',
    ),
    Pair(
        "an extension that the server does not have",
        "CreateExtension(NAME),",
        (),
        "missing-extension",
        table=None,
    ),
    Pair(
        "CONCURRENTLY inside a transaction",
        'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),',
        (),
        "concurrently-in-transaction",
        table=None,
        atomic=False,
    ),
    Pair(
        "an index made CONCURRENTLY whose name is taken",
        'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),',
        ("CREATE INDEX zoo_size ON zoo_cage (name)",),
        "index-exists",
        atomic=False,
    ),
    Pair(
        "a check that went with its column, made and dropped in one plan",
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),\n'
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(age__gt=0), name="zoo_age")),\n'
        'migrations.RemoveConstraint("cage", "zoo_age"),\n'
        'migrations.AddField("cage", "weight", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage ADD COLUMN weight int",),
        "column-exists",
        column="weight",
    ),
    Pair(
        "a second migration in the chain needs what the first was to find",
        'migrations.RenameModel("Cage", "Pen"),\n'
        'migrations.AddField("pen", "age", models.IntegerField(null=True)),\n'
        'migrations.RenameField("pen", "size", "extent"),',
        ("ALTER TABLE zoo_cage DROP COLUMN size",),
        "missing-column",
        table="public.zoo_pen",
        column="size",
    ),
    Pair(
        "a default that is nothing for the type that the column has",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, db_default=3)),',
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE uuid USING NULL",),
        "default-in-the-way",
        column="size",
    ),
    Pair(
        "a default that cannot be read as the type that the column has",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, db_default="x")),',
        ("ALTER TABLE zoo_cage ALTER COLUMN name TYPE integer USING 1",),
        "default-in-the-way",
        column="name",
    ),
    Pair(
        "a default for a column that is generated",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, db_default=3)),',
        (
            "ALTER TABLE zoo_cage DROP COLUMN size",
            "ALTER TABLE zoo_cage ADD COLUMN size int GENERATED ALWAYS AS (1) STORED",
        ),
        "computed-column",
        column="size",
    ),
    Pair(
        "NULL allowed in a column that is an identity",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True)),',
        ("ALTER TABLE zoo_cage ALTER COLUMN size ADD GENERATED BY DEFAULT AS IDENTITY",),
        "computed-column",
        column="size",
        first=CAGE.replace("null=True", ""),
    ),
    Pair(
        "an index to drop whose name a table has",
        'migrations.RemoveIndex("cage", "zoo_old"),',
        ("DROP INDEX zoo_old", "CREATE TABLE zoo_old (id int)"),
        "missing-index",
        first=CAGE + 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_old")),',
    ),
    Pair(
        "a check that is not validated and does not fit",
        'AddConstraintNotValid("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
        ("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text",),
        "expression-invalid",
    ),
    Pair(
        "a generated column of a generated column",
        'migrations.AddField("cage", "low", models.GeneratedField(expression=Lower("name"),'
        " output_field=models.CharField(max_length=20), db_persist=True)),\n"
        'migrations.AddField("cage", "lower", models.GeneratedField(expression=Lower("low"),'
        " output_field=models.CharField(max_length=20), db_persist=True)),",
        (),
        "expression-invalid",
        column="low",
    ),
    Pair(
        "NULL allowed in a column of the primary key",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True)),',
        (
            "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey",
            "ALTER TABLE zoo_cage ADD PRIMARY KEY (id, size)",
        ),
        "column-in-use",
        column="size",
        first=CAGE.replace("null=True", ""),
    ),
    Pair(
        "a collation that does not exist, for a column that is",
        'migrations.AlterField("cage", "name", models.CharField('
        'max_length=20, db_collation="odd")),',
        ("DROP COLLATION odd",),
        "missing-collation",
        column="name",
        setup=("""CREATE COLLATION odd (locale = 'C')""",),
    ),
    Pair(
        "a collation that does not exist, for a new column",
        'migrations.AddField("cage", "tag", models.TextField(null=True, db_collation="odd")),',
        ("DROP COLLATION odd",),
        "missing-collation",
        column="tag",
        setup=("""CREATE COLLATION odd (locale = 'C')""",),
    ),
    Pair(
        "a collation of the plan that already exists",
        'CreateCollation("odd", "C"),\n'
        'migrations.AddField("cage", "tag", models.TextField(null=True, db_collation="odd")),',
        ("""CREATE COLLATION odd (locale = 'C')""",),
        "collation-exists",
        table=None,
    ),
    Pair(
        "a column is added with the name of a system column",
        'migrations.AddField("cage", "xmin", models.IntegerField(null=True)),',
        (),
        "system-column-name",
        column="xmin",
    ),
    Pair(
        "a table is created with the name of a system column in it",
        'migrations.CreateModel("Pen", [("ctid", models.IntegerField(primary_key=True))]),',
        (),
        "system-column-name",
        table="public.zoo_pen",
        column="ctid",
    ),
    Pair(
        "a column is renamed to a system column",
        'migrations.RenameField("cage", "size", "tableoid"),',
        (),
        "system-column-name",
        column="tableoid",
    ),
)
