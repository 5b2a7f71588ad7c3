"""UPDATE written by hand, of a column that the plan itself has added."""

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

ADDS = """
operations = [
    migrations.AddField("cage", "mode", models.CharField(default="house", max_length=9)),
    migrations.RunSQL("UPDATE zoo_cage SET mode = 'tent' WHERE size IS NOT NULL"),
    migrations.AddConstraint("cage", models.UniqueConstraint(
        fields=["name"], condition=models.Q(mode="{mode}"), name="one")),
]
"""
# The live column of that name is another one by then.
RENAMES = """
operations = [
    migrations.RenameField("cage", "name", "label"),
    migrations.AddField("cage", "name", models.CharField(max_length=20, null=True)),
    migrations.RunSQL("UPDATE zoo_cage SET name = 'b' WHERE size {condition}"),
    migrations.AlterField("cage", "name", models.CharField(max_length=20)),
]
"""


@pytest.mark.parametrize(
    ("body", "code", "finding"),
    [
        (ADDS.format(mode="house"), 0, []),
        (ADDS.format(mode="tent"), 1, ["duplicate-values"]),
        (RENAMES.format(condition="= 1"), 0, []),
        (RENAMES.format(condition="= 2"), 1, ["null-values"]),
    ],
    ids=["added", "added-and-doubled", "under-an-old-name", "left-without-a-value"],
)
def test_rows_that_it_leaves_out_hold_what_the_plan_gave_them(
    body: str, code: int, finding: list[str], empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """As multidomain.0003 of pretix does."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], f"{ROW}; {ROW}")
    write_migrations(CAGE, body)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    assert (answer.code, answer.ids) == (code, finding)
    assert (migrate(empty_database, "zoo") is None) == (code == 0)
