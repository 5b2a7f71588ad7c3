"""Names that are longer than PostgreSQL keeps them, everywhere in the plan."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

LONG = "zoo_" + "long" * 19
# The 63rd byte stands within a character.
WIDE = "zoo_x" + "ü" * 40
SAME = LONG[:63] + "other"
CHECK = 'models.CheckConstraint(condition=models.Q(size__gt=0), name="{}")'
MODELS = """
migrations.CreateModel("Den", [
    ("id", models.BigAutoField(primary_key=True)),
    ("depth", models.IntegerField(null=True, db_column="c_{0}")),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, null=True, db_column="k_{0}")),
], options={{"db_table": "{0}"}}),
migrations.AddConstraint("den", models.UniqueConstraint(fields=["depth"], name="u_{0}")),
"""
CHANGES = """
migrations.AddField("den", "width", models.IntegerField(null=True, db_column="{0}")),
migrations.AlterField("den", "width", models.BigIntegerField(default=3, db_column="{0}")),
migrations.AlterField("den", "depth", models.BigIntegerField(null=True, db_column="c_{0}")),
migrations.AddConstraint("den", models.CheckConstraint(
    condition=models.Q(width__gt=0), name="{0}")),
migrations.AddConstraint("den", models.UniqueConstraint(
    fields=["depth"], condition=models.Q(width=3), name="p_{0}")),
migrations.RemoveConstraint("den", "p_{0}"),
migrations.RemoveConstraint("den", "{0}"),
migrations.RenameField("den", "width", "breadth"),
migrations.AddIndex("den", models.Index(fields=["breadth"], name="zoo_den_b")),
migrations.RenameIndex("den", old_name="zoo_den_b", new_name="zoo_den_c"),
migrations.RemoveField("den", "breadth"),
migrations.CreateModel("Bed", [
    ("id", models.BigAutoField(primary_key=True)),
    ("den", models.ForeignKey("zoo.Den", models.CASCADE)),
], options={{"db_table": "{0}".replace("zoo", "bed")}}),
migrations.AlterModelTable("bed", "{0}".replace("zoo", "cot")),
migrations.DeleteModel("Bed"),
"""


@pytest.mark.parametrize("name", [LONG, WIDE], ids=["long", "wide"])
def test_what_postgresql_cuts_off_alike_each_time_is_found_again(
    name: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    first = CAGE + f'migrations.AddConstraint("cage", {CHECK.format(name)}),' + MODELS.format(name)
    pending = f'migrations.RemoveConstraint("cage", "{name}"),' + CHANGES.format(name)
    write_migrations(first, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], ROW)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


TAKEN = {
    "constraint-exists": (f'migrations.AddConstraint("cage", {CHECK.format(SAME)}),', LONG),
    "index-exists": (
        f'migrations.AddIndex("cage", models.Index(fields=["size"], name="{SAME[:25]}")),'
        f'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["size"], '
        f'name="{SAME}")),',
        LONG,
    ),
    "column-exists": (
        f'migrations.AddField("cage", "b", models.IntegerField(null=True, db_column="{SAME}")),',
        LONG,
    ),
    "table-exists": (f'migrations.AlterModelTable("cage", "{SAME}"),', LONG),
}
BEFORE = {
    "constraint-exists": f'migrations.AddConstraint("cage", {CHECK.format(LONG)}),',
    "index-exists": 'migrations.AddConstraint("cage", models.UniqueConstraint('
    f'fields=["name"], name="{LONG}")),',
    "column-exists": 'migrations.AddField("cage", "a", models.IntegerField('
    f'null=True, db_column="{LONG}")),',
    "table-exists": MODELS.format(LONG),
}


@pytest.mark.parametrize("finding", TAKEN)
def test_two_names_with_the_same_beginning_are_one_name(
    finding: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database()
    write_migrations(CAGE + BEFORE[finding], TAKEN[finding][0])
    assert migrate(alias, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 1, answer.stdout
    assert answer.ids[0] == finding
    assert migrate(alias, "zoo") is not None
