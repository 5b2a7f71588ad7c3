"""The plan is what `migrate` with the same arguments would run, its refusals included."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import NotSupportedError, connections
from django.db.migrations.recorder import MigrationRecorder

from tests.conftest import Answer, Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'


def planned(report: dict[str, object]) -> list[tuple[str, bool]]:
    facts = report["facts"]
    assert isinstance(facts, dict)
    return [(step["migration"], step["backwards"]) for step in facts["plan"]]


def test_nothing_to_do_is_passed(empty_database: str, write_migrations: Write, ops: Ops) -> None:
    write_migrations(CAGE)
    migrate(empty_database, "zoo")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert answer.code == 0
    assert answer.report["facts"]["summary"] == "nothing to migrate; the target is applied"


def test_a_prefix_names_a_migration_as_for_migrate(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, KEEPER, AGE)

    answer = ops("preflight_migrate", "zoo", "0002", database=empty_database)

    assert planned(answer.report) == [("zoo.0001_step", False), ("zoo.0002_step", False)]


def test_the_steps_stand_in_the_order_in_which_migrate_runs_them(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """Not in that of `migrate --plan`: the executor follows the order of the whole history."""
    write_migrations(
        CAGE,
        """
dependencies = [("zoo", "0001_step"), ("sessions", "0001_initial")]
operations = [migrations.RunPython(lambda apps, editor: exec(""))]
""",
    )

    open_ = ops("preflight_migrate", "zoo", database=empty_database)
    proven = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")
    failure = migrate(empty_database, "zoo")

    assert failure is None
    rows = query(empty_database, "SELECT app, name FROM django_migrations ORDER BY id")
    assert planned(open_.report) == [(f"{app}.{name}", False) for app, name in rows]
    assert planned(open_.report)[0] == ("sessions.0001_initial", False)
    assert (open_.code, proven.code) == (3, 0), proven.stdout


def test_backwards_is_examined_and_zero_is_understood(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, KEEPER, AGE)
    migrate(empty_database, "zoo")

    good = ops("preflight_migrate", "zoo", "zero", database=empty_database)
    execute(connections[empty_database], "ALTER TABLE zoo_cage DROP COLUMN age")
    bad = ops("preflight_migrate", "zoo", "zero", database=empty_database)

    assert planned(good.report) == [(f"zoo.000{n}_step", True) for n in (3, 2, 1)]
    assert good.code == 0
    assert (bad.code, bad.ids) == (1, ["missing-column"])
    assert migrate(empty_database, "zoo", "zero") is not None


def test_what_cannot_be_undone_is_named(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, 'migrations.RunSQL("SELECT 1"),')
    migrate(empty_database, "zoo")

    answer = ops("preflight_migrate", "zoo", "zero", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["irreversible"])
    assert answer.report["findings"][0]["operation"] == "0: RunSQL"


def test_fake_needs_nothing_of_the_schema(staging: str, ops: Ops) -> None:
    answer = ops("preflight_migrate", "treasury", database=staging, fake=True)

    assert answer.code == 0
    assert answer.report["facts"]["summary"] == "1 migration will be recorded"


def test_fake_initial_passes_what_is_there(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    migrate(empty_database, "zoo")
    MigrationRecorder(connections[empty_database]).record_unapplied("zoo", "0001_step")

    plain = ops("preflight_migrate", "zoo", database=empty_database)
    faked = ops("preflight_migrate", "zoo", database=empty_database, fake_initial=True)

    assert (plain.code, plain.ids) == (1, ["table-exists"])
    assert faked.code == 0


@pytest.mark.parametrize(
    ("arguments", "id", "words"),
    [
        (["nosuch"], "unknown-app", "there is no installed app with the label 'nosuch'"),
        (["treasury", "0009"], "unknown-migration", "no migration that begins with '0009'"),
        (["treasury", "000"], "ambiguous-migration", "more than one migration"),
        (["treasury", "--run-syncdb"], "syncdb-of-migrated-app", "app 'treasury' has migrations"),
        (["zoo"], "app-without-migrations", "app 'zoo' does not have migrations"),
    ],
)
def test_an_unknown_target_is_a_usage_error_in_one_sentence(
    arguments: list[str], id: str, words: str, empty_database: str, ops: Ops, typist: Typist
) -> None:
    answer = ops("preflight_migrate", *arguments, database=empty_database)

    assert (answer.code, answer.report["verdict"], answer.ids) == (2, "usage", [id])
    finding = answer.report["findings"][0]
    assert words in finding["message"]
    assert typist.type(empty_database, finding) == []


def test_several_last_migrations_are_refused_as_by_migrate(
    empty_database: str, write_migrations: Write, ops: Ops, settings: object
) -> None:
    write_migrations(CAGE, AGE, KEEPER, third_depends_on_first=True)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["conflicting-migrations"])
    # It asks, and so is typed by nobody here.
    [step] = answer.report["findings"][0]["steps"]
    assert step["text"] == "python manage.py makemigrations --merge"
    assert migrate(empty_database, "zoo") is not None


def test_an_inconsistent_history_is_refused_as_by_migrate(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AGE)
    migrate(empty_database, "zoo")
    MigrationRecorder(connections[empty_database]).record_unapplied("zoo", "0001_step")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["inconsistent-history"])


def test_an_applied_migration_that_is_not_on_disk_is_a_warning(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AGE)
    migrate(empty_database, "zoo")
    write_migrations(CAGE)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    strict = ops("preflight_migrate", "zoo", database=empty_database, fail_on="warning")

    assert (answer.code, answer.ids) == (0, ["missing-on-disk", "drift-column-unknown"])
    assert answer.report["findings"][0]["severity"] == "warning"
    assert strict.code == 1


def test_a_missing_dependency_is_a_broken_graph(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AGE, missing=True)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["broken-graph"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("dependencies = [('zoo', '0001_step')\noperations = [\n]", "SyntaxError"),
        ("operations = [\nmigrations.RunPython(forgotten)]", "NameError: name 'forgotten'"),
        ("import zoo.forgotten\noperations = [\n]", "ModuleNotFoundError: No module named"),
        ("dependencies = [('zoo', '0002_step')]\noperations = [\n]", "CircularDependencyError"),
        ("dependencies = [1]\noperations = [\n]", "TypeError"),
    ],
    ids=["syntax", "unknown-name", "unknown-module", "circle", "no-pair"],
)
def test_a_migration_file_that_cannot_be_loaded_is_named(
    body: str, words: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, body)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    failure = migrate(empty_database, "zoo")

    assert (answer.code, answer.ids) == (1, ["broken-graph"]), answer.stdout
    message = answer.report["findings"][0]["message"]
    assert words in message
    assert "0002_step" in message or words == "TypeError"
    assert failure is not None


def test_a_fake_applied_migration_whose_table_is_missing_is_found_by_the_next(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AGE)
    call_command(
        "migrate", "zoo", "0001", fake=True, database=empty_database, verbosity=0, stdout=StringIO()
    )

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["missing-table"])


def test_a_read_only_session_is_said(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database("standby ", OPTIONS={"options": "-c default_transaction_read_only=on"})
    write_migrations(CAGE)

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, answer.ids) == (1, ["read-only"])
    assert query(alias, "SELECT count(*) FROM pg_class WHERE relname LIKE 'zoo%%'") == [(0,)]


def test_a_server_that_django_no_longer_supports_is_said(
    empty_database: str, write_migrations: Write, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_migrations(CAGE)
    features = type(connections[empty_database].features)
    monkeypatch.setattr(features, "minimum_database_version", (99,))

    def ask(command: str) -> Answer:
        # Django looks at the version only as it connects.
        connections[empty_database].close()
        return ops(command, database=empty_database)

    answer, backup = ask("preflight_migrate"), ask("backup_db")

    assert (answer.code, answer.ids) == (1, ["server-too-old"])
    assert "PostgreSQL 99 or later is required" in answer.report["findings"][0]["message"]
    assert (backup.code, backup.ids) == (3, ["server-too-old"])
    connections[empty_database].close()
    with pytest.raises(NotSupportedError):
        call_command("migrate", database=empty_database, verbosity=0, stdout=StringIO())
