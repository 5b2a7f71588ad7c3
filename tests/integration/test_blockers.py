"""Who holds now what the plan wants to lock is named, and only those."""

from collections.abc import Callable

import pytest
from django.db import connections

from opsmigrate.preflight.live import blockers
from opsmigrate.preflight.live.blockers import words_of
from tests.aliases import guest
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for, told
from tests.remedies import Typist
from tests.sessions import held

ADD = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
INDEX = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
CONCURRENTLY = 'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),'
READ = "SELECT * FROM zoo_cage WHERE name = 's3cret' AND size = 4711"
WRITE = "UPDATE zoo_cage SET size = 4711 WHERE name = 's3cret'"

HIDDEN = "activity-hidden"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every open transaction count as a long one."""
    monkeypatch.setattr(blockers, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(blockers, "FORGOTTEN_SECONDS", 0.0)
    monkeypatch.setattr(blockers, "WATCH_SECONDS", 0.1)


@pytest.fixture
def impatient(new_database: Callable[..., str]) -> str:
    """Return the alias of a database on which a wait for a lock ends in an error."""
    return new_database(OPTIONS={"options": "-c lock_timeout=10ms -c statement_timeout=1s"})


def prepared(alias: str, write: Write, pending: str, *, atomic: bool = True) -> None:
    write(CAGE)
    assert migrate(alias, "zoo") is None
    execute(connections[alias], ROW)
    execute(connections[alias], "CREATE TABLE elsewhere (id int)")
    write(CAGE, pending, atomic=atomic)


@pytest.mark.parametrize(
    ("pending", "doing", "waits"),
    [
        (ADD, READ, True),
        (ADD, WRITE, True),
        (ADD, "SELECT 1", False),
        (ADD, "SELECT * FROM elsewhere", False),
        (ADD, "LOCK TABLE zoo_cage IN SHARE UPDATE EXCLUSIVE MODE", True),
        (INDEX, READ, False),
        (INDEX, WRITE, True),
        (KEEPER, READ, False),
        (KEEPER, WRITE, True),
        ('migrations.DeleteModel("Cage"),', READ, True),
        ('migrations.AlterModelTableComment("cage", "of iron"),', WRITE, False),
    ],
)
def test_who_holds_a_table_that_the_plan_locks_is_named(
    pending: str,
    doing: str,
    waits: bool,
    impatient: str,
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    prepared(impatient, write_migrations, pending)

    with held(impatient, doing) as other:
        answer = ops("preflight_migrate", "zoo", database=impatient)
        failure = migrate(impatient, "zoo")
        pid = other.connection.info.backend_pid
        if waits:
            # What the other session has not committed is lost, as the risk says.
            typist.type(impatient, answer.report["findings"][0])
            assert ops("preflight_migrate", "zoo", database=impatient).ids == []

    assert (failure is not None) == waits, failure
    assert (answer.code, answer.ids) == ((1, ["blocking-session"]) if waits else (0, []))
    if not waits:
        return
    assert "lock timeout" in str(failure)
    finding = answer.report["findings"][0]
    assert (finding["severity"], finding["table"]) == ("error", "public.zoo_cage")
    assert finding["migration"] == "zoo.0002_step"
    assert f"process {pid} (role postgres, till), idle in transaction" in finding["message"]
    assert [step["text"] for step in finding["steps"]] == [f"SELECT pg_terminate_backend({pid});"]
    evidence = finding["evidence"]
    assert (evidence["pid"], evidence["application"]) == (pid, "till")
    assert evidence["seconds"] >= 0
    assert evidence["query_start"]
    assert "4711" not in answer.stdout
    assert "s3cret" not in answer.stdout


def test_concurrently_waits_for_a_snapshot_that_reads_something_else(
    impatient: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    prepared(impatient, write_migrations, CONCURRENTLY, atomic=False)
    reading = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM elsewhere")

    with held(impatient, *reading) as other:
        answer = ops("preflight_migrate", "zoo", database=impatient)
        failure = migrate(impatient, "zoo")
        pid = other.connection.info.backend_pid
        typist.type(impatient, answer.report["findings"][0])
        left = ops("preflight_migrate", "zoo", database=impatient).ids
        assert "old-snapshot" not in left

    assert failure is not None
    assert (answer.code, answer.ids) == (1, ["old-snapshot"])
    assert (
        f"would give up after 0.01 s of waiting for process {pid}"
        in answer.report["findings"][0]["message"]
    )


def test_a_role_that_may_not_see_others_is_told_so_and_told_who_blocks(
    impatient: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    prepared(impatient, write_migrations, ADD)
    user = role()
    execute_for(user, impatient, *OWN)

    with guest(impatient, user) as alias:
        idle = ops("preflight_migrate", "zoo", database=alias)
        with held(impatient, READ) as other:
            answer = ops("preflight_migrate", "zoo", database=alias)
            pid = other.connection.info.backend_pid
            [hidden] = [each for each in answer.report["findings"] if each["id"] == HIDDEN]
            assert typist.type(alias, hidden) == []
            assert HIDDEN not in ops("preflight_migrate", "zoo", database=alias).ids

    assert (idle.code, told(idle)) == (0, [])
    assert HIDDEN not in idle.ids
    assert (answer.code, told(answer)) == (1, ["blocking-session"])
    assert HIDDEN in answer.ids
    finding = next(item for item in answer.report["findings"] if item["id"] == "blocking-session")
    assert f"process {pid} (role postgres, till), in a transaction" in finding["message"]
    assert "more than" in finding["message"]
    assert finding["evidence"]["query"] is None


def test_young_transactions_are_no_news(
    impatient: str, write_migrations: Write, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blockers, "LONG_SECONDS", 60.0)
    prepared(impatient, write_migrations, ADD)

    with held(impatient, READ):
        assert ops("preflight_migrate", "zoo", database=impatient).ids == []


def test_who_waits_for_longer_than_it_is_held_yet_may_get_through(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(OPTIONS={"options": "-c lock_timeout=1h"})
    prepared(alias, write_migrations, ADD)

    with held(alias, READ):
        answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, answer.ids) == (0, ["blocking-session"])
    assert answer.report["findings"][0]["severity"] == "warning"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ALTER ROLE till PASSWORD 'hunter2'", "ALTER ROLE till PASSWORD"),
        ("UPDATE zoo_cage SET name = 'cut off in the mid", "UPDATE zoo_cage SET name ="),
        ("SELECT  4711", "SELECT"),
        ("SELECT $$hunter2$$", "SELECT"),
        ("'hunter2'", None),
        ("<insufficient privilege>", None),
        ("", None),
        (None, None),
    ],
)
def test_a_query_is_shown_without_its_values(query: str | None, words: str | None) -> None:
    assert words_of(query) == words
