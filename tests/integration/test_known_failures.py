"""Failures of clients and servers whose words are well known say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import Error, connections

from opsmigrate.pgtools.known_failures import LOCKS
from opsmigrate.postgres.session import second_connection
from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.own_extensions import extensions_from

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
MANY = (
    "DO $$ BEGIN FOR n IN {}..{} LOOP EXECUTE format('CREATE TABLE t%s (a int)', n); END LOOP;"
    " END $$"
)
# Advisory locks have their place among the others (documentation of explicit locking).
FILL = (
    "DO $$ BEGIN FOR n IN 1..10000000 LOOP PERFORM pg_advisory_lock(n); END LOOP;"
    " EXCEPTION WHEN out_of_memory THEN NULL; END $$"
)
ROOM = "SELECT count(pg_advisory_unlock(n)) FROM generate_series(1, %s) n"


@contextmanager
def few_locks_left(alias: str, room: int) -> Iterator[None]:
    """Leave room for so many locks on the server."""
    with second_connection(connections[alias]) as other:
        execute(other, FILL)
        execute(other, ROOM, [room])
        try:
            yield
        finally:
            execute(other, "SELECT pg_advisory_unlock_all()")


@pytest.mark.major
def test_a_server_with_room_for_too_few_locks_is_said_to_be_that(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    write_migrations(CAGE, AGE)
    assert migrate(empty_database, "zoo", "0001") is None
    for start in (0, 300, 600):
        execute(connections[empty_database], MANY.format(start, start + 299))

    with few_locks_left(empty_database, 400):
        folder = str(tmp_path / "backups")
        backup = ops("backup_db", database=empty_database, directory=folder)
        answers = [
            ops("preflight_migrate", "zoo", database=empty_database, rehearse=how)
            for how in ("off", "clone")
        ]

    [finding] = backup.report["findings"]
    assert (backup.code, finding["hint"]) == (3, LOCKS.hint), backup.stdout
    assert "out of shared memory" in finding["message"]
    assert "max_locks_per_transaction" in finding["steps"][0]["text"]
    assert list((tmp_path / "backups").iterdir()) == []
    assert [answer.code for answer in answers] == [0, 0], answers
    assert answers[0].ids == []
    [finding] = answers[1].report["findings"]
    assert finding["id"] == "not-rehearsed"
    assert "out of shared memory" in finding["message"]
    assert LOCKS.hint in finding["hint"]


# The pieces of long values, gone as after a crash of the disk.
DAMAGE = """
DO $$ DECLARE toast regclass := (SELECT reltoastrelid FROM pg_class WHERE oid = 'yard'::regclass);
BEGIN
  UPDATE pg_class SET relkind = 'r' WHERE oid = toast;
  EXECUTE format('DELETE FROM %s WHERE chunk_id = (SELECT max(chunk_id) FROM %1$s)', toast);
  UPDATE pg_class SET relkind = 't' WHERE oid = toast;
END $$
"""
PLAIN = "INSERT INTO yard (t) SELECT repeat('a', 500) FROM generate_series(1, 100)"
LONG = (
    "INSERT INTO yard (t) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 500)"
)
PLACE = "SELECT ctid::text, (ctid::text::point)[0] FROM yard ORDER BY id DESC LIMIT 1"


def test_rows_that_the_server_cannot_read_are_named(
    empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE yard (id int GENERATED ALWAYS AS IDENTITY, t text)")
    for statement in (PLAIN, LONG, PLAIN, LONG, DAMAGE, "VACUUM yard"):
        execute(connection, statement)
    [(place, page)] = query(empty_database, PLACE)

    for verify in ("none", "archive"):
        folder = tmp_path / verify
        answer = ops("backup_db", database=empty_database, directory=str(folder), verify=verify)

        assert (answer.code, answer.ids) == (1, ["unreadable-rows"]), answer.stdout
        [finding] = answer.report["findings"]
        assert "cannot read every row of public.yard" in finding["message"]
        assert " for toast value " in finding["message"]
        assert finding["evidence"]["page"] == page
        assert finding["evidence"]["rows"] == [place]
        assert f"(ctid): {place}" in finding["message"]
        assert list(folder.iterdir()) == []
    execute(connection, f"DELETE FROM yard WHERE ctid = '{place}'")
    answer = ops("backup_db", database=empty_database, directory=str(tmp_path / "then"))
    assert answer.code == 0, answer.stdout


SPECIAL = {"timescaledb.control": "default_version = '1'\n", "timescaledb--1.sql": ""}


def test_a_database_that_a_restore_alone_does_not_restore_is_said_to_be_that(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    write_migrations(CAGE, AGE)
    assert migrate(empty_database, "zoo", "0001") is None
    with extensions_from(empty_database, SPECIAL) as findable:
        if not findable:
            with pytest.raises(Error, match="timescaledb"):
                execute(connections[empty_database], "CREATE EXTENSION timescaledb")
            return
        execute(connections[empty_database], "CREATE EXTENSION timescaledb")
        folder = str(tmp_path)
        backup = ops("backup_db", database=empty_database, directory=folder, verify="restore")
        taken = ops("backup_db", database=empty_database, directory=folder)
        [file] = tmp_path.glob("*.dump")
        verified = ops("verify_backup", str(file), database=empty_database, level="restore")
        restored = ops("restore_db", str(file), database=empty_database, into="beside")
        preflight = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    assert taken.code == 0, taken.stdout
    for answer in (backup, verified, restored):
        assert (answer.code, answer.ids) == (4, ["extension-not-restored"]), answer.stdout
        message = answer.report["findings"][0]["message"]
        assert "the extension timescaledb wants timescaledb_pre_restore()" in message
    assert (preflight.code, preflight.ids) == (0, ["not-rehearsed"]), preflight.stdout
    assert "timescaledb_pre_restore()" in preflight.report["findings"][0]["message"]
