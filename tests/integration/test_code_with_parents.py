"""Code that updates rows of a model with a parent, of which some columns are the parent's."""

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

AVIARY = """
migrations.CreateModel("Aviary", [
    ("cage_ptr", models.OneToOneField("zoo.Cage", models.CASCADE, parent_link=True,
        primary_key=True, auto_created=True, serialize=False)),
    ("height", models.IntegerField()),
], bases=("zoo.cage",)),
"""
BODY = """
def run(apps, schema_editor):
    Aviary = apps.get_model("zoo", "Aviary")
    Aviary.objects.using(schema_editor.connection.alias).filter(height={height}).update({changes})

operations = [migrations.RunPython(run)]
"""


@pytest.mark.parametrize(
    ("height", "changes", "code", "applies"),
    [
        (2, "height=3, name='b'", 0, True),
        (2, "name='b'", 0, True),
        (1, "height=3, name='b'", 3, True),
        # What Django itself refuses, it refuses without a row, too.
        (2, "height=3, size='many'", 3, False),
        (2, "height='many', size=3", 3, False),
    ],
    ids=["no-row", "only-the-parents", "a-row", "no-number-in-the-parent", "no-number"],
)
def test_what_finds_no_row_changes_none_of_its_parent(
    height: int,
    changes: str,
    code: int,
    applies: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    """As link.0002 of djangocms-frontend does."""
    write_migrations(CAGE + AVIARY)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], ROW)
    execute(connections[empty_database], "INSERT INTO zoo_aviary SELECT id, 1 FROM zoo_cage")
    write_migrations(CAGE + AVIARY, BODY.format(height=height, changes=changes))

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    assert (answer.code, "internal-error" in answer.ids) == (code, False)
    assert (migrate(empty_database, "zoo") is None) == applies
