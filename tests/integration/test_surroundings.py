"""What a migration needs of the server itself."""

import pytest
from django.db import connections

from tests.conftest import Ops, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major


@pytest.mark.parametrize("stored", [False, True])
def test_virtual_columns_are_for_servers_that_have_them(
    stored: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = (
        'migrations.AddField("cage", "twice", models.GeneratedField('
        'expression=models.F("size") * 2, output_field=models.IntegerField(),'
        f" db_persist={stored})),"
    )
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    failure = migrate(empty_database, "zoo")

    assert (answer.code, answer.report["unexamined"]) == (int(failure is not None), [])
    assert answer.ids == (["unsupported-by-server"] if failure else [])
    assert not (stored and failure)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("supported", [False, True])
def test_what_django_leaves_out_is_a_warning(
    supported: bool, inside: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    constraint = 'models.UniqueConstraint(fields=["size"], name="zoo_once", nulls_distinct=False)'
    pending = (
        f'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True)),'
        f' ("size", models.IntegerField(null=True))], options={{"constraints": [{constraint}]}}),'
        if inside
        else f'migrations.AddConstraint("cage", {constraint}),'
    )
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, pending)
    # As on PostgreSQL 14, which has it no other way.
    supported &= connections[empty_database].pg_version >= 150000
    vars(connections[empty_database].features)["is_postgresql_15"] = supported

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (0, [] if supported else ["constraint-not-created"])
    assert migrate(empty_database, "zoo") is None
    made = query(empty_database, "SELECT 1 FROM pg_class WHERE relname = 'zoo_once'")
    assert bool(made) == supported
