"""What a rehearsal records of each statement: count, time, rows, WAL, locks and rewrites."""

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import prepared, rehearse, statements

pytestmark = pytest.mark.major

MANY = """
migrations.RunPython(lambda apps, editor: [
    apps.get_model("zoo", "Cage").objects.using(editor.connection.alias).filter(size=n).update(
        size=n + 1)
    for n in range(300)
]),
"""


def test_each_statement_has_its_locks_and_rewrites(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
migrations.AddIndex("cage", models.Index(fields=["name"], name="by_name")),
migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),
migrations.RunPython(lambda apps, editor: None),
"""
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    assert answer.code == 0
    found = {item["operation"]: item for item in statements(answer) if item["locks"]}
    index, alter = found["0: AddIndex"], found["1: AlterField"]
    assert (alter["migration"], alter["count"]) == ("zoo.0002_step", 1)
    assert alter["sql"].startswith("ALTER TABLE")
    assert alter["locks"] == [{"relation": "public.zoo_cage", "mode": "AccessExclusiveLock"}]
    # Its indexes are built again with it.
    assert "public.zoo_cage" in alter["rewrites"]
    assert "public.zoo_cage_pkey" in alter["rewrites"]
    assert alter["wal_bytes"] > 0
    assert index["sql"].startswith("CREATE INDEX")
    assert index["locks"] == [{"relation": "public.zoo_cage", "mode": "ShareLock"}]
    assert index["rewrites"] == []


def test_the_lock_of_a_statement_that_is_its_own_transaction_is_known_too(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
AddIndexConcurrently("cage", models.Index(fields=["name"], name="by_name")),
migrations.RunSQL('ALTER TABLE "zoo_cage" ADD CHECK (size > 0) NOT VALID'),
"""
    alias = prepared(empty_database, write_migrations, pending, atomic=False)

    answer = rehearse(ops, alias)

    assert answer.code == 0
    locks = [(item["sql"].split()[0], item["locks"]) for item in statements(answer)]
    table = "public.zoo_cage"
    assert ("CREATE", [{"relation": table, "mode": "ShareUpdateExclusiveLock"}]) in locks
    assert ("ALTER", [{"relation": table, "mode": "AccessExclusiveLock"}]) in locks


def test_what_code_repeats_is_one_entry_with_its_count(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answer = rehearse(ops, prepared(empty_database, write_migrations, MANY))

    assert answer.code == 0
    [update] = [item for item in statements(answer) if item["sql"].startswith("UPDATE")]
    assert (update["count"], update["rows"]) == (300, 299)
    assert update["seconds"] > 0
    assert update["wal_bytes"] > 299 * 50


def test_savepoints_are_one_entry_whatever_their_names(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
migrations.RunPython(lambda apps, editor: [
    apps.get_model("zoo", "Cage").objects.using(editor.connection.alias).get_or_create(name="a")
    and apps.get_model("zoo", "Cage").objects.using(editor.connection.alias).get_or_create(
        name=f"b{n}") for n in range(60)
]),
"""
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    texts = [item["sql"] for item in statements(answer)]
    assert answer.code == 0
    assert texts.count("SAVEPOINT …") == 1
    assert "(further statements)" not in texts


def test_statements_that_all_differ_do_not_make_a_large_report(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
migrations.RunPython(lambda apps, editor: [
    editor.execute(f"UPDATE zoo_cage SET size = {n}", None) for n in range(500)
]),
"""
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    found = [item for item in statements(answer) if item["operation"] == "0: RunPython"]
    assert len(found) == 51
    assert (found[-1]["sql"], found[-1]["count"]) == ("(further statements)", 450)


def test_what_is_deferred_belongs_to_the_operation_that_deferred_it(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE)),
]),
migrations.RunPython(lambda apps, editor: None),
"""
    answer = rehearse(ops, prepared(empty_database, write_migrations, pending))

    [key] = [item for item in statements(answer) if "FOREIGN KEY" in item["sql"]]
    assert key["operation"] == "0: CreateModel"
    assert {"relation": "public.zoo_cage", "mode": "ShareRowExclusiveLock"} in key["locks"]


def test_a_receiver_of_post_migrate_that_fails_is_no_migrations_failure(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(
        empty_database, write_migrations, "migrations.RunPython(lambda apps, editor: None),"
    )
    assert migrate(alias, "contenttypes") is None
    # The receiver makes the content types that are not there.
    execute(connections[alias], "DELETE FROM django_content_type")
    execute(connections[alias], "ALTER TABLE django_content_type ADD CHECK (id < 0)")

    answer = rehearse(ops, alias)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "rehearsal-failed")
    assert finding["migration"] is None
    receiver = "django.contrib.contenttypes.management.create_contenttypes"
    told = f"on a copy of the database the receiver {receiver} failed: IntegrityError"
    assert told in finding["message"]
    assert finding["operation"] == "post_migrate"
    assert "after its last migration" in answer.report["facts"]["summary"]
