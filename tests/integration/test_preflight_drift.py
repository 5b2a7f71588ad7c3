"""What preflight says of drift: an info, a warning where the plan destroys it, or the error."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.schema.drift import drift_of
from tests.conftest import Ops, execute
from tests.drift.untouched import looks
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major

ANOTHER = 'migrations.AddField("cage", "wide", models.IntegerField(null=True)),'
DELETE = 'migrations.DeleteModel("Cage"),'


@pytest.fixture
def caged(write_migrations: Write, new_database: Callable[..., str]) -> Callable[[str], str]:
    """Return a function that gives a database with a cage, and operations that are pending."""

    def make(pending: str) -> str:
        write_migrations(CAGE, pending)
        alias = new_database()
        assert migrate(alias, "zoo", "0001") is None
        execute(connections[alias], ROW)
        return alias

    return make


def said(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["id"], item["severity"]) for item in report["findings"]]


def test_drift_that_no_operation_meets_is_an_info(caged: Callable[[str], str], ops: Ops) -> None:
    alias = caged(ANOTHER)
    execute(connections[alias], "ALTER TABLE zoo_cage ALTER COLUMN name TYPE varchar(30)")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 0
    assert said(answer.report) == [("drift-type", "info")]
    assert answer.report["facts"]["drift"] == [
        {
            "id": "drift-type",
            "severity": "info",
            "table": "public.zoo_cage",
            "column": "name",
            "name": None,
            "claimed": "varchar(20)",
            "live": "character varying(30)",
        }
    ]
    assert answer.report["findings"][0]["message"] == (
        "public.zoo_cage.name: the applied migrations describe varchar(20); the database has "
        "character varying(30)"
    )
    assert [step["text"] for step in answer.report["findings"][0]["steps"]] == [
        'SELECT "name", "name"::varchar(20) FROM "public"."zoo_cage" '
        'WHERE ("name"::varchar(20))::character varying(30) IS DISTINCT FROM "name";',
        'ALTER TABLE "public"."zoo_cage" ALTER COLUMN "name" TYPE varchar(20);',
    ]
    assert migrate(alias, "zoo") is None


def test_an_error_is_not_said_again_as_drift(caged: Callable[[str], str], ops: Ops) -> None:
    alias = caged(KEEPER)
    execute(connections[alias], "ALTER TABLE zoo_cage DROP COLUMN code")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert said(answer.report) == [("missing-column", "error")]
    assert [(item["id"], item["severity"]) for item in answer.report["facts"]["drift"]] == [
        ("drift-column-missing", "error")
    ]


@pytest.mark.parametrize(("value", "severity"), [("'kept'", "warning"), ("NULL", "info")])
def test_an_unknown_column_with_values_is_a_warning_where_its_table_goes(
    caged: Callable[[str], str], ops: Ops, value: str, severity: str
) -> None:
    alias = caged(DELETE)
    execute(connections[alias], "ALTER TABLE zoo_cage ADD COLUMN remark text")
    execute(connections[alias], f"UPDATE zoo_cage SET remark = {value}")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 0
    (finding,) = answer.report["findings"]
    assert (finding["id"], finding["severity"]) == ("drift-column-unknown", severity)
    place = (finding["migration"], finding["operation"])
    assert place == (("zoo.0002_step", "0: DeleteModel") if value != "NULL" else (None, None))
    assert ("the plan drops public.zoo_cage" in finding["message"]) is (severity == "warning")


def test_the_text_shows_the_first_few_of_a_kind(caged: Callable[[str], str], ops: Ops) -> None:
    alias = caged(ANOTHER)
    for number in range(13):
        execute(connections[alias], f"ALTER TABLE zoo_cage ADD COLUMN x{number} int")

    text = ops("preflight_migrate", "zoo", database=alias, format="text").stdout
    report = ops("preflight_migrate", "zoo", database=alias).report

    assert text.count("info [drift-column-unknown] public.zoo_cage.x") == 3
    assert "info [drift-column-unknown] and 10 more: --format json has them all" in text
    assert len(text.splitlines()) < 50
    assert len(report["findings"]) == len(report["facts"]["drift"]) == 13


def test_a_field_that_cannot_be_asked_does_not_change_the_verdict(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops, monkeypatch: Any
) -> None:
    write_migrations(CAGE, ANOTHER)
    alias = new_database()
    assert migrate(alias, "zoo", "0001") is None
    monkeypatch.setattr("opsmigrate.schema.drift.claimed_tables", lambda *a, **k: 1 / 0)

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 0
    assert said(answer.report) == [("drift-unknown", "info")]
    assert "ZeroDivisionError" in answer.report["findings"][0]["message"]


def test_what_a_migration_did_in_sql_of_its_own_is_no_drift(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(
        CAGE,
        'migrations.RunSQL("ALTER TABLE zoo_cage ADD COLUMN search tsvector; '
        'ALTER TABLE zoo_cage ALTER COLUMN name TYPE text"),',
        'migrations.SeparateDatabaseAndState([migrations.RunSQL("ALTER TABLE zoo_cage RENAME '
        'COLUMN size TO width")], [migrations.RenameField("cage", "size", "width")]),',
        "migrations.RunPython(lambda apps, editor: editor.execute("
        '"ALTER TABLE zoo_cage ALTER COLUMN width SET NOT NULL")),',
    )
    alias = new_database()
    assert migrate(alias, "zoo") is None

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.report["facts"]["drift"] == []


def test_a_constraint_that_a_migration_left_not_valid_is_no_drift(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(
        CAGE,
        'AddConstraintNotValid("cage", models.CheckConstraint(condition=models.Q(size__gt=0), '
        'name="zoo_size")),',
        'ValidateConstraint("cage", "zoo_size"),',
    )
    alias = new_database()
    assert migrate(alias, "zoo", "0002") is None

    assert ops("preflight_migrate", "zoo", database=alias).report["facts"]["drift"] == []

    assert migrate(alias, "zoo", "0003") is None
    execute(connections[alias], "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_size")
    execute(
        connections[alias],
        "ALTER TABLE zoo_cage ADD CONSTRAINT zoo_size CHECK (size > 0) NOT VALID",
    )
    report = ops("preflight_migrate", "zoo", database=alias).report
    assert [item["id"] for item in report["facts"]["drift"]] == ["drift-not-validated"]


def test_a_check_with_another_limit_is_said_with_a_row_that_shows_it(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(CAGE, LIMIT, ANOTHER)
    alias = new_database()
    assert migrate(alias, "zoo", "0002") is None
    execute(
        connections[alias],
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_size, "
        "ADD CONSTRAINT zoo_size CHECK (size >= 0.5::real)",
    )
    assert ops("preflight_migrate", database=alias).report["facts"]["drift"] == []
    execute(
        connections[alias],
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_size, ADD CONSTRAINT zoo_size CHECK (size >= 0)",
    )

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 0
    (finding,) = answer.report["findings"]
    assert (finding["id"], finding["severity"]) == ("drift-check", "info")
    assert finding["message"] == (
        'public.zoo_cage.size: the applied migrations describe the check zoo_size: "size" > 0; '
        "the database has (size >= 0), which differs where size = '0'"
    )
    (step,) = finding["steps"]
    assert step["text"] == (
        'ALTER TABLE "public"."zoo_cage" DROP CONSTRAINT "zoo_size", '
        'ADD CONSTRAINT "zoo_size" CHECK ("size" > 0);'
    )
    execute(connections[alias], step["text"])
    assert ops("preflight_migrate", "zoo", database=alias).report["facts"]["drift"] == []


def test_conditions_show_no_drift_after_their_fields_were_altered(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(BORN, AGED)
    alias = new_database()
    assert migrate(alias, "zoo") is None

    assert ops("preflight_migrate", "zoo", database=alias).report["facts"]["drift"] == []


def test_what_went_or_was_renamed_with_its_field_is_no_drift(
    write_migrations: Write, new_database: Callable[..., str], ops: Ops
) -> None:
    write_migrations(STALE, 'migrations.RenameField("cage", "a", "b"),' + GONE)
    alias = new_database()
    assert migrate(alias, "zoo") is None

    assert ops("preflight_migrate", "zoo", database=alias).report["facts"]["drift"] == []


STALE = """
migrations.CreateModel("Cage", [
    ("id", models.AutoField(primary_key=True)),
    *[(name, models.IntegerField()) for name in "acxy"],
], options={
    "unique_together": {("c", "x")},
    "indexes": [models.Index(fields=["a", "c"], name="zoo_two")],
    "constraints": [
        models.UniqueConstraint(fields=["a", "y"], name="zoo_renamed"),
        models.UniqueConstraint(fields=["c"], condition=models.Q(x__gt=0), name="zoo_gone"),
        models.CheckConstraint(condition=models.Q(x__gt=0), name="zoo_positive"),
        models.CheckConstraint(condition=models.Q(a__gt=0), name="zoo_more"),
    ],
}),
"""
GONE = 'migrations.RemoveField("cage", "x"),'


def test_any_number_of_conditions_is_compared_in_as_many_queries(
    write_migrations: Write, new_database: Callable[..., str]
) -> None:
    counts = []
    for number in (1, 20):
        checks = [LIMIT.replace("zoo_size", f"zoo_size_{n}") for n in range(number)]
        write_migrations(CAGE, "\n".join(checks))
        alias = new_database()
        assert migrate(alias, "zoo") is None
        connection = connections[alias]
        executor, catalog = MigrationExecutor(connection), read_catalog(connection)
        with CaptureQueriesContext(connection) as queries:
            assert drift_of(connection, executor, catalog) == ()
        counts.append(len(queries))

    assert counts[0] == counts[1]


LIMIT = """migrations.AddConstraint("cage", models.CheckConstraint(
    condition=models.Q(size__gt=0), name="zoo_size")),"""
# PostgreSQL keeps these conditions as they were written for the columns of that day.
BORN = """
migrations.CreateModel("Cage", [
    ("id", models.AutoField(primary_key=True)),
    ("name", models.CharField(max_length=20)),
    ("size", models.DecimalField(max_digits=9, decimal_places=2, null=True)),
    ("day", models.DateField()),
], options={
    "constraints": [
        models.CheckConstraint(condition=~models.Q(size=3), name="zoo_three"),
        models.CheckConstraint(condition=models.Q(size__gte=0), name="zoo_positive"),
        models.CheckConstraint(condition=~models.Q(name__startswith="1%"), name="zoo_percent"),
        models.CheckConstraint(condition=models.Q(name__in=["a", "b%"]), name="zoo_names"),
        models.CheckConstraint(condition=models.Q(day__year__gt=2000), name="zoo_year"),
    ],
    "indexes": [
        models.Index(Lower("name"), models.F("size") + 1, name="zoo_sum"),
        models.Index(fields=["size"], condition=models.Q(size__gt=7), name="zoo_big"),
    ],
}),
"""
AGED = """
migrations.AlterField("cage", "size", models.IntegerField(default=1)),
migrations.AlterField("cage", "name", models.TextField()),
migrations.AlterField("cage", "day", models.DateTimeField()),
"""


def test_an_index_that_concurrently_left_invalid_is_said(
    caged: Callable[[str], str], ops: Ops
) -> None:
    alias = caged(ANOTHER)
    execute(connections[alias], ROW)
    with pytest.raises(Exception, match="could not create unique index"):
        execute(connections[alias], "CREATE UNIQUE INDEX CONCURRENTLY twins ON zoo_cage (name)")

    answer = ops("preflight_migrate", "zoo", database=alias)

    (item,) = answer.report["facts"]["drift"]
    assert (item["id"], item["name"]) == ("drift-index-invalid", "twins")
    steps = [step["text"] for step in answer.report["findings"][0]["steps"]]
    assert 'REINDEX INDEX CONCURRENTLY "public"."twins";' in steps


def test_nobody_touched_it_so_nothing_is_said(empty_database: str) -> None:
    seen = list(looks(empty_database, every=4))

    assert [look.wrong for look in seen] == [[]] * len(seen)
    assert len(seen) >= 5


def test_a_database_born_under_an_old_django_shows_no_drift(empty_database: str, ops: Ops) -> None:
    call_command("migrate", database=empty_database, verbosity=0, stdout=StringIO())
    connection = connections[empty_database]
    with connection.cursor() as cursor:
        cursor.execute(AGE)

    answer = ops("preflight_migrate", database=empty_database)

    assert answer.report["facts"]["drift"] == []
    assert answer.code == 0


# Serial columns and the names of constraints and indexes that Django gave them long ago.
AGE = """
DO $$
DECLARE item record; number int := 0;
BEGIN
    FOR item IN SELECT c.table_name AS t, c.column_name AS k FROM information_schema.columns c
        WHERE c.is_identity = 'YES' AND c.table_schema = 'public'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP IDENTITY', item.t, item.k);
        EXECUTE format('CREATE SEQUENCE %I OWNED BY %I.%I', item.t || '_serial', item.t, item.k);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT nextval(%L)', item.t, item.k,
            item.t || '_serial');
    END LOOP;
    FOR item IN SELECT conrelid::regclass AS t, conname AS k FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
    LOOP
        number := number + 1;
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', item.t, item.k,
            'old' || number);
    END LOOP;
    FOR item IN SELECT indexrelid::regclass AS i FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
    LOOP
        number := number + 1;
        EXECUTE format('ALTER INDEX %s RENAME TO %I', item.i, 'old' || number);
    END LOOP;
END $$
"""
