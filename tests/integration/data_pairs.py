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
)
