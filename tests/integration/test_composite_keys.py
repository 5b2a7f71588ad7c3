"""Models with a composite primary key (Django 5.2): their migrations are decided as others are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.zoo_migrations import Write, migrate

VISIT = """
migrations.CreateModel("Visit", [
    ("pk", models.CompositePrimaryKey("day", "number")),
    ("day", models.IntegerField()),
    ("number", models.IntegerField()),
    ("note", models.CharField(max_length=20, default="n")),
]),
"""
SAME = "INSERT INTO zoo_visit (day, number, note) VALUES (1, 1, 'same'), (1, 2, 'same')"
TO_DAY = """
migrations.CreateModel("Guest", [
    ("id", models.BigAutoField(primary_key=True)),
    ("day", models.IntegerField()),
    ("number", models.IntegerField()),
    ("visit", models.ForeignObject(
        "zoo.Visit", models.CASCADE, from_fields=("day", "number"), to_fields=("day", "number"))),
]),
"""
TO_UNIQUE = 'migrations.AlterField("visit", "note", models.CharField(max_length=20, unique=True)),'
CASES = {
    "made": ("", VISIT, "", "CREATE TABLE zoo_visit (id int)", "table-exists"),
    "pointed to by two columns": (
        VISIT,
        TO_DAY,
        SAME,
        "CREATE VIEW zoo_guest AS SELECT 1",
        "table-exists",
    ),
    "a new column": (
        VISIT,
        'migrations.AddField("visit", "age", models.IntegerField(null=True)),',
        "",
        "ALTER TABLE zoo_visit ADD age int",
        "column-exists",
    ),
    "a part becomes wider": (
        VISIT,
        'migrations.AlterField("visit", "number", models.BigIntegerField()),',
        SAME,
        "CREATE VIEW v AS SELECT number FROM zoo_visit",
        "view-in-the-way",
    ),
    "a part is renamed": (
        VISIT,
        'migrations.RenameField("visit", "note", "words"),',
        SAME,
        "ALTER TABLE zoo_visit RENAME note TO other",
        "missing-column",
    ),
    "a column becomes unique": (
        VISIT,
        TO_UNIQUE,
        "",
        SAME,
        "duplicate-values",
    ),
    "not null": (
        VISIT.replace('default="n"', "null=True"),
        'migrations.AlterField("visit", "note", models.CharField(max_length=20)),',
        SAME,
        "UPDATE zoo_visit SET note = NULL",
        "null-values",
    ),
    "removed": (
        VISIT,
        'migrations.DeleteModel("Visit"),',
        SAME,
        "DROP TABLE zoo_visit",
        "missing-table",
    ),
}


@pytest.mark.parametrize("rehearse", ["off", pytest.param("clone", marks=pytest.mark.long)])
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_verdict_equals_what_migrate_then_does(
    case: tuple[str, str, str, str, str],
    bad: bool,
    rehearse: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
) -> None:
    first, pending, setup, drift, finding = case
    alias = new_database("composite ")
    write_migrations(first)
    assert migrate(alias, "zoo") is None
    for statement in filter(None, (setup, drift if bad else "")):
        execute(connections[alias], statement)
    write_migrations(first, pending)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse=rehearse)
    failure = migrate(alias, "zoo")

    assert answer.report["undecided"] == []
    assert (answer.code == 1, failure is not None) == (bad, bad), answer.stdout
    assert not bad or finding in answer.ids
