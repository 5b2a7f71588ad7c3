"""--run-syncdb makes tables without a migration; they can fail as well."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major
THERE = "SELECT relkind FROM pg_class WHERE relname = 'django_session'"


@pytest.mark.parametrize(
    ("drift", "id"),
    [
        ("CREATE VIEW django_session AS SELECT 1", "table-exists"),
        ("CREATE INDEX django_session_expire_date_a5c62663 ON somebody (id)", "index-exists"),
    ],
)
def test_the_table_of_an_app_without_migrations_is_examined(
    drift: str, id: str, empty_database: str, ops: Ops, settings: Any
) -> None:
    settings.MIGRATION_MODULES = {"sessions": None}
    execute(connections[empty_database], "CREATE TABLE somebody (id int)")
    without = ops("preflight_migrate", "sessions", database=empty_database, run_syncdb=True)
    execute(connections[empty_database], drift)

    answer = ops("preflight_migrate", "sessions", database=empty_database, run_syncdb=True)

    assert (without.code, without.report["undecided"]) == (0, [])
    assert (answer.code, answer.report["findings"][0]["id"]) == (1, id)
    with pytest.raises(DatabaseError):
        call_command("migrate", "sessions", run_syncdb=True, database=empty_database, verbosity=0)


def test_a_table_that_is_there_is_not_made_again(
    empty_database: str, ops: Ops, settings: Any
) -> None:
    settings.MIGRATION_MODULES = {"sessions": None}
    arguments: dict[str, Any] = {"database": empty_database, "run_syncdb": True, "verbosity": 0}
    call_command("migrate", "sessions", **arguments)
    assert query(empty_database, THERE) == [("r",)]

    answer = ops("preflight_migrate", "sessions", database=empty_database, run_syncdb=True)

    assert answer.code == 0
    call_command("migrate", "sessions", **arguments)


def test_a_trigger_on_the_table_leaves_the_filling_of_nulls_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    connection = connections[empty_database]
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connection, "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'a')")
    write_migrations(CAGE, 'migrations.AlterField("cage", "size", models.IntegerField(default=0)),')
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    execute(
        connection,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'",
    )
    execute(
        connection,
        "CREATE TRIGGER guard BEFORE UPDATE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION no()",
    )

    assert ops("preflight_migrate", "zoo", database=empty_database).code == 3
    assert migrate(empty_database, "zoo") is not None
