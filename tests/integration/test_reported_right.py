"""What public reports met, and what was answered rightly when it was tried: it stays so."""

from dataclasses import dataclass

import pytest
from django.db import connections
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

# Up to Django 6.0 what uses a column goes along with it.
CASCADES = "CASCADE" in DatabaseSchemaEditor.sql_delete_column

WIDER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'


@dataclass(frozen=True)
class Case:
    """What stands by, what is pending, and what is said; `since` is a server's version."""

    standing_by: tuple[str, ...]
    pending: str
    finding: str
    code: int = 1
    first: str = CAGE
    since: int = 0
    rehearse: str = "off"


CASES = {
    "a publication of some rows": Case(
        ("CREATE PUBLICATION part FOR TABLE zoo_cage WHERE (size > 1)",),
        WIDER,
        "column-in-use",
        since=150_000,
    ),
    "a publication of some columns": Case(
        ("CREATE PUBLICATION part FOR TABLE zoo_cage (id, size)",),
        'migrations.RemoveField("cage", "size"),',
        "dropped-by-cascade" if CASCADES else "column-in-use",
        code=0 if CASCADES else 1,
        since=150_000,
    ),
    "a virtual generated column": Case(
        ("ALTER TABLE zoo_cage ADD twice int GENERATED ALWAYS AS (size * 2) VIRTUAL",),
        WIDER,
        "column-in-use",
        since=180_000,
    ),
    "the name of a NOT NULL constraint": Case(
        (),
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_cage_name_not_null")),',
        "constraint-exists",
        since=180_000,
    ),
    "the name of an index that a renamed table has kept": Case(
        (),
        'migrations.RenameModel("Cage", "Pen"),\n'
        + CAGE.replace("max_length=20", "max_length=20, db_index=True"),
        "index-exists",
        first=CAGE.replace("max_length=20", "max_length=20, db_index=True"),
    ),
    "a view that groups by the key": Case(
        ("CREATE VIEW names AS SELECT id, name FROM zoo_cage GROUP BY id",),
        'migrations.AlterField("cage", "id", models.BigIntegerField()),\n'
        'migrations.AlterField("cage", "code", models.UUIDField(primary_key=True)),',
        "view-in-the-way",
    ),
    "an enum's value that its own transaction uses": Case(
        ("CREATE TYPE mood AS ENUM ('a')", "ALTER TABLE zoo_cage ADD mood mood"),
        "migrations.RunSQL(\"ALTER TYPE mood ADD VALUE 'b'\"),\n"
        "migrations.RunSQL(\"UPDATE zoo_cage SET mood = 'b'\"),",
        "rehearsal-failed",
        rehearse="clone",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_it_is_answered_as_it_was(
    case: Case, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    if connections[empty_database].pg_version < case.since:
        return
    write_migrations(case.first, case.pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (ROW, *case.standing_by):
        execute(connections[empty_database], statement)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse=case.rehearse)

    assert answer.code == case.code, answer.stdout
    assert case.finding in answer.ids
    assert (migrate(empty_database, "zoo") is not None) == bool(case.code)


def test_what_is_made_goes_where_the_role_has_a_schema_of_its_own(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = (
        'migrations.AddField("cage", "age", models.IntegerField(null=True)),\n'
        'migrations.CreateModel("Den", [("id", models.BigAutoField(primary_key=True)), '
        '("cage", models.ForeignKey("zoo.Cage", models.CASCADE))]),'
    )
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], "CREATE SCHEMA AUTHORIZATION CURRENT_USER")

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None
    where = "SELECT relnamespace::regnamespace::text = CURRENT_USER FROM pg_class"
    assert query(empty_database, f"{where} WHERE relname = 'zoo_den'") == [(True,)]
