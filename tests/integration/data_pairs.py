"""Pairs in which the rows decide: the schema is the same on both databases."""

from tests.integration.pairs import CAGE, ROW, Pair


def row(name: str = "a", size: str = "1") -> str:
    """Return the INSERT of one row."""
    return f"INSERT INTO zoo_cage (code, name, size) VALUES (gen_random_uuid(), '{name}', {size})"


AMOUNT = """
migrations.AddField("cage", "amount", models.DecimalField(
    max_digits=10, decimal_places=2, null=True)),
"""
LINK = (
    CAGE
    + """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, to_field="code", null=True,
        db_constraint=False)),
]),
"""
)

FLOAT = CAGE.replace("models.IntegerField(null=True)", "models.FloatField(null=True)")

DATA_PAIRS = (
    Pair(
        "NOT NULL on a column with NULLs",
        'migrations.AlterField("cage", "size", models.IntegerField()),',
        (row(size="NULL"),),
        "null-values",
        column="size",
        setup=(ROW,),
    ),
    Pair(
        "NOT NULL on a column with NULLs that was renamed in the plan",
        'migrations.RenameModel("Cage", "Pen"),\n'
        'migrations.RenameField("pen", "size", "extent"),\n'
        'migrations.AlterField("pen", "extent", models.IntegerField()),',
        (row(size="NULL"),),
        "null-values",
        table="public.zoo_pen",
        column="extent",
        setup=(ROW,),
    ),
    Pair(
        "unique on a column with duplicates",
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, unique=True)),',
        (row("b"), row("b")),
        "duplicate-values",
        column="name",
        setup=(row("a"),),
    ),
    Pair(
        "unique together on rows that are alike",
        'migrations.AlterUniqueTogether("cage", {("name", "size")}),',
        (row("a", "1"),),
        "duplicate-values",
        column="name",
        setup=(row("a", "1"), row("a", "2"), row("a", "NULL"), row("a", "NULL")),
    ),
    Pair(
        "a partial unique constraint on rows that are alike",
        'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name"],'
        ' condition=models.Q(size__gt=1), name="zoo_part")),',
        (row("a", "2"), row("a", "3")),
        "duplicate-values",
        column="name",
        setup=(row("a", "1"), row("a", "1")),
    ),
    Pair(
        "a check that a row does not satisfy",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
        (row(size="-1"),),
        "check-violated",
        setup=(row(size="1"), row(size="NULL")),
    ),
    Pair(
        "a check with a percent sign that a row does not satisfy",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(name__startswith="a%"), name="zoo_percent")),',
        (row("a"),),
        "check-violated",
        setup=(row("a%b"),),
    ),
    Pair(
        "a foreign key that a row cannot satisfy",
        'migrations.AlterField("keeper", "cage", models.ForeignKey("zoo.Cage", models.CASCADE,'
        ' to_field="code", null=True)),',
        ("INSERT INTO zoo_keeper (cage_id) VALUES (gen_random_uuid())",),
        "orphan-rows",
        table="public.zoo_keeper",
        column="cage_id",
        setup=(
            ROW,
            "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage",
            "INSERT INTO zoo_keeper (cage_id) VALUES (NULL)",
        ),
        first=LINK,
    ),
    Pair(
        "a shorter text than a row holds",
        'migrations.AlterField("cage", "name", models.CharField(max_length=2)),',
        (row("abc"),),
        "value-not-castable",
        column="name",
        setup=(row("ab"), row("ab   ")),
    ),
    Pair(
        "a number that is none",
        'migrations.AlterField("cage", "name", models.IntegerField()),',
        (row("x1"),),
        "value-not-castable",
        column="name",
        setup=(row("12"),),
    ),
    Pair(
        "a smaller integer than a row holds",
        'migrations.AlterField("cage", "size", models.SmallIntegerField(null=True)),',
        (row(size="40000"),),
        "value-not-castable",
        column="size",
        setup=(row(size="32767"), row(size="NULL")),
    ),
    Pair(
        "fewer digits than a row holds",
        'migrations.AlterField("cage", "amount", models.DecimalField('
        "max_digits=4, decimal_places=2, null=True)),",
        ("UPDATE zoo_cage SET amount = 99.999 WHERE id = 1",),
        "value-not-castable",
        column="amount",
        setup=(ROW, ROW, "UPDATE zoo_cage SET amount = 'NaN'", ROW),
        first=CAGE + AMOUNT.replace("decimal_places=2", "decimal_places=3"),
    ),
    Pair(
        "a number too large for an integer",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True)),',
        (row(size="1e30"),),
        "value-not-castable",
        column="size",
        setup=(row(size="1.5"),),
        first=FLOAT,
    ),
    Pair(
        "numbers that become equal under a unique index",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, unique=True)),',
        (row(size="1.2"),),
        "duplicate-values",
        column="size",
        setup=(row(size="1.1"), row(size="2")),
        first=FLOAT.replace("null=True", "null=True, unique=True"),
    ),
    Pair(
        "an array whose elements are no numbers",
        'migrations.AlterField("cage", "tags", ArrayField(models.IntegerField(), null=True)),',
        ("UPDATE zoo_cage SET tags = '{x}'",),
        "value-not-castable",
        column="tags",
        setup=(ROW, "UPDATE zoo_cage SET tags = '{1,2}'"),
        first=CAGE
        + 'migrations.AddField("cage", "tags", ArrayField(models.TextField(), null=True)),',
    ),
    Pair(
        "a check on a column that was renamed and cast in the plan",
        'migrations.RenameField("cage", "size", "extent"),\n'
        'migrations.AlterField("cage", "extent", models.TextField(null=True)),\n'
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(extent__startswith="1"), name="zoo_text")),',
        (row(size="2"),),
        "check-violated",
        setup=(row(size="12"),),
    ),
    Pair(
        "a check on a column that the plan adds with a default",
        'migrations.AddField("cage", "least", models.IntegerField(default=3)),\n'
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gte=models.F("least")), name="zoo_least")),',
        (row(size="2"),),
        "check-violated",
        setup=(row(size="3"),),
    ),
    Pair(
        "a partial unique constraint over a column that the plan adds",
        'migrations.AddField("cage", "open", models.BooleanField(default=True)),\n'
        'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name"],'
        ' condition=models.Q(open=True), name="zoo_open")),',
        (row("a"),),
        "duplicate-values",
        column="name",
        setup=(row("a"), row("b")),
    ),
    Pair(
        "one default for the NULLs of a unique column",
        'migrations.AddField("cage", "n", models.IntegerField(null=True, unique=True)),\n'
        'migrations.AlterField("cage", "n", models.IntegerField(unique=True, default=0)),',
        (ROW,),
        "duplicate-values",
        column="n",
        setup=(ROW,),
    ),
    Pair(
        "a unique generated column that two rows share",
        'migrations.AddField("cage", "low", models.GeneratedField(expression=Lower("name"),'
        " output_field=models.CharField(max_length=20), db_persist=True, unique=True)),",
        (row("A"),),
        "duplicate-values",
        column="low",
        setup=(row("a"),),
    ),
    Pair(
        "a descending index on an expression that fails",
        'migrations.AddIndex("cage", models.Index((10 / models.F("size")).desc(), "name",'
        ' name="zoo_share")),',
        (row(size="0"),),
        "expression-fails",
        setup=(row(size="2"),),
    ),
    Pair(
        "orphans behind a foreign key that no model knows and that is checked again",
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        ("UPDATE pg_constraint SET convalidated = true WHERE conname = 'in_yard'",),
        "orphan-rows",
        column="size",
        setup=(
            row(size="9"),
            "CREATE TABLE yard (id int PRIMARY KEY)",
            "ALTER TABLE zoo_cage ADD CONSTRAINT in_yard FOREIGN KEY (size) REFERENCES yard (id)"
            " NOT VALID",
        ),
    ),
    Pair(
        "a default that breaks a check which no model knows",
        'migrations.AlterField("cage", "size", models.IntegerField(default=0)),',
        ("ALTER TABLE zoo_cage ADD CHECK (size > 0)",),
        "check-violated",
        setup=(row(size="NULL"),),
    ),
    Pair(
        "shorter texts in an array than a row holds",
        'migrations.AlterField("cage", "tags", ArrayField(models.CharField(max_length=2),'
        " null=True)),",
        ("UPDATE zoo_cage SET tags = '{a,abc}'",),
        "value-not-castable",
        column="tags",
        setup=(ROW, "UPDATE zoo_cage SET tags = '{ab}'"),
        first=CAGE
        + 'migrations.AddField("cage", "tags", ArrayField(models.CharField(max_length=9),'
        " null=True)),",
    ),
    Pair(
        "a foreign key to a table that the plan makes, where a row points somewhere",
        'migrations.CreateModel("Lion", [("id", models.UUIDField(primary_key=True))]),\n'
        'migrations.AlterField("keeper", "cage", models.ForeignKey("zoo.Lion", models.CASCADE,'
        " null=True)),",
        ("INSERT INTO zoo_keeper (cage_id) VALUES (gen_random_uuid())",),
        "orphan-rows",
        table="public.zoo_keeper",
        column="cage_id",
        setup=(ROW, "INSERT INTO zoo_keeper (cage_id) VALUES (NULL)"),
        first=LINK,
    ),
    Pair(
        "a check that the plan adds and validates",
        'AddConstraintNotValid("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),\n'
        'ValidateConstraint("cage", "zoo_positive"),',
        (row(size="0"),),
        "check-violated",
        setup=(ROW,),
    ),
    Pair(
        "a check that was added before and is validated",
        'ValidateConstraint("cage", "zoo_positive"),',
        (
            "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_positive",
            row(size="0"),
            "ALTER TABLE zoo_cage ADD CONSTRAINT zoo_positive CHECK (size > 0) NOT VALID",
        ),
        "check-violated",
        setup=(ROW,),
        first=CAGE + 'AddConstraintNotValid("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
    ),
    Pair(
        "a check that divides by zero",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__lt=100 / models.F("size")), name="zoo_share")),',
        (row(size="0"),),
        "expression-fails",
        setup=(ROW,),
    ),
    Pair(
        "a generated text that is too long",
        'migrations.AddField("cage", "low", models.GeneratedField(expression=Lower("name"),'
        " output_field=models.CharField(max_length=2), db_persist=True)),",
        (row("abc"),),
        "value-not-castable",
        column="low",
        setup=(row("ab"),),
    ),
)
