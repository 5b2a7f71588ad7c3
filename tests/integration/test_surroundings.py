"""What a migration needs of the server itself."""

import pytest

from tests.conftest import Ops
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
