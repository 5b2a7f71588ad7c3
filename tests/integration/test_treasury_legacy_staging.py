"""make_legacy_staging puts an empty database in the state of the story, or refuses."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import DatabaseError, ProgrammingError, connections
from django.db.migrations.recorder import MigrationRecorder

from treasury.management.commands import make_legacy_staging as command


def make_legacy(alias: str, rows: int = 300, **options: object) -> str:
    out = StringIO()
    call_command("make_legacy_staging", database=alias, rows=rows, stdout=out, **options)
    return out.getvalue()


def query(alias: str, sql: str) -> list[tuple[object, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def applied(alias: str, app_label: str) -> list[str]:
    recorded = MigrationRecorder(connections[alias]).applied_migrations()
    return sorted(name for app, name in recorded if app == app_label)


@pytest.fixture
def sqlite() -> Iterator[str]:
    """An alias of a database that is no PostgreSQL."""
    wanted = {"default": {}, "lite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    connections.settings["lite"] = connections.configure_settings(wanted)["lite"]
    yield "lite"
    del connections["lite"]
    del connections.settings["lite"]


def test_treasury_is_recorded_at_0001_and_every_other_app_fully(empty_database: str) -> None:
    make_legacy(empty_database)

    assert applied(empty_database, "treasury") == ["0001_initial"]
    assert applied(empty_database, "auth")[-1].startswith("0012")
    assert applied(empty_database, "sessions") == ["0001_initial"]
    assert query(
        empty_database,
        "SELECT model FROM django_content_type WHERE app_label = 'treasury' ORDER BY 1",
    ) == [("account",), ("payment",)]


def test_the_table_never_had_a_payment_id(empty_database: str) -> None:
    make_legacy(empty_database, rows=1)

    columns = query(
        empty_database,
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = 'treasury_payment'::regclass AND attnum > 0 ORDER BY attnum",
    )
    assert [name for (name,) in columns] == [
        "id",
        "reference",
        "payee",
        "amount",
        "currency",
        "status",
        "due_date",
        "created_at",
        "updated_at",
        "memo",
        "account_id",
    ]


def test_the_payments_are_as_many_as_asked_and_the_planner_knows(empty_database: str) -> None:
    make_legacy(empty_database, rows=1234)

    assert query(
        empty_database,
        "SELECT count(*), min(id), max(id), count(DISTINCT status), max(created_at) <= now()"
        " FROM treasury_payment",
    ) == [(1234, 1, 1234, 5, True)]
    assert query(
        empty_database, "SELECT reltuples FROM pg_class WHERE oid = 'treasury_payment'::regclass"
    ) == [(1234,)]


def test_no_payments_can_be_asked_for(empty_database: str) -> None:
    make_legacy(empty_database, rows=0)

    assert query(empty_database, "SELECT count(*) FROM treasury_payment") == [(0,)]


def test_migrate_fails_with_postgresqls_own_error(empty_database: str) -> None:
    make_legacy(empty_database)

    message = 'column "payment_id" referenced in foreign key constraint does not exist'
    with pytest.raises(ProgrammingError, match=message) as caught:
        call_command("migrate", "treasury", "0002", database=empty_database, verbosity=0)

    cause = caught.value.__cause__
    assert getattr(cause, "sqlstate", getattr(cause, "pgcode", None)) == "42703"
    # Django leaves the transaction open when a migration's deferred SQL fails.
    connections[empty_database].close()
    connections[empty_database].connect()
    assert applied(empty_database, "treasury") == ["0001_initial"]


def test_migrate_applies_once_the_column_is_there(empty_database: str) -> None:
    make_legacy(empty_database)
    with connections[empty_database].cursor() as cursor:
        cursor.execute(
            "ALTER TABLE treasury_payment"
            " ADD payment_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()"
        )

    call_command("migrate", database=empty_database, verbosity=0)
    call_command("make_treasury_demo", database=empty_database, verbosity=0)

    assert applied(empty_database, "treasury") == ["0001_initial", "0002_phase6_dashboard_models"]
    assert query(
        empty_database,
        "SELECT count(*) FROM treasury_alert JOIN treasury_payment USING (payment_id)",
    ) > [(0,)]


def test_the_staging_user_signs_in_with_the_password_of_the_environment(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(command.PASSWORD_VARIABLE, "known to the demo")

    out = make_legacy(empty_database, rows=1)

    user = get_user_model()._default_manager.using(empty_database).get(username="staging")
    assert user.check_password("known to the demo")
    assert user.is_staff
    assert "assword" not in out


def test_a_generated_password_is_printed_once(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(command.PASSWORD_VARIABLE, raising=False)

    out = make_legacy(empty_database, rows=1, verbosity=0)

    password = out.strip().removeprefix("Password of 'staging', shown only now: ")
    user = get_user_model()._default_manager.using(empty_database).get(username="staging")
    assert user.check_password(password)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE leftover ()",
        "CREATE SCHEMA old CREATE TABLE leftover ()",
        "CREATE VIEW leftover AS SELECT 1",
    ],
)
def test_a_database_that_is_not_empty_is_refused(empty_database: str, statement: str) -> None:
    with connections[empty_database].cursor() as cursor:
        cursor.execute(statement)

    with pytest.raises(CommandError, match=r"is not empty \(it has \w+\.leftover\)"):
        make_legacy(empty_database)

    assert connections[empty_database].introspection.table_names() in ([], ["leftover"])


def test_a_second_run_is_refused_and_changes_nothing(empty_database: str) -> None:
    make_legacy(empty_database, rows=5)

    with pytest.raises(CommandError, match="is not empty"):
        make_legacy(empty_database, rows=7)

    assert query(empty_database, "SELECT count(*) FROM treasury_payment") == [(5,)]


@pytest.mark.parametrize("failure", [DatabaseError("disk full"), KeyboardInterrupt()])
def test_a_run_that_stops_half_way_leaves_the_database_empty(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(alias: str, password: str) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(command, "create_user", fail)
        with pytest.raises(CommandError, match=r"[Nn]othing was written"):
            make_legacy(empty_database)

    assert connections[empty_database].introspection.table_names() == []
    make_legacy(empty_database, rows=3)
    assert query(empty_database, "SELECT count(*) FROM treasury_payment") == [(3,)]


def test_another_kind_of_database_is_refused(sqlite: str) -> None:
    with pytest.raises(CommandError, match="needs PostgreSQL, and 'lite' is SQLite"):
        make_legacy(sqlite)


def test_a_negative_number_of_rows_is_refused(empty_database: str) -> None:
    with pytest.raises(CommandError, match="--rows must not be negative, and -1 is"):
        make_legacy(empty_database, rows=-1)
