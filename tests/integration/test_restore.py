"""restore_db rolls the database back to a backup, and leaves it as before or as wanted."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from django.test import override_settings

from opsmigrate.backup import exchange
from opsmigrate.backup import swap as swap_module
from opsmigrate.backup.exchange import Place, roll_back
from opsmigrate.backup.rollback import Loss, loss_since
from opsmigrate.backup.verify import Verification
from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.manifest import read_manifests
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.postgres.session import open_second, read_session
from opsmigrate.schema.history import applied_migrations
from tests.backups import SILENT, act_as, backup, scratch_databases
from tests.conftest import ODD_NAME, ROOT, Answer, Ops, environment_for, execute, query, url_of

pytestmark = pytest.mark.major


@pytest.fixture
def taken(staging: str, ops: Ops, tmp_path: Path) -> tuple[str, Path]:
    """The alias of the staging database, and a backup of it."""
    # A session that ends hands its statistics over.
    connections[staging].close()
    _, file = backup(ops, staging, tmp_path)
    return staging, file


def drop_kept() -> None:
    """Drop what rollbacks kept, which is theirs to keep and ours to remove."""
    maintenance = open_second(connections["default"], database="postgres")
    for name in kept_databases("default"):
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        execute(maintenance, drop.format(sql.Identifier(name)))
    maintenance.close()


@pytest.fixture
def roles(role: Callable[..., dict[str, str]]) -> Iterator[Callable[..., dict[str, str]]]:
    """Make roles, which can be dropped when no database is theirs any more."""
    yield role
    drop_kept()
    default = open_second(connections["default"], database="postgres")
    with default.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [ODD_NAME])
        for (name,) in cursor.fetchall():
            change = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
            cursor.execute(change.format(sql.Identifier(name)))
    default.close()


@pytest.fixture(autouse=True)
def _no_database_stays(new_database: object) -> Iterator[None]:
    yield
    drop_kept()


def kept_databases(alias: str) -> list[str]:
    """Return the databases of these tests that have the name of one that was kept."""
    other = open_second(connections[alias], database="postgres")
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
            " AND datname ~ '_before_[0-9]{8}_'",
            [ODD_NAME],
        )
        names = [name for (name,) in cursor.fetchall()]
    other.close()
    return names


def payments(alias: str) -> int:
    connections[alias].close()
    return int(query(alias, "SELECT count(*) FROM treasury_payment")[0][0])


def oid(alias: str) -> int:
    found = query(alias, "SELECT oid FROM pg_database WHERE datname = current_database()")
    return int(found[0][0])


def restore(ops: Ops, alias: str, *args: str, **options: object) -> Answer:
    return ops("restore_db", *args, database=alias, no_input=True, **options)


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
    assert [facts["kept"]] == kept_databases(alias)
    assert scratch_databases(alias) == []
    migrate()
    assert set(applied_migrations(connections[alias])) == undone | set(before)


def test_what_was_lost_is_told_table_by_table(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    connection = connections[alias]
    execute(connection, "UPDATE treasury_payment SET memo = 'x' WHERE id <= 4")
    execute(connection, "CREATE TABLE since AS SELECT generate_series(1, 7) AS id")
    execute(connection, "CREATE TABLE stays (id int)")
    connection.close()

    lost = {each["table"]: each for each in restore(ops, alias, str(file)).report["facts"]["lost"]}

    assert lost["public.treasury_payment"]["updated"] == 4
    assert lost["public.since"]["inserted"] == 7
    assert "public.stays" not in lost


def test_after_a_reset_of_the_statistics_no_wrong_number_is_told(
    taken: tuple[str, Path],
) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    connection = connections[alias]
    execute(connection, "SELECT pg_stat_reset()")
    # More than before the backup: the counters alone would tell of a few rows.
    execute(connection, "UPDATE treasury_payment SET memo = memo || 'x'")
    connection.close()
    known = {"public.treasury_payment": [0, 1, 0, relation_of(alias, "treasury_payment")]}

    [lost] = [
        each
        for each in loss_since(connections[alias], replace(manifest, counters=known)).written
        if each.table == "public.treasury_payment"
    ]

    assert lost.updated is None


def relation_of(alias: str, table: str) -> int:
    return int(query(alias, "SELECT %s::regclass::oid", [table])[0][0])


def test_rows_that_the_backup_was_taken_without_are_told_as_lost(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    execute(connections[staging], "CREATE TABLE audit AS SELECT generate_series(1, 7) AS id")
    connections[staging].close()
    _, file = backup(ops, staging, tmp_path, exclude_table_data=["audit"])

    [manifest] = read_manifests(tmp_path)

    told = loss_since(connections[staging], manifest).lines()
    assert "  public.audit: all its rows; the backup was taken without them" in told
    assert restore(ops, staging, str(file)).report["facts"]["left_out"] == ["public.audit"]


def test_the_rollback_is_undone_and_done_again(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    connection = connections[alias]
    name = connection.settings_dict["NAME"]
    comment = sql.SQL("COMMENT ON DATABASE {} IS 'of the live one'")
    execute(connection, comment.format(sql.Identifier(name)))
    execute(connection, "CREATE TABLE since AS SELECT 1 AS id")
    live = oid(alias)
    said = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"

    kept = restore(ops, alias, str(file)).report["facts"]["kept"]
    assert oid(alias) != live
    assert query(alias, said, [name]) == [(None,)]
    assert json.loads(query(alias, said, [kept])[0][0])["comment"] == "of the live one"
    execute(connections[alias], "CREATE TABLE after_it AS SELECT generate_series(1, 3) AS id")
    connections[alias].close()

    undone = restore(ops, alias, undo=True)
    assert undone.code == 0, undone.stdout
    assert oid(alias) == live
    assert query(alias, said, [name]) == [("of the live one",)]
    assert [each["table"] for each in undone.report["facts"]["lost"]] == ["public.after_it"]

    assert restore(ops, alias, undo=True).code == 0
    assert query(alias, "SELECT count(*) FROM after_it") == [(3,)]
    assert query(alias, said, [name]) == [(None,)]


def test_without_a_rollback_there_is_nothing_to_undo(staging: str, ops: Ops) -> None:
    answer = restore(ops, staging, undo=True)

    assert (answer.code, answer.ids) == (2, ["nothing-to-undo"])


def test_the_properties_that_pg_dump_leaves_out_come_back(
    taken: tuple[str, Path], ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    alias, _ = taken
    connection, reader = connections[alias], roles()["USER"]
    name = sql.Identifier(connection.settings_dict["NAME"])
    for statement in (
        "ALTER DATABASE {0} SET search_path TO \"$user\", public, 'O''x, y'",
        "ALTER DATABASE {0} SET statement_timeout TO '7min'",
        "ALTER DATABASE {0} CONNECTION LIMIT 55",
        "ALTER ROLE {1} IN DATABASE {0} SET work_mem TO '9MB'",
        "REVOKE ALL ON DATABASE {0} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {0} TO {1} WITH GRANT OPTION",
        "ALTER DATABASE {0} OWNER TO {1}",
        "COMMENT ON DATABASE {0} IS 'it''s \"the\" one'",
    ):
        execute(connection, sql.SQL(statement).format(name, sql.Identifier(reader)))
    looks = (
        "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(d.oid, 'pg_database'),"
        " ARRAY(SELECT a::text FROM unnest(datacl) a ORDER BY 1),"
        " (SELECT array_agg(setrole::regrole || ' ' || setconfig::text ORDER BY setrole)"
        "  FROM pg_db_role_setting WHERE setdatabase = d.oid)"
        " FROM pg_database d WHERE datname = current_database()"
    )
    before = query(alias, looks)
    _, file = backup(ops, alias, tmp_path)

    answer = restore(ops, alias, str(file))

    assert answer.code == 0, answer.stdout
    assert query(alias, looks) == before
    connections[alias].close()
    assert query(alias, "SHOW search_path") == [('"$user", public, "O\'x, y"',)]


@pytest.mark.major
def test_a_right_that_two_roles_granted_is_given_once(
    taken: tuple[str, Path], ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    alias, _ = taken
    connection, between, reader = connections[alias], roles()["USER"], roles()["USER"]
    names = [sql.Identifier(each) for each in (connection.settings_dict["NAME"], between, reader)]
    for statement in (
        "GRANT TEMP ON DATABASE {0} TO {1} WITH GRANT OPTION",
        "GRANT TEMP ON DATABASE {0} TO {2} WITH GRANT OPTION",
        "SET ROLE {1}",
        "GRANT TEMP ON DATABASE {0} TO {2}",
        "RESET ROLE",
    ):
        execute(connection, sql.SQL(statement).format(*names))
    _, file = backup(ops, alias, tmp_path)

    answer = restore(ops, alias, str(file))

    assert answer.code == 0, answer.stdout
    assert query(
        alias,
        "SELECT a.is_grantable FROM pg_database d, aclexplode(d.datacl) a"
        " WHERE datname = current_database() AND pg_get_userbyid(a.grantee) = %s",
        [reader],
    ) == [(True,)]


def test_the_owner_of_the_database_who_is_no_superuser_rolls_back(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    made, name = roles("CREATEDB"), connections[staging].settings_dict["NAME"]
    own = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    execute(connections[staging], own.format(sql.Identifier(name), sql.Identifier(made["USER"])))
    act_as(staging, made)
    owned = (
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        " UNION SELECT sequenceowner FROM pg_sequences"
    )
    before = query(staging, owned)
    _, file = backup(ops, staging, tmp_path)
    execute(connections[staging], "DELETE FROM treasury_payment WHERE id > 100")

    answer = restore(ops, staging, str(file))

    assert answer.code == 0, answer.stdout
    assert payments(staging) == 500
    assert query(staging, owned) == before


def test_one_who_does_not_own_the_database_is_refused(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, roles("CREATEDB"))
    _, file = backup(ops, staging, tmp_path)

    answer = restore(ops, staging, str(file))

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    assert answer.report["findings"][0]["hint"].startswith("ALTER DATABASE ")
    assert kept_databases(staging) == scratch_databases(staging) == []


def test_a_session_that_the_role_may_not_end_refuses(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    made, superuser = roles("CREATEDB"), open_second(connections[staging])
    name = connections[staging].settings_dict["NAME"]
    own = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    execute(superuser, own.format(sql.Identifier(name), sql.Identifier(made["USER"])))
    act_as(staging, made)
    _, file = backup(ops, staging, tmp_path)

    answer = restore(ops, staging, str(file))
    superuser.close()

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    assert "may not end the sessions of" in answer.report["findings"][0]["message"]
    assert kept_databases(staging) == []


def test_into_restores_beside_and_touches_nothing(taken: tuple[str, Path], ops: Ops) -> None:
    alias, file = taken
    live, name = oid(alias), f"{ODD_NAME}_before_20260101_000000"

    answer = ops("restore_db", str(file), database=alias, into=name)

    assert answer.code == 0, answer.stdout
    assert oid(alias) == live
    assert kept_databases(alias) == [name]
    beside = open_second(connections[alias], database=name)
    with beside.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM treasury_payment")
        assert cursor.fetchone() == (500,)
    beside.close()
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
    assert answer.report["findings"][0]["hint"] == "--into NAME restores it beside"


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
    taken: tuple[str, Path], ops: Ops
) -> None:
    alias, file = taken
    make = "CREATE SUBSCRIPTION sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)"
    execute(connections[alias], make)

    refused = restore(ops, alias, str(file))
    gone = restore(ops, alias, str(file), keep_slots=True)
    kept = open_second(connections[alias], database=gone.report["facts"]["kept"])
    for statement in (
        "ALTER SUBSCRIPTION sub SET (slot_name = NONE)",
        "DROP SUBSCRIPTION sub",
    ):
        execute(kept, statement)
    kept.close()

    assert (refused.code, refused.ids) == (4, ["rollback-blocked"])
    assert refused.report["findings"][0]["message"] == (
        "the subscription sub is in the way: it would not follow the name of the database"
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


def on_a_terminal(alias: str, file: Path, says: str) -> tuple[int, str]:
    """Run restore_db with a person at the keyboard, and return its code and what was shown."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "restore_db", str(file)],
        cwd=ROOT,
        env=environment_for(url_of(alias)),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(follower)
    os.write(leader, f"{says}\n{says}\n".encode())
    shown, _ = process.communicate(timeout=60)
    os.close(leader)
    return process.returncode, shown


def test_it_asks_and_a_no_changes_nothing(taken: tuple[str, Path]) -> None:
    alias, file = taken
    execute(connections[alias], "UPDATE treasury_payment SET memo = 'x' WHERE id = 1")
    live = oid(alias)
    connections[alias].close()

    code, shown = on_a_terminal(alias, file, "no")
    assert code == 4
    assert "public.treasury_payment: 0 inserted, 1 updated, 0 deleted" in shown
    assert "[not-confirmed]" in shown
    assert (oid(alias), kept_databases(alias)) == (live, [])

    connections[alias].close()
    code, shown = on_a_terminal(alias, file, "yes")
    assert code == 0, shown
    assert oid(alias) != live


def place_of(alias: str) -> Place:
    connection = connections[alias]
    session = read_session(connection)
    return Place(
        connection=connection,
        session=session,
        clients=find_clients(session.major, None),
        run_id="test",
        maintenance_db=None,
        progress=SILENT,
    )


def test_more_lost_than_somebody_said_yes_to_stops_it(taken: tuple[str, Path]) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    live, asked = oid(alias), []

    def yes(loss: Loss) -> bool:
        asked.append(loss)
        other = open_second(connections[alias])
        execute(other, "UPDATE treasury_payment SET memo = 'late' WHERE id = 1")
        other.close()
        return True

    with pytest.raises(RefusedError, match="more was written since you said yes") as caught:
        roll_back(replace(place_of(alias), confirm=yes), file, manifest)

    assert caught.value.id == "loss-grew"
    assert len(asked) == 2
    assert (oid(alias), kept_databases(alias), scratch_databases(alias)) == (live, [], [])
    assert query(alias, "SELECT memo FROM treasury_payment WHERE id = 1") == [("late",)]


def test_sessions_that_the_server_ends_when_they_are_idle_are_no_obstacle(
    taken: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    live, prove = oid(alias), exchange.prove_restored
    connections[alias].close()
    connections[alias].settings_dict["OPTIONS"]["options"] = "-c idle_session_timeout=500ms"

    def slowly(*args: Any, **options: Any) -> Verification:
        time.sleep(1)
        return prove(*args, **options)

    def yes(loss: Loss) -> bool:
        time.sleep(1)
        return True

    monkeypatch.setattr(exchange, "prove_restored", slowly)
    roll_back(replace(place_of(alias), confirm=yes), file, manifest)

    connections[alias].close()
    assert oid(alias) != live
    assert scratch_databases(alias) == []


SWAPS = """
import sys, time, django
django.setup()
from django.db import connection
from opsmigrate.backup import swap
point, replacement = sys.argv[1:]
def stop(here, *args):
    if here == point:
        print(here, flush=True)
        time.sleep(60)
swap.swap(
    connection, None, live=connection.settings_dict["NAME"], replacement=replacement, about={},
    require=lambda counters: stop("counted"), finish=lambda renaming: stop("renamed"),
)
print("swapped", flush=True)
"""


def test_stopped_in_the_middle_of_the_swap_the_server_does_not_wait_for_us_without_end(
    taken: tuple[str, Path], ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, file = taken
    live, beside = oid(alias), f"{ODD_NAME}_before_20260101_000000"
    assert ops("restore_db", str(file), database=alias, into=beside).code == 0
    monkeypatch.setattr(swap_module, "SECONDS_SILENT", 1)

    with pytest.raises(UndecidedError, match="the live one is as it was"):
        swap_module.swap(
            connections[alias],
            None,
            live=connections[alias].settings_dict["NAME"],
            replacement=beside,
            about={},
            require=lambda counters: None,
            finish=lambda renaming: time.sleep(3),
        )

    assert oid(alias) == live


@pytest.mark.parametrize("point", ["counted", "renamed"])
def test_killed_in_the_middle_of_the_swap_the_live_database_stays_live(
    taken: tuple[str, Path], ops: Ops, point: str
) -> None:
    alias, file = taken
    live, beside = oid(alias), f"{ODD_NAME}_before_20260101_000000"
    assert ops("restore_db", str(file), database=alias, into=beside).code == 0
    connections[alias].close()
    process = subprocess.Popen(
        [sys.executable, "-c", SWAPS, point, beside],
        cwd=ROOT,
        env=environment_for(url_of(alias), DJANGO_SETTINGS_MODULE="staging_settings"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == point
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert oid(alias) == live
    assert kept_databases(alias) == [beside]
    assert payments(alias) == 500
