"""Classes of a fleet: what is equal is one, and whatever differs in a catalog is another one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from opsmigrate.fleet import catalogs
from opsmigrate.fleet.catalogs import catalog_digests
from opsmigrate.fleet.citus import on_citus
from opsmigrate.fleet.classes import TargetClass, classes, difference
from opsmigrate.fleet.pending import pending
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.opening import owned
from opsmigrate.preflight.plan import MigrateArguments
from tests.conftest import execute
from tests.fleets import schemas
from tests.integration.pairs import CAGE, KEEPER
from tests.integration.zoo_migrations import Write

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
ZOO = MigrateArguments(app_label="zoo")
# Whatever one of them has and the others have not.
CHANGES = (
    "ALTER TABLE {}.zoo_cage ADD COLUMN more int",
    "ALTER TABLE {}.zoo_cage ALTER COLUMN name TYPE text",
    "ALTER TABLE {}.zoo_cage ALTER COLUMN size SET NOT NULL",
    "ALTER TABLE {}.zoo_cage ALTER COLUMN size SET DEFAULT 1",
    "ALTER TABLE {}.zoo_cage ADD CHECK (size > 0) NOT VALID",
    "ALTER TABLE {}.zoo_keeper ADD FOREIGN KEY (cage_id) REFERENCES {}.zoo_cage (code)",
    "CREATE INDEX ON {}.zoo_cage (size)",
    "CREATE TRIGGER t AFTER INSERT ON {}.zoo_cage FOR EACH ROW EXECUTE FUNCTION public.f()",
    "ALTER TABLE {}.zoo_cage DISABLE TRIGGER ALL",
    "CREATE RULE r AS ON DELETE TO {}.zoo_cage DO INSTEAD NOTHING",
    "ALTER TABLE {}.zoo_cage ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON {}.zoo_cage USING (size > 0)",
    "GRANT SELECT ON {}.zoo_cage TO public",
    "GRANT SELECT (size) ON {}.zoo_cage TO public",
    "GRANT CREATE ON SCHEMA {} TO public",
    "CREATE VIEW {}.v AS SELECT size FROM {}.zoo_cage",
    "CREATE VIEW elsewhere.v{number} AS SELECT size FROM {}.zoo_cage",
    "CREATE TABLE elsewhere.t{number} (code uuid REFERENCES {}.zoo_cage (code))",
    "CREATE FUNCTION {}.g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE {}.mood AS ENUM ('good')",
    "CREATE DOMAIN {}.d AS int CHECK (value > 0)",
    "ALTER SEQUENCE {}.zoo_cage_id_seq INCREMENT 2",
    "CREATE STATISTICS {}.s ON name, size FROM {}.zoo_cage",
    "CREATE TABLE {}.child () INHERITS ({}.zoo_cage)",
    "ALTER TABLE {}.zoo_cage REPLICA IDENTITY FULL",
    "ALTER TABLE {}.zoo_keeper SET UNLOGGED",
    "CREATE PUBLICATION p{number} FOR TABLE {}.zoo_cage",
    "DROP TABLE {}.zoo_keeper",
    "DELETE FROM {}.django_migrations WHERE name = '0001_step' AND app = 'nobody'",
)


def found(alias: str, targets: list[Target]) -> tuple[TargetClass, ...]:
    with owned(connections[alias]) as connection:
        return classes(
            pending(connection, targets, ZOO), catalog_digests(connection, targets, "one")
        )


def differs(alias: str, one: TargetClass, largest: TargetClass) -> Any:
    with owned(connections[alias]) as connection:
        return difference(one, largest, {alias: connection})


def test_each_kind_of_change_makes_a_class_of_its_own_and_is_named(
    empty_database: str, write_migrations: Write
) -> None:
    write_migrations(CAGE + KEEPER, AGE)
    connection = connections[empty_database]
    changed = [f"changed {number}" for number in range(len(CHANGES))]
    targets = schemas(empty_database, "equal", "e", 'e"qual', "Equal.", *changed)
    execute(connection, "CREATE SCHEMA elsewhere")
    execute(
        connection,
        "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
    )
    assert [len(each.members) for each in found(empty_database, targets)] == [len(targets)]

    for number, change in enumerate(CHANGES):
        schema = f'"changed {number}"'
        execute(connection, change.replace("{}", schema).replace("{number}", str(number)))

    *alone, largest = found(empty_database, targets)

    # The last change changes nothing.
    assert [each.label for each in largest.members] == [
        "equal", "e", 'e"qual', "Equal.", changed[-1],
    ]  # fmt: skip
    assert [each.label for each in alone] == changed[:-1]
    for one, change in zip(alone, CHANGES, strict=False):
        told = differs(empty_database, one, largest)
        assert told.only_here or told.missing_here, change
    added = differs(empty_database, alone[0], largest)
    assert (added.only_here, added.missing_here) == (("column zoo_cage.more: integer",), ())


def test_other_migrations_and_another_shared_schema_are_other_classes(
    empty_database: str, write_migrations: Write
) -> None:
    write_migrations(CAGE, AGE)
    first = schemas(empty_database, "a", "b")
    [ahead] = schemas(empty_database, "ahead", to="0002")
    one, largest = found(empty_database, [*first, ahead])
    assert (one.label, largest.label) == ("ahead", "a and 1 more")
    assert (one.migrations, largest.migrations) == ((), ("zoo.0002_step",))
    told = differs(empty_database, one, largest)
    assert told.words == ("applied here, but not there: zoo.0002_step",)
    assert told.only_here == ("column zoo_cage.age: integer",)


def test_databases_are_classes_too_and_what_they_are_set_to_counts(
    new_database: Callable[..., str], write_migrations: Write
) -> None:
    write_migrations(CAGE)
    aliases = [new_database(), new_database(), new_database()]
    execute(
        connections[aliases[2]],
        f"ALTER DATABASE \"{_name(aliases[2])}\" SET statement_timeout TO '1s'",
    )
    found = []
    digests = {}
    for alias in aliases:
        call_command("migrate", "zoo", database=alias, verbosity=0)
        connections[alias].close()
        target = Target(alias=alias, schema=None, label=alias, server="here")
        with owned(connections[alias]) as connection:
            found += pending(connection, [target], ZOO)
            digests |= catalog_digests(connection, [target], "one server")

    assert [len(each.members) for each in classes(found, digests)] == [1, 2]


def _name(alias: str) -> str:
    return str(connections[alias].settings_dict["NAME"]).replace('"', '""')


@pytest.mark.parametrize("known", [True, False])
def test_what_cannot_be_said_of_a_target_leaves_it_alone(
    known: bool, empty_database: str, write_migrations: Write
) -> None:
    write_migrations(CAGE, AGE)
    targets = schemas(empty_database, "a", "b")
    if not known:
        for name in "ab":
            execute(connections[empty_database], f"TRUNCATE {name}.django_migrations")
    assert len(found(empty_database, targets)) == (1 if known else 2)


def test_a_server_without_publications_of_schemas_is_asked_nothing_of_them(
    empty_database: str, write_migrations: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 14."""
    monkeypatch.setattr(catalogs, "KNOWS_SCHEMA_PUBLICATIONS", 10**9)
    write_migrations(CAGE, AGE)
    assert len(found(empty_database, schemas(empty_database, "a", "b"))) == 1


def test_citus_is_named_with_what_does_not_hold_there(empty_database: str) -> None:
    """The catalog of Citus stands in pg_catalog; here its first table does."""
    connection = connections[empty_database]
    with owned(connection):
        assert on_citus(connection) is None
    execute(connection, "SET allow_system_table_mods = on")
    execute(connection, "CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass)")
    with owned(connection):
        assert on_citus(connection) is None
    execute(connection, "INSERT INTO pg_catalog.pg_dist_partition VALUES ('pg_class'), ('pg_proc')")
    with owned(connection):
        words = str(on_citus(connection))
    assert words.startswith(f"{empty_database}: Citus distributes 2 tables; a UNIQUE constraint")
