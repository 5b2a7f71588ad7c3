"""restore_db rolls the database back to a backup, and leaves it as before or as wanted."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from django.test import override_settings

from opsmigrate.schema.history import applied_migrations
from tests.backups import scratch_databases
from tests.conftest import ODD_NAME, Answer, Ops, execute, query, url_of
from tests.remedies import Typist
from tests.rollbacks import kept_databases, oid, payments, restore
from tests.sessions import stranger

pytestmark = [pytest.mark.major, pytest.mark.usefixtures("no_kept_database")]


def test_the_whole_round_back_up_migrate_use_roll_back_migrate_again(
    taken: tuple[str, Path], ops: Ops
) -> None:
    alias, file = taken
    before = applied_migrations(connections[alias])

    def migrate() -> None:
        for command in ("seed_payment_id", "migrate", "make_treasury_demo"):
            call_command(command, database=alias, verbosity=0, stdout=StringIO())

    migrate()
    undone = set(applied_migrations(connections[alias])) - set(before)
    assert any(name.startswith("treasury.0002") for name in undone)
    execute(connections[alias], "DELETE FROM treasury_alert")
    execute(connections[alias], "UPDATE treasury_payment SET memo = 'used' WHERE id <= 3")

    answer = restore(ops, alias, str(file))

    assert answer.code == 0, answer.stdout
    facts = answer.report["facts"]
    assert set(facts["migrations_undone"]) == undone
    assert tuple(facts["migrations"]) == before == applied_migrations(connections[alias])
    assert facts["release"] == "test-release"
    assert payments(alias) == 500
    assert query(alias, "SELECT count(*) FROM treasury_payment WHERE memo = 'used'") == [(0,)]
    assert query(alias, "SELECT to_regclass('treasury_alert')") == [(None,)]
    assert [facts["former_database"]] == kept_databases(alias)
    assert scratch_databases(alias) == []
    migrate()
    assert set(applied_migrations(connections[alias])) == undone | set(before)


def test_the_rollback_is_undone_and_done_again(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    connection = connections[alias]
    name = connection.settings_dict["NAME"]
    comment = sql.SQL("COMMENT ON DATABASE {} IS 'of the live one'")
    execute(connection, comment.format(sql.Identifier(name)))
    execute(connection, "CREATE TABLE since AS SELECT 1 AS id")
    live = oid(alias)
    said = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"

    kept = restore(ops, alias, str(file)).report["facts"]["former_database"]
    assert oid(alias) != live
    assert query(alias, said, [name]) == [(None,)]
    assert json.loads(query(alias, said, [kept])[0][0])["comment"] == "of the live one"
    execute(connections[alias], "CREATE TABLE after_it AS SELECT generate_series(1, 3) AS id")
    connections[alias].close()

    undone = restore(ops, alias, undo=True)
    assert undone.code == 0, undone.stdout
    assert oid(alias) == live
    assert query(alias, said, [name]) == [("of the live one",)]
    assert [each["table"] for each in undone.report["facts"]["lost_writes"]] == ["public.after_it"]

    again = restore(
        ops, alias, undo=True, format="text", settings="shop.staging", approval="Ada, T-42"
    )
    assert again.code == 0
    assert query(alias, "SELECT count(*) FROM after_it") == [(3,)]
    assert query(alias, said, [name]) == [(None,)]

    # What it says to type afterwards, as it stands there.
    lines = again.stdout.splitlines()
    assert lines[lines.index("To undo:") + 1] == (
        f"  python manage.py restore_db --database {alias} --settings=shop.staging --undo"
        " --approval 'Ada, T-42'"
    )
    [kept] = kept_databases(alias)
    drop = lines[lines.index("When everything is in order, drop the former database:") + 1].strip()
    with stranger(alias, database="postgres") as beside:
        beside.set_autocommit(True)
        execute(beside, drop)
    assert kept not in kept_databases(alias)


def test_without_a_rollback_there_is_nothing_to_undo(staging: str, ops: Ops) -> None:
    answer = restore(ops, staging, undo=True)

    assert (answer.code, answer.ids) == (2, ["nothing-to-undo"])


def test_into_restores_beside_and_touches_nothing(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    live, name = oid(alias), f"{ODD_NAME}_before_20260101_000000"

    answer = ops("restore_db", str(file), database=alias, into=name)

    assert answer.code == 0, answer.stdout
    assert oid(alias) == live
    assert kept_databases(alias) == [name]
    with stranger(alias, database=name) as beside, beside.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM treasury_payment")
        assert cursor.fetchone() == (500,)
    again = ops("restore_db", str(file), database=alias, into=name)
    assert (again.code, again.ids) == (2, ["database-exists"])
    assert scratch_databases(alias) == []


def test_a_backup_of_another_database_is_only_restored_beside(
    taken: tuple[str, Path], ops: Ops, new_database: Callable[..., str]
) -> None:
    _, file = taken
    other = new_database()

    answer = restore(ops, other, str(file))

    assert (answer.code, answer.ids) == (4, ["other-database"])
    assert answer.report["findings"][0]["hint"] == (
        "restore it into a new database beside this one, with --into"
    )


def test_a_backup_that_is_not_whole_rolls_nothing_back(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    live = oid(alias)

    answer = restore(ops, alias, str(file))

    assert (answer.code, answer.ids) == (1, ["archive-changed"])
    assert answer.report["facts"]["summary"].endswith("; the live database is as it was")
    assert (oid(alias), kept_databases(alias)) == (live, [])


def test_a_subscription_is_in_the_way_unless_it_may_stay_behind(
    taken: tuple[str, Path], ops: Ops, typist: Typist
) -> None:
    alias, file = taken
    make = "CREATE SUBSCRIPTION sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)"
    execute(connections[alias], make)

    refused = restore(ops, alias, str(file))
    gone = restore(ops, alias, str(file), keep_slots=True)
    [finding] = refused.report["findings"]
    connections[alias].close()
    kept = connections[alias].settings_dict
    live, kept["NAME"] = kept["NAME"], gone.report["facts"]["former_database"]
    try:
        # Its publisher is gone: the first way is an error, and the other one works.
        with pytest.raises(AssertionError, match="could not connect to publisher"):
            typist.type(alias, finding)
        assert typist.type(alias, finding, alternative=2) == []
        assert query(alias, "SELECT subname FROM pg_subscription") == []
        # Without a slot of its own it asks nobody.
        execute(connections[alias], make.replace("false", "false, slot_name = NONE"))
        assert typist.type(alias, finding) == []
        assert query(alias, "SELECT subname FROM pg_subscription") == []
    finally:
        connections[alias].close()
        kept["NAME"] = live

    assert (refused.code, refused.ids) == (4, ["rollback-blocked"])
    assert finding["message"] == (
        "the subscription sub prevents the rollback: it would not follow the name of the database"
    )
    assert gone.code == 0
    assert query(alias, "SELECT count(*) FROM treasury_payment") == [(500,)]


def test_production_demands_an_approval(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "production"}):
        refused = restore(ops, alias, str(file))
        beside = ops(
            "restore_db", str(file), database=alias, into=f"{ODD_NAME}_before_20260101_000000"
        )
        done = restore(ops, alias, str(file), approval="Ada")

    assert (refused.code, refused.ids) == (4, ["approval-needed"])
    assert beside.code == 0
    assert done.report["facts"]["approval"] == "Ada"


@pytest.mark.parametrize(
    ("arguments", "id"),
    [
        ([], "no-backup-given"),
        (["x.dump", "--undo"], "no-backup-given"),
        (["x.dump"], "not-confirmed"),
        (["x.dump", "--no-input"], "unknown-backup"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    staging: str, manage: Callable[..., Answer], arguments: list[str], id: str
) -> None:
    answer = manage("restore_db", *arguments, "--format", "json", url=url_of(staging))

    assert (answer.code, answer.ids) == (2, [id])
