"""A db_table that reaches another schema, as projects write it, when the table is renamed."""

from collections.abc import Callable

import pytest

from tests.conftest import Ops
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

IN_SCHEMA = """migrations.CreateModel("Den", [("id", models.BigAutoField(primary_key=True))],
    options={"db_table": 'public"."den'}),"""
RENAMES = {
    "into it": 'migrations.AlterModelTable("cage", \'public"."hutch\'),',
    "in quotes": 'migrations.AlterModelTable("cage", \'"public"."hutch"\'),',
    "within it": IN_SCHEMA + 'migrations.AlterModelTable("den", \'public"."hutch\'),',
}
STAYS = {
    "out of it": IN_SCHEMA + 'migrations.AlterModelTable("den", "hutch"),',
    "not at all": IN_SCHEMA + 'migrations.AlterModelTable("den", \'public"."den\'),',
    "with the model": IN_SCHEMA + 'migrations.RenameModel("den", "hutch"),',
}


@pytest.mark.parametrize("about", RENAMES, ids=lambda about: about.replace(" ", "-"))
def test_a_table_is_not_renamed_to_a_name_with_a_schema(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(RENAMES[about])

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, "malformed-statement" in answer.ids) == (1, True)
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", STAYS, ids=lambda about: about.replace(" ", "-"))
def test_another_name_or_none_is_fine(
    about: str,
    prepared: Callable[..., str],  # noqa: F811 - the fixture
    ops: Ops,
) -> None:
    alias = prepared(STAYS[about])

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, [])
    assert migrate(alias, "zoo") is None
