"""What the release that runs while `migrate` does can no longer read or write after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Answer, Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import rehearse

READS, WRITES = "old-release-reads", "old-release-writes"
OURS = (READS, WRITES)


@dataclass(frozen=True)
class Kind:
    """A change that the old release does not survive, and one that comes to the same and does not.

    `found` are the kinds of changes that the bad one must be told as; `fails` is what a model from
    before it meets on the copy, None where that depends on the values.
    """

    name: str
    bad: str
    good: str
    id: str
    found: tuple[str, ...]
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
        ("table_gone",),
        "42P01",
    ),
    Kind(
        "a model is renamed",
        'migrations.RenameModel("Cage", "Pen"),',
        'migrations.AlterModelTable("cage", "zoo_cage"), migrations.RenameModel("Cage", "Pen"),',
        READS,
        ("table_renamed",),
        "42P01",
    ),
    Kind(
        "a field is removed",
        'migrations.RemoveField("cage", "size"),',
        'migrations.SeparateDatabaseAndState([], [migrations.RemoveField("cage", "size")]),',
        READS,
        ("column_gone",),
        "42703",
    ),
    Kind(
        "a field is renamed",
        'migrations.RenameField("cage", "size", "extent"),',
        """migrations.AlterField("cage", "size", models.IntegerField(null=True, db_column="size")),
        migrations.RenameField("cage", "size", "extent"),""",
        READS,
        ("column_renamed",),
        "42703",
    ),
    Kind(
        "a column is of another kind",
        'migrations.AlterField("cage", "size", models.TextField(null=True)),',
        'migrations.AddField("cage", "size_text", models.TextField(null=True)),',
        READS,
        ("other_type",),
    ),
    Kind(
        "a new column must be given",
        'migrations.AddField("cage", "depth", models.IntegerField(default=0)),',
        'migrations.AddField("cage", "depth", models.IntegerField(db_default=0)),',
        WRITES,
        ("needs_value",),
        "23502",
    ),
    Kind(
        "a column no longer takes NULL",
        'migrations.AlterField("cage", "size", models.IntegerField(default=0)),',
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, default=0)),',
        WRITES,
        ("became_not_null",),
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
        ("became_generated",),
        "428C9",
    ),
    Kind(
        "a default is lost",
        'migrations.AlterField("cage", "kind", models.CharField(max_length=5)),',
        'migrations.AlterField("cage", "kind", models.CharField(max_length=9, db_default="a")),',
        WRITES,
        ("lost_default",),
        "23502",
        first=CAGE
        + 'migrations.AddField("cage", "kind", models.CharField(max_length=5, db_default="a")),',
    ),
    Kind(
        "a type is narrower",
        'migrations.AlterField("cage", "name", models.CharField(max_length=10)),',
        'migrations.AlterField("cage", "name", models.CharField(max_length=30)),',
        WRITES,
        ("narrowed",),
    ),
    Kind(
        "a number is narrower",
        'migrations.AlterField("cage", "size", models.SmallIntegerField(null=True)),',
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        WRITES,
        ("narrowed",),
    ),
    Kind(
        "rows must be unique",
        """migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name"],
            name="one_name")),""",
        """migrations.AddConstraint("cage", models.UniqueConstraint(fields=["code", "name"],
            name="one_name")),""",
        WRITES,
        ("unique",),
    ),
    Kind(
        "a unique column is the same in every row that does not name it",
        'migrations.AddField("cage", "tag", models.IntegerField(unique=True, db_default=0)),',
        'migrations.AddField("cage", "tag", models.IntegerField(unique=True, null=True)),',
        WRITES,
        ("unique",),
        setup=(),
    ),
    Kind(
        "rows are checked",
        """migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=0), name="some_size")),""",
        """migrations.AddField("cage", "depth", models.PositiveIntegerField(null=True)),""",
        WRITES,
        ("check",),
    ),
    Kind(
        "a check says more than before",
        """migrations.RemoveConstraint("cage", "some_size"),
        migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=0), name="some_size")),""",
        """migrations.AddField("cage", "depth", models.PositiveIntegerField(null=True)),""",
        WRITES,
        ("check",),
        first=CAGE
        + """migrations.AddConstraint("cage", models.CheckConstraint(
            condition=models.Q(size__gt=-1), name="some_size")),""",
    ),
    Kind(
        "a column points to a table",
        'migrations.AlterField("nest", "cage", models.ForeignKey("zoo.Cage", models.CASCADE)),',
        """migrations.AlterField("nest", "cage", models.ForeignKey("zoo.Cage", models.SET_NULL,
            null=True, db_constraint=False)),""",
        WRITES,
        ("foreign_key",),
        first=CAGE
        + """migrations.CreateModel("Nest", [
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
        ("new_choice",),
        first=CAGE
        + """migrations.AlterField("cage", "size",
            models.IntegerField(null=True, choices=[(1, "one")])),""",
        severity="info",
    ),
)


def ours(answer: Answer) -> list[dict[str, Any]]:
    """Return what is found about the old release."""
    return [each for each in answer.report["findings"] if each["id"] in OURS]


def told(answer: Answer) -> list[tuple[str, tuple[str, ...]]]:
    """Return the ids with the kinds of their changes."""
    return [
        (each["id"], tuple(change["kind"] for change in each["evidence"]["changes"]))
        for each in ours(answer)
    ]


@pytest.fixture
def zoo(new_database: Callable[..., str], write_migrations: Write) -> Callable[..., str]:
    """Return a function that makes a database with the first migration, and its alias."""

    def make(first: str, pending: str, *setup: str) -> str:
        alias = new_database("old ")
        write_migrations(first)
        assert migrate(alias, "zoo") is None
        for statement in setup:
            execute(connections[alias], statement)
        write_migrations(first, pending)
        return alias

    return make


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_what_the_old_release_does_not_survive_is_told_and_what_it_survives_is_not(
    kind: Kind, zoo: Callable[..., str], ops: Ops
) -> None:
    bad = zoo(kind.first, kind.bad, *kind.setup)

    answer = ops("preflight_migrate", "zoo", database=bad, rehearse="off")

    assert told(answer) == [(kind.id, kind.found)], answer.stdout
    (finding,) = ours(answer)
    assert finding["severity"] == kind.severity
    assert "restore_db" in finding["hint"]
    assert answer.code == 0

    rehearsed = rehearse(ops, bad)

    assert [each["id"] for each in ours(rehearsed)] == [kind.id], rehearsed.stdout
    met = {each["sqlstate"] for each in ours(rehearsed)[0]["evidence"]["on_the_copy"]}
    assert met == ({kind.fails} if kind.fails else set())
    assert rehearsed.code == 0

    good = zoo(kind.first, kind.good, *kind.setup)
    for how in ("off", "clone"):
        assert told(rehearse(ops, good, rehearse=how)) == []
