"""Each statement of the plan says which live tables it touches."""

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.preflight.walk.referenced_tables import tables_of
from opsmigrate.preflight.walk.simulation import Simulation
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, KEEPER
from tests.integration.zoo_migrations import Write, migrate

CAGES, KEEPERS = "public.zoo_cage", "public.zoo_keeper"


@pytest.mark.parametrize(
    ("pending", "touched"),
    [
        ('migrations.AddField("cage", "age", models.IntegerField(null=True)),', [[CAGES]]),
        (
            'migrations.RenameModel("Cage", "Pen"),\n'
            'migrations.AddField("pen", "age", models.IntegerField(null=True)),',
            [[CAGES], [KEEPERS, CAGES], [KEEPERS, CAGES], [CAGES]],
        ),
        ('migrations.RemoveField("keeper", "cage"),', [[KEEPERS, CAGES], [KEEPERS]]),
        ('migrations.DeleteModel("Keeper"),', [[KEEPERS, CAGES]]),
        (
            'migrations.RemoveIndex("cage", name="zoo_size"),',
            [[CAGES]],
        ),
        (
            'migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True)),'
            ' ("cage", models.ForeignKey("zoo.Cage", models.CASCADE))]),',
            [["public.zoo_note"], ["public.zoo_note", CAGES], ["public.zoo_note"]],
        ),
        (
            'migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))],'
            """ {"db_table": 'public"."zoo_note'}),"""
            'migrations.AddField("note", "age", models.IntegerField(null=True)),',
            [["public.zoo_note"], ["public.zoo_note"]],
        ),
    ],
)
def test_statements_name_the_tables_they_touch(
    pending: str, touched: list[list[str]], empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    index = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
    write_migrations(CAGE + KEEPER + index)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE + KEEPER + index, pending)

    statements = ops("preflight_migrate", "zoo", database=empty_database).report["facts"][
        "statements"
    ]

    assert [item["tables"] for item in statements] == touched, statements


@pytest.mark.parametrize(
    ("statement", "touched"),
    [
        ("UPDATE \"Order\" SET note = 'FROM other' -- FROM other", ["public.Order"]),
        (
            'SELECT * FROM other JOIN public."Order" o ON o.id = other.id',
            ["public.other", "public.Order"],
        ),
        ("INSERT INTO PUBLIC . other SELECT 1", ["public.other"]),
        ("DO $x$ BEGIN DELETE FROM other; END $x$", []),
        ('COMMENT ON COLUMN "Order"."id" IS NULL', ["public.Order"]),
        ("CREATE INDEX ON other USING btree (id)", ["public.other"]),
        ("DELETE FROM only other", ["public.other"]),
        ("SELECT 1", []),
        ("WITH other AS (SELECT 1) SELECT * FROM other", []),
        ('ALTER TABLE other ADD COLUMN "Order" int', ["public.other"]),
        ('ALTER TABLE other ALTER COLUMN "Order" TYPE int USING "Order"::int', ["public.other"]),
        ('UPDATE other SET id = EXTRACT(day FROM "Order") WHERE id = %s', ["public.other"]),
        ('DROP TABLE IF EXISTS public.other, "Order"', ["public.other", "public.Order"]),
    ],
)
def test_names_are_found_in_text(statement: str, touched: list[str], empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, 'CREATE TABLE "Order" (id int)')
    execute(connection, "CREATE TABLE other (id int)")

    assert tables_of(statement, Simulation(read_catalog(connection))) == touched
