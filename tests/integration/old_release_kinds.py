"""Changes that the old release does not survive, each beside one that comes to the same."""

from __future__ import annotations

from dataclasses import dataclass

from tests.integration.pairs import CAGE, ROW

READS, WRITES = "old-release-reads", "old-release-writes"
OLD_RELEASE_IDS = (READS, WRITES)


@dataclass(frozen=True)
class Kind:
    """A change that the old release does not survive, and one that comes to the same and does not.

    `found` is the kind of change that the bad one must be told as; `fails` is what a model from
    before it meets on the copy, None where that depends on the values.
    """

    name: str
    bad: str
    good: str
    id: str
    found: str
    fails: str | None = None
    first: str = CAGE
    setup: tuple[str, ...] = (ROW,)
    severity: str = "warning"


KINDS = (
    Kind(
        "a model is deleted",
        'migrations.DeleteModel("Cage"),',
        'migrations.SeparateDatabaseAndState([], [migrations.DeleteModel("Cage")]),',
        READS,
        "table_gone",
        "42P01",
    ),
    Kind(
        "a model is renamed",
        'migrations.RenameModel("Cage", "Pen"),',
        'migrations.AlterModelTable("cage", "zoo_cage"), migrations.RenameModel("Cage", "Pen"),',
        READS,
        "table_renamed",
        "42P01",
    ),
    Kind(
        "a field is removed",
        'migrations.RemoveField("cage", "size"),',
        'migrations.SeparateDatabaseAndState([], [migrations.RemoveField("cage", "size")]),',
        READS,
        "column_gone",
        "42703",
    ),
    Kind(
        "a field is renamed",
        'migrations.RenameField("cage", "size", "extent"),',
        """migrations.AlterField("cage", "size", models.IntegerField(null=True, db_column="size")),
        migrations.RenameField("cage", "size", "extent"),""",
        READS,
        "column_renamed",
        "42703",
    ),
    Kind(
        "a column is of another kind",
        'migrations.AlterField("cage", "size", models.TextField(null=True)),',
        'migrations.AddField("cage", "size_text", models.TextField(null=True)),',
        READS,
        "other_type",
    ),
    Kind(
        "a new column must be given",
        'migrations.AddField("cage", "depth", models.IntegerField(default=0)),',
        'migrations.AddField("cage", "depth", models.IntegerField(db_default=0)),',
        WRITES,
        "needs_value",
        "23502",
    ),
    Kind(
        "a column no longer takes NULL",
        'migrations.AlterField("cage", "size", models.IntegerField(default=0)),',
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, default=0)),',
        WRITES,
        "became_not_null",
    ),
    Kind(
        "a column is computed",
        """migrations.RemoveField("cage", "size"), migrations.AddField("cage", "size",
        models.GeneratedField(expression=models.F("id") * 2, output_field=models.IntegerField(),
            db_persist=True)),""",
        """migrations.AddField("cage", "double", models.GeneratedField(
            expression=models.F("size") * 2, output_field=models.IntegerField(),
            db_persist=True)),""",
        WRITES,
        "became_generated",
        "428C9",
    ),
    Kind(
        "a default is lost",
        'migrations.AlterField("cage", "kind", models.CharField(max_length=5)),',
        'migrations.AlterField("cage", "kind", models.CharField(max_length=9, db_default="a")),',
        WRITES,
        "lost_default",
        "23502",
        first=CAGE
        + 'migrations.AddField("cage", "kind", models.CharField(max_length=5, db_default="a")),',
    ),
    Kind(
        "a type is narrower",
        'migrations.AlterField("cage", "name", models.CharField(max_length=10)),',
        'migrations.AlterField("cage", "name", models.CharField(max_length=30)),',
        WRITES,
        "narrowed",
    ),
    Kind(
        "a number is narrower",
        'migrations.AlterField("cage", "size", models.SmallIntegerField(null=True)),',
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        WRITES,
        "narrowed",
    ),
    Kind(
        "rows must be unique",
        """migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name"],
            name="one_cage")),""",
        """migrations.AddConstraint("cage", models.UniqueConstraint(fields=["code", "name"],
            name="one_cage")),""",
        WRITES,
        "unique",
    ),
    Kind(
        "a unique column is the same in every row that does not name it",
        'migrations.AddField("cage", "tag", models.IntegerField(unique=True, db_default=0)),',
        'migrations.AddField("cage", "tag", models.IntegerField(unique=True, null=True)),',
        WRITES,
        "unique",
        setup=(),
    ),
    Kind(
        "rows are checked",
        """migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=0), name="some_cage")),""",
        """migrations.AddField("cage", "depth", models.PositiveIntegerField(null=True)),""",
        WRITES,
        "check",
    ),
    Kind(
        "a check says more than before",
        """migrations.RemoveConstraint("cage", "some_cage"),
        migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=0), name="some_cage")),""",
        """migrations.AddField("cage", "depth", models.PositiveIntegerField(null=True)),""",
        WRITES,
        "check",
        first=CAGE
        + """migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=-1), name="some_cage")),""",
    ),
    Kind(
        "a check of another name says more than the one before",
        """migrations.RemoveConstraint("cage", "some_cage"),
        migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=0), name="more_cage")),""",
        """migrations.RemoveConstraint("cage", "some_cage"),
        migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=-1), name="more_cage", violation_error_message="no")),""",
        WRITES,
        "check",
        first=CAGE
        + """migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=-1), name="some_cage")),""",
    ),
    Kind(
        "more rows must be unique than before, by another name",
        """migrations.RemoveConstraint("cage", "some_cage"),
        migrations.AddConstraint("cage", models.UniqueConstraint(
            fields=["name"], condition=models.Q(size__gt=0), name="more_cage")),""",
        """migrations.RemoveConstraint("cage", "some_cage"),
        migrations.AddConstraint("cage", models.UniqueConstraint(
            fields=["name"], condition=models.Q(size__gt=5), name="more_cage")),""",
        WRITES,
        "unique",
        first=CAGE
        + """migrations.AddConstraint("cage", models.UniqueConstraint(
            fields=["name"], condition=models.Q(size__gt=5), name="some_cage")),""",
    ),
    Kind(
        "a unique column may be NULL, and is not where its default stands",
        """migrations.AddField("cage", "tag", models.IntegerField(unique=True, null=True,
            db_default=7)),""",
        """migrations.AddField("cage", "tag", models.IntegerField(unique=True, null=True,
            db_default=None)),""",
        WRITES,
        "unique",
        setup=(),
    ),
    Kind(
        "what is computed must be unique",
        """migrations.AddField("cage", "low", models.GeneratedField(expression=Lower("name"),
            output_field=models.CharField(max_length=30), db_persist=True, unique=True)),""",
        """migrations.AddField("cage", "low", models.GeneratedField(expression=Lower("name"),
            output_field=models.CharField(max_length=30), db_persist=True)),""",
        WRITES,
        "unique",
    ),
    Kind(
        "a column points to a table",
        'migrations.AlterField("cagenest", "cage", models.ForeignKey("zoo.Cage", models.CASCADE)),',
        """migrations.AlterField("cagenest", "cage", models.ForeignKey("zoo.Cage", models.SET_NULL,
            null=True, db_constraint=False)),""",
        WRITES,
        "foreign_key",
        first=CAGE
        + """migrations.CreateModel("CageNest", [
            ("id", models.BigAutoField(primary_key=True)),
            ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, db_constraint=False)),
        ]),""",
    ),
    Kind(
        "a value has no name in the old choices",
        """migrations.AlterField("cage", "size",
            models.IntegerField(null=True, choices=[(1, "one"), (2, "two")])),""",
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, choices=[])),',
        READS,
        "new_choice",
        first=CAGE
        + """migrations.AlterField("cage", "size",
            models.IntegerField(null=True, choices=[(1, "one")])),""",
        severity="info",
    ),
)

# Those whose hint has migrations to paste.
WITH_MIGRATIONS = (
    "a model is deleted",
    "a model is renamed",
    "a field is removed",
    "a field is renamed",
    "a new column must be given",
    "a default is lost",
)
