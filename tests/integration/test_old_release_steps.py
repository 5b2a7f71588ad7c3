"""The migrations that are offered for the old release, one after the other to their end."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration import test_old_release
from tests.integration.pairs import CAGE, ROW
from tests.integration.test_old_release import about_old_release
from tests.integration.zoo_migrations import Write, migrate

zoo = test_old_release.zoo
OPERATIONS = re.compile(r"^operations = \[\n(.+?)^\]", re.M | re.S)
NEST = """
migrations.CreateModel("Nest", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
]),
"""
DEN = """
migrations.CreateModel("Den", [
    ("cage_ptr", models.OneToOneField("zoo.Cage", models.CASCADE, auto_created=True,
        parent_link=True, primary_key=True, serialize=False)),
    ("depth", models.IntegerField()),
], bases=("zoo.cage",)),
"""
TAG = """
migrations.CreateModel("Tag", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cages", models.ManyToManyField("zoo.Cage")),
]),
"""
IN_A_CAGE = "INSERT INTO zoo_nest (cage_id) SELECT id FROM zoo_cage"
IN_A_DEN = "INSERT INTO zoo_den (cage_ptr_id, depth) SELECT id, 1 FROM zoo_cage"


@pytest.mark.parametrize(
    ("first", "bad", "row"),
    [
        (NEST, 'migrations.RemoveField("nest", "cage"),', IN_A_CAGE),
        (NEST, 'migrations.DeleteModel("Nest"),', IN_A_CAGE),
        (DEN, 'migrations.DeleteModel("Den"),', IN_A_DEN),
        (TAG, 'migrations.DeleteModel("Tag"),', "INSERT INTO zoo_tag DEFAULT VALUES"),
    ],
)
def test_the_new_release_deletes_what_is_pointed_to_and_the_next_one_drops_it(
    first: str, bad: str, row: str, zoo: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = zoo(CAGE + first, bad, ROW, row)
    answer = ops("preflight_migrate", "zoo", database=alias, old_release="warn", rehearse="off")
    hints = "".join(each["hint"] for each in about_old_release(answer))
    now, later = OPERATIONS.findall(hints.replace("django.db.models.deletion", "models"))

    write_migrations(CAGE + first, now)
    again = ops("preflight_migrate", "zoo", database=alias, old_release="warn", rehearse="clone")
    assert (about_old_release(again), again.code) == ([], 0)
    assert migrate(alias, "zoo") is None
    execute(connections[alias], "DELETE FROM zoo_cage")
    write_migrations(CAGE + first, now, later)

    assert migrate(alias, "zoo") is None
