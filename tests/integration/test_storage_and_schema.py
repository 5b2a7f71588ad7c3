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

    assert (answer.code, answer.report["undecided"]) == (int(failure is not None), [])
    assert answer.ids == (["unsupported-by-server"] if failure else [])
    assert not (stored and failure)


@pytest.mark.parametrize(
    "index",
    [
        'HashIndex(fields=["name", "size"], name="i")',
        'HashIndex(fields=["name"], name="i")',
        'SpGistIndex(fields=["name", "name"], name="i")',
        'SpGistIndex(fields=["name"], include=["size"], name="i")',
        'BrinIndex(fields=["name", "size"], name="i")',
    ],
)
def test_an_index_asks_of_its_method_what_that_can_do(
    index: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, f'migrations.AddIndex("cage", {index}),')

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    failure = migrate(empty_database, "zoo")

    assert answer.report["undecided"] == []
    assert (answer.code == 1, answer.code == 0) == (failure is not None, failure is None)


NULLS_EQUAL = 'models.UniqueConstraint(fields=["size"], name="zoo_once", nulls_distinct=False)'
PEN = """migrations.CreateModel("Pen", [
    ("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField(null=True%s)),
], options={"constraints": [%s]}),"""
WITH_NULLS_EQUAL = {
    "added": f'migrations.AddConstraint("cage", {NULLS_EQUAL}),',
    "created": PEN % ("", NULLS_EQUAL),
    "created beside a parameter": PEN % (", db_default=1", NULLS_EQUAL),
}


@pytest.mark.parametrize("pending", WITH_NULLS_EQUAL.values(), ids=WITH_NULLS_EQUAL)
@pytest.mark.parametrize("supported", [False, True])
def test_what_django_leaves_out_is_a_warning_and_what_it_executes_as_none_is_a_no(
    supported: bool,
    pending: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, pending)
    # As on PostgreSQL 14, which has it no other way.
    supported &= connections[empty_database].pg_version >= 150000
    features = type(connections[empty_database].features)
    monkeypatch.setattr(features, "supports_nulls_distinct_unique_constraints", supported)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    failure = migrate(empty_database, "zoo")
    assert answer.ids == ([] if supported else ["constraint-not-created"])
    assert answer.code == int(failure is not None)
    fails = not supported and "db_default" in pending
    assert ("None" in (failure or "")) == fails
    made = query(empty_database, "SELECT 1 FROM pg_class WHERE relname = 'zoo_once'")
    assert bool(made) == supported
