"""migrate_safely: what passed is applied, one at a time, and no writer waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections

from opsmigrate.playbook.lock_holders import IDLE_SECONDS
from opsmigrate.playbook.one_at_a_time import LOCK_SPACE, OF_ITS_PROCESS, OF_THE_COMMAND
from tests.aliases import alias_of
from tests.conftest import STRANGER, Answer, Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.interrupting import wait_until
from tests.playbook_stub import OUR_LOCKS
from tests.rehearsals import prepared
from tests.sessions import held, stranger

ADD_AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
ADD_COLOUR = 'migrations.AddField("cage", "colour", models.TextField(null=True)),'
INDEX = 'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),'
HOLD = "SELECT * FROM zoo_cage"
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = 'zoo_cage'::regclass AND attnum > 3"


def safely(ops: Ops, alias: str, **options: Any) -> Answer:
    return ops("migrate_safely", "zoo", database=alias, **options)


def columns(alias: str) -> set[str]:
    return {name for (name,) in query(alias, COLUMNS)}


def applied(alias: str) -> list[str]:
    rows = query(alias, "SELECT name FROM django_migrations WHERE app = 'zoo' ORDER BY name")
    return [name for (name,) in rows]


BUILDS = "query ~ 'CONCURRENTLY'"
WRITE = "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'secret')"
ADDS_A_COLUMN = "query ~ 'ADD COLUMN'"


@contextmanager
def held_for(
    alias: str, seconds: float, waiting: str = ADDS_A_COLUMN, statement: str = HOLD
) -> Iterator[None]:
    """Hold the table until the migration waits for it, and so many seconds more."""
    ready = threading.Event()
    looked = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {waiting}"

    def hold() -> None:
        with (
            held(alias, statement) as other,
            stranger(alias) as looking,
            looking.cursor() as cursor,
        ):
            ready.set()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                cursor.execute(looked)
                if cursor.fetchone():
                    break
                time.sleep(0.01)
            time.sleep(seconds)
            execute(other, "COMMIT")

    thread = threading.Thread(target=hold, name=STRANGER)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def writers_never_wait(alias: str, milliseconds: int) -> Iterator[list[float]]:
    """Fail where an INSERT of an application waits for longer than so many milliseconds."""
    done, stalled, waits = threading.Event(), [], []

    def write() -> None:
        with stranger(alias) as other:
            execute(other, f"SET statement_timeout = {milliseconds}")
            while not done.is_set():
                began = time.monotonic()
                try:
                    execute(
                        other,
                        "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'w')",
                    )
                except OperationalError as error:
                    stalled.append(str(error))
                waits.append(time.monotonic() - began)
                time.sleep(0.01)

    thread = threading.Thread(target=write, name=STRANGER)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()
    assert waits
    assert stalled == [], "a writer queued behind the migration"


def test_what_passed_is_applied(ops: Ops, empty_database: str, write_migrations: Write) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    answer = safely(ops, alias)

    assert answer.code == 0, answer.stdout + answer.stderr
    facts = answer.report["facts"]
    assert facts["summary"] == "1 migration applied, in 1 try"
    assert facts["applied"] == ["zoo.0002_step"]
    assert (facts["attempts"], facts["lock_timeout_seconds"]) == (1, 0.1)
    assert facts["statement_timeout_seconds"] == 60
    assert "age" in columns(alias)


def test_what_did_not_pass_is_not_applied(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(
        empty_database, write_migrations, ADD_AGE, "ALTER TABLE zoo_cage ADD age integer"
    )

    answer = safely(ops, alias)

    assert (answer.code, answer.ids[0]) == (1, "column-exists")
    assert answer.report["facts"]["summary"].startswith("nothing was migrated: ")
    assert applied(alias) == ["0001_step"]


def test_a_dry_run_says_what_it_would_do_with(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    said = safely(ops, alias, dry_run=True, format="text", attempts=7)

    assert said.code == 0
    assert "lock_timeout 0.1 s, set by migrate_safely" in said.stdout
    assert "statement_timeout 60 s, set by migrate_safely" in said.stdout
    assert "It would try at most 7 times" in said.stdout
    assert applied(alias) == ["0001_step"]


def test_the_time_outs_that_it_leaves_alone_are_said_as_they_stand(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    """What code takes no forecast knows: statement_timeout stays as the alias has it."""
    code = "migrations.RunPython(lambda apps, editor: None),"
    alias = prepared(empty_database, write_migrations, code)
    settings = connections[alias].settings_dict
    options = {**settings["OPTIONS"], "options": "-c statement_timeout=7s -c lock_timeout=9s"}
    choices = {"dry_run": True, "format": "text", "accept_undecided": True, "rehearse": "off"}

    plain = safely(ops, alias, **choices)
    with alias_of("given", **{**settings, "OPTIONS": options}) as given:
        limited = safely(ops, given, **choices)

    assert plain.code == limited.code == 0, plain.stdout
    for said in (plain, limited):
        assert "lock_timeout 0.1 s, set by migrate_safely" in said.stdout
    assert "statement_timeout none" in plain.stdout
    assert "statement_timeout 7 s, set by the client" in limited.stdout


@pytest.mark.parametrize(
    "seconds",
    [1, pytest.param(5, marks=pytest.mark.faults), pytest.param(30, marks=pytest.mark.long)],
)
def test_beside_a_session_that_holds_the_table_no_writer_waits(
    ops: Ops, empty_database: str, write_migrations: Write, seconds: int
) -> None:
    """The writer's own statement_timeout would end it: it is far above lock_timeout, and below
    what the table is held for."""
    alias = prepared(empty_database, write_migrations, ADD_AGE)

    # From the first try on: until then a second or two go by.
    with writers_never_wait(alias, 900), held_for(alias, seconds):
        answer = safely(ops, alias, lock_timeout=0.1)

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["attempts"] > 1
    assert "age" in columns(alias)


def test_without_its_lock_nothing_is_applied(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    """The migration has done something in its transaction by the time it waits."""
    alias = prepared(
        empty_database,
        write_migrations,
        'migrations.CreateModel("Den", [("id", models.BigAutoField(primary_key=True))]),' + ADD_AGE,
    )

    with held(alias, WRITE):
        answer = safely(ops, alias, lock_timeout=0.05, attempts=1)

    assert (answer.code, answer.ids[0]) == (3, "lock-not-obtained")
    finding = answer.report["findings"][0]
    assert "zoo.0002_step" in finding["message"]
    assert "till" in finding["message"]
    assert "last: INSERT INTO zoo_cage (code, name) VALUES …" in finding["message"]
    assert "secret" not in answer.stdout + answer.stderr
    assert applied(alias) == ["0001_step"]
    assert query(alias, "SELECT to_regclass('zoo_den')") == [(None,)]


@pytest.mark.faults
def test_the_migrations_before_the_one_without_its_lock_stay(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)
    write_migrations(CAGE, 'migrations.RunSQL("SELECT 1"),', ADD_AGE)

    with held(alias, HOLD):
        answer = safely(ops, alias, lock_timeout=0.05, attempts=1, accept_undecided=True)

    assert (answer.code, answer.ids[0]) == (5, "migrate-stopped"), answer.stdout
    assert answer.report["facts"]["applied"] == ["zoo.0002_step"]
    assert applied(alias) == ["0001_step", "0002_step"]
    assert safely(ops, alias).code == 0


def test_a_migration_that_is_not_atomic_is_not_tried_blindly(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    """What it did stays; what to type is that of the recovery, and typing it mends it."""
    alias = prepared(empty_database, write_migrations, ADD_AGE + ADD_COLOUR, atomic=False)
    execute(connections[alias], TAKE_AT_COLOUR)

    answer = safely(ops, alias, lock_timeout=0.05, attempts=5, accept_undecided=True)

    assert (answer.code, answer.ids[0]) == (5, "migrate-stopped"), answer.stdout
    assert answer.report["facts"]["attempts"] == 1
    assert "half-way" in answer.report["findings"][0]["message"]
    assert answer.report["findings"][0]["steps"]
    assert columns(alias) >= {"age"}
    assert "colour" not in columns(alias)


# An event trigger that fails as a lock that is not obtained does, for the second statement only.
TAKE_AT_COLOUR = """
CREATE FUNCTION late() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_query() ~ 'colour' THEN
    RAISE EXCEPTION 'canceling statement due to lock timeout' USING ERRCODE = '55P03';
  END IF;
END $$;
CREATE EVENT TRIGGER late ON ddl_command_start EXECUTE FUNCTION late();
"""


@pytest.mark.faults
def test_one_that_is_not_atomic_and_did_nothing_is_tried_again(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE + ADD_COLOUR, atomic=False)

    with held_for(alias, 0.3):
        answer = safely(ops, alias, lock_timeout=0.05)

    assert answer.code == 0, answer.stdout
    assert answer.report["facts"]["attempts"] > 1
    assert columns(alias) >= {"age", "colour"}


@pytest.mark.faults
def test_what_runs_concurrently_waits_longer(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    """Ended by lock_timeout, it would leave an INVALID index; and it blocks nobody."""
    alias = prepared(empty_database, write_migrations, INDEX, atomic=False)

    with writers_never_wait(alias, 900), held_for(alias, 0.5, BUILDS, WRITE):
        answer = safely(ops, alias, lock_timeout=0.05, attempts=1)

    assert answer.code == 0, answer.stdout
    assert query(alias, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'zoo_size'::regclass")


@pytest.mark.faults
def test_a_session_that_only_idles_is_ended_where_that_is_asked_for(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, ADD_AGE)
    mended = safely_ending(ops, alias)

    assert mended.code == 0, mended.stdout
    assert len(mended.report["facts"]["ended_sessions"]) == 1


def safely_ending(ops: Ops, alias: str) -> Answer:
    """Migrate beside one session that idles, and one that is at work, which must stay."""
    with held(alias, HOLD), held(alias, "SELECT 1") as busy:
        time.sleep(IDLE_SECONDS)
        execute(busy, "SELECT * FROM zoo_cage")
        time.sleep(0.2)
        done = threading.Event()

        def work() -> None:
            while not done.wait(0.2):
                execute(busy, "SELECT 1")
            execute(busy, "COMMIT")

        busy.inc_thread_sharing()
        thread = threading.Thread(target=work, name=STRANGER)
        thread.start()
        ender = threading.Timer(4, done.set)
        ender.start()
        try:
            return safely(ops, alias, end_blockers=True, attempts=30)
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    "taken",
    ["pg_advisory_lock", "pg_advisory_lock_shared"],
    ids=["another command", "what a killed one has left at work"],
)
def test_a_second_one_is_refused(ops: Ops, staging: str, taken: str) -> None:
    key = OF_THE_COMMAND if taken == "pg_advisory_lock" else OF_ITS_PROCESS

    with held(staging, f"SELECT {taken}({LOCK_SPACE}, {key})"):
        answer = ops("migrate_safely", database=staging)

    assert (answer.code, answer.ids) == (4, ["already-running"])
    assert "(till, " in answer.report["findings"][0]["message"]
    wait_until(lambda: not query(staging, OUR_LOCKS))


# True in the process that migrates only: as if a deploy had come in between.
IN_PROCESS = '"migrate_child" in __import__("sys").argv[0]'


def test_a_plan_that_is_another_by_then_is_not_applied(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(
        empty_database, write_migrations, f"{ADD_AGE} *([{ADD_COLOUR}] if {IN_PROCESS} else []),"
    )

    answer = safely(ops, alias)

    assert (answer.code, answer.ids[0]) == (4, "plan-changed"), answer.stdout
    assert "zoo.0002_step has another content" in answer.report["findings"][0]["message"]
    assert columns(alias).isdisjoint({"age", "colour"})


@pytest.mark.faults
def test_a_process_that_reaches_another_database_migrates_nothing(
    ops: Ops, empty_database: str, write_migrations: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias of this process leads to one database, and that of the settings to another."""
    alias = prepared(empty_database, write_migrations, ADD_AGE)
    here = connections["default"].settings_dict
    monkeypatch.setitem(here, "NAME", connections[alias].settings_dict["NAME"])
    connections["default"].close()

    try:
        answer = safely(ops, "default")
    finally:
        connections["default"].close()

    assert (answer.code, answer.ids[0]) == (4, "another-database"), answer.stdout
    assert "age" not in columns(alias)


@pytest.mark.faults
def test_a_process_that_is_killed_leaves_nothing_of_its_migration(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    kill = f"(lambda *a: {IN_PROCESS} and __import__('os').kill(__import__('os').getpid(), 9))"
    alias = prepared(empty_database, write_migrations, f"{ADD_AGE} migrations.RunPython({kill}),")

    answer = safely(ops, alias, accept_undecided=True)

    assert (answer.code, answer.ids[0]) == (3, "migrate-stopped"), answer.stdout
    assert "by signal 9; 0 migrations of 1 applied" in answer.report["facts"]["summary"]
    assert applied(alias) == ["0001_step"]
    assert "age" not in columns(alias)


@pytest.mark.faults
def test_a_migration_that_fails_says_where_and_what_is_left(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    broken = f"migrations.RunPython(lambda *a: 1 // (0 if {IN_PROCESS} else 1)),"
    alias = prepared(empty_database, write_migrations, ADD_AGE + ADD_COLOUR)
    write_migrations(CAGE, ADD_AGE, ADD_COLOUR + broken)

    answer = safely(ops, alias, accept_undecided=True)

    assert (answer.code, answer.ids[0]) == (1, "migrate-failed"), answer.stdout
    finding = answer.report["findings"][0]
    assert finding["migration"] == "zoo.0003_step"
    assert "division" in finding["message"]
    assert answer.report["facts"]["applied"] == ["zoo.0002_step"]
    assert "age" in columns(alias)
    assert "colour" not in columns(alias)
