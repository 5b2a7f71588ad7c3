"""The story: a clear no on the drifted staging database, a yes after the seed, nothing changed."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from tests.aliases import guest
from tests.conftest import Answer, Ops, environment_for, execute, query, url_of
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import dump
from tests.remedies import Typist

pytestmark = pytest.mark.major

TARGET = "treasury.0002_phase6_dashboard_models"


def test_the_drifted_database_gets_a_clear_no_and_after_the_seed_a_yes(
    staging: str, ops: Ops, typist: Typist
) -> None:
    before = ops("preflight_migrate", database=staging)
    finding = before.report["findings"][0]

    assert (before.code, before.report["verdict"]) == (1, "failed")
    assert finding["id"] == "missing-column"
    assert finding["migration"] == TARGET
    assert (finding["table"], finding["column"]) == ("public.treasury_payment", "payment_id")
    assert finding["hint"] is None
    assert [step["text"] for step in finding["steps"]] == [
        f"python manage.py seed_payment_id --database {staging}"
    ]
    assert before.report["undecided"] == []
    assert migrate(staging, "treasury") is not None

    assert typist.type(staging, finding) == []
    after = ops("preflight_migrate", "treasury", "0002", database=staging)

    assert (after.code, after.report["verdict"], after.ids) == (0, "passed", [])
    assert migrate(staging, "treasury", "0002") is None


def test_the_steps_are_typed_in_the_project_s_folder_as_they_stand(
    staging: str, manage: Callable[..., Answer], typist: Typist
) -> None:
    url, development = url_of(staging), {"OPSMIGRATE_ENVIRONMENT": "development"}
    ask = ("preflight_migrate", "treasury", "0002", "--format", "json")

    before = manage(*ask, url=url, **development)
    finding = before.report["findings"][0]
    env = environment_for(url, **development)
    assert typist.type(staging, finding, process=env) == []

    assert [step["text"] for step in finding["steps"]] == [
        "python manage.py seed_payment_id --settings=staging_settings"
    ]
    assert manage(*ask, url=url, **development).code == 0
    assert manage("migrate", "treasury", "0002", url=url, **development).code == 0


def test_in_production_the_steps_have_the_approval_without_which_they_would_be_refused(
    staging: str, ops: Ops, typist: Typist, settings: Any, tmp_path: Path
) -> None:
    production = {"ENVIRONMENT": "production", "BACKUP_DIR": str(tmp_path)}
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, **production}
    approved = f'python manage.py seed_payment_id --database {staging} --approval "who approved it"'
    assert ops("backup_db", database=staging).code == 0

    no = ops("preflight_migrate", database=staging).report["findings"][0]
    refused = ops("seed_payment_id", database=staging)

    (finding,) = refused.report["findings"]
    assert (refused.code, finding["id"]) == (4, "approval-needed")
    assert [step["text"] for step in (*no["steps"], *finding["steps"])] == [approved, approved]
    assert typist.type(staging, finding) == []
    assert ops("preflight_migrate", database=staging).code == 0


def test_a_column_that_may_be_there_under_another_name_is_renamed_rather_than_seeded(
    staging: str, ops: Ops, typist: Typist
) -> None:
    assert ops("seed_payment_id", database=staging).code == 0
    ids = "SELECT id, {} FROM treasury_payment ORDER BY id"
    before = query(staging, ids.format("payment_id"))
    rename = "ALTER TABLE treasury_payment RENAME payment_id TO uid"
    execute(connections[staging], rename)

    answer = ops("preflight_migrate", "treasury", "0002", database=staging)

    # Two foreign keys need it, and whoever reads only of the second is told the same.
    finding, another = [
        item for item in answer.report["findings"] if item["id"] == "missing-column"
    ]
    assert (another["hint"], another["steps"]) == (finding["hint"], finding["steps"])
    assert [(step["alternative"], step["text"]) for step in finding["steps"]] == [
        (1, 'ALTER TABLE "public"."treasury_payment" RENAME COLUMN "uid" TO "payment_id";'),
        (2, f"python manage.py seed_payment_id --database {staging}"),
    ]
    assert typist.type(staging, finding) == []
    assert ops("preflight_migrate", "treasury", "0002", database=staging).code == 0
    assert migrate(staging, "treasury", "0002") is None
    assert query(staging, ids.format("payment_id")) == before


@pytest.mark.parametrize("seeded", [False, True])
def test_the_examined_database_is_unchanged(seeded: bool, staging: str, ops: Ops) -> None:
    if seeded:
        ops("seed_payment_id", database=staging)
    before = dump(staging)

    ops("preflight_migrate", database=staging)

    assert dump(staging) == before


def test_the_catalog_is_read_in_as_many_queries_for_a_thousand_tables_as_for_ten(
    staging: str, ops: Ops, django_assert_num_queries: Callable[..., object]
) -> None:
    connection = connections[staging]
    counts = []
    # What the server itself brings is read once.
    ops("preflight_migrate", database=staging)
    for tables in (10, 1000):
        execute(
            connection,
            f"DO $$ BEGIN FOR i IN 1..{tables} LOOP EXECUTE 'CREATE TABLE IF NOT EXISTS t' || i ||"
            " ' (id int PRIMARY KEY, other int REFERENCES treasury_account, n text UNIQUE)';"
            " END LOOP; END $$",
        )
        connection.force_debug_cursor = True
        connection.queries_log.clear()
        catalog = read_catalog(connection)
        assert len(catalog.relations) > tables
        reading = len(connection.queries_log)
        connection.queries_log.clear()
        ops("preflight_migrate", database=staging)
        counts.append((reading, len(connection.queries_log)))
        connection.force_debug_cursor = False

    assert counts[0] == counts[1]
    assert counts[0][0] == 14  # ten, two about whose code is trusted, BEGIN and COMMIT


def test_a_backup_can_be_required(staging: str, ops: Ops, settings: Any, tmp_path: Path) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "BACKUP_DIR": str(tmp_path)}
    ops("seed_payment_id", database=staging)

    without = ops("preflight_migrate", database=staging, require_backup=1.0)
    taken = ops("backup_db", database=staging)
    with_it = ops("preflight_migrate", database=staging, require_backup=1.0)
    migrate(staging, "treasury")
    later = ops("preflight_migrate", database=staging, require_backup=1.0)

    assert (without.code, without.ids) == (4, ["backup-missing"])
    assert with_it.code == 0
    assert taken.report["facts"]["file"].endswith(with_it.report["facts"]["backup"])
    assert (later.code, later.ids) == (4, ["backup-missing"])


def test_a_role_that_does_not_own_the_table_is_told_so(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]], ops: Ops
) -> None:
    owner = new_database()
    call_command("make_legacy_staging", database=owner, rows=10, stdout=StringIO())
    ops("seed_payment_id", database=owner)
    user = role()
    # PostgreSQL 14 lets everybody create tables in it.
    execute(connections[owner], "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    execute(
        connections[owner], f"""GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{user["USER"]}" """
    )
    with guest(owner, user) as alias:
        answer = ops("preflight_migrate", database=alias)
        failure = migrate(alias, "treasury")

    assert (answer.code, set(answer.ids)) == (1, {"missing-privilege"})
    messages = [finding["message"] for finding in answer.report["findings"]]
    assert "the role may not create tables in schema public" in messages
    assert any("needs the REFERENCES privilege on public.treasury_payment" in m for m in messages)
    assert failure is not None


def test_an_index_on_a_column_that_is_computed_as_it_is_read(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    virtual = connections[empty_database].pg_version >= 180_000
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    kind = "VIRTUAL" if virtual else "STORED"
    for statement in (
        "ALTER TABLE zoo_cage DROP COLUMN size",
        f"ALTER TABLE zoo_cage ADD COLUMN size int GENERATED ALWAYS AS (1) {kind}",
    ):
        execute(connections[empty_database], statement)
    write_migrations(CAGE, 'migrations.AddIndex("cage", models.Index(fields=["size"], name="s")),')

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    errors = [each["id"] for each in answer.report["findings"] if each["severity"] == "error"]
    assert errors == (["computed-column"] if virtual else []), answer.stdout
    assert (migrate(empty_database, "zoo") is not None) is virtual


def test_a_foreign_key_that_a_migration_would_drop_without_a_word_is_a_warning(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], "CREATE TABLE yard (cage bigint REFERENCES zoo_cage)")
    write_migrations(CAGE, 'migrations.DeleteModel("Cage"),')

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    warned = [each for each in answer.report["findings"] if each["severity"] == "warning"]
    assert (answer.code, [each["id"] for each in warned]) == (0, ["dropped-by-cascade"])
    assert "yard_cage_fkey of public.yard" in warned[0]["message"]
    assert migrate(empty_database, "zoo") is None


def test_a_view_that_a_migration_would_drop_without_a_word_is_a_warning(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(
        'migrations.CreateModel("Cage", [("id", models.BigAutoField(primary_key=True))]),',
    )
    migrate(empty_database, "zoo")
    execute(connections[empty_database], "CREATE VIEW cages AS SELECT id FROM zoo_cage")
    write_migrations(
        'migrations.CreateModel("Cage", [("id", models.BigAutoField(primary_key=True))]),',
        'migrations.DeleteModel("Cage"),',
    )

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (0, ["view-dropped-by-cascade"])
    assert "public.cages" in answer.report["findings"][0]["message"]
    assert migrate(empty_database, "zoo") is None
