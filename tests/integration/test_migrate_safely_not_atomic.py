"""migrate_safely and migrations that are not atomic: what stays is never done twice."""

from __future__ import annotations

import pytest

from tests.conftest import Ops, query
from tests.integration.test_migrate_safely import safely
from tests.integration.zoo_migrations import Write
from tests.rehearsals import prepared

# Fails as a lock that is not obtained does, for the rows that say so.
TAKEN = """
CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.name = 'taken' THEN
    RAISE EXCEPTION 'canceling statement due to lock timeout' USING ERRCODE = '55P03';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER taken BEFORE UPDATE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION taken();
CREATE FUNCTION doubled() RETURNS void LANGUAGE sql AS 'UPDATE zoo_cage SET size = size * 2';
"""
TAKE = "UPDATE zoo_cage SET name = 'taken'"
# What it does first stays, in one way or another; then it does not get its lock. In the process
# that migrates only, so that no rehearsal says so before.
WAYS = {
    "a transaction of its own": """
with transaction.atomic(using=alias):
    cursor.execute(DOUBLE)
with transaction.atomic(using=alias):
    cursor.execute(TAKE)
""",
    "a session's setting before it": "cursor.execute('SET work_mem = 4096; ' + DOUBLE)",
    "a function among what reads": "cursor.execute('SELECT doubled() FROM pg_class LIMIT 1')",
    "bytes": "cursor.execute(DOUBLE.encode())",
    "past Django": "cursor.cursor.execute(DOUBLE)",
}


def code_of(lines: str) -> str:
    return f"""
migrations.RunPython(lambda apps, editor: exec({lines!r}, {{
    "alias": editor.connection.alias, "cursor": editor.connection.cursor(),
    "transaction": transaction, "DOUBLE": "UPDATE zoo_cage SET size = size * 2", "TAKE": {TAKE!r},
}}) if "migrate_child" in __import__("sys").argv[0] else None),
"""


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[] if "own" in way else pytest.mark.faults) for way in WAYS]
)
def test_what_stays_is_not_done_twice(
    ops: Ops, empty_database: str, write_migrations: Write, way: str
) -> None:
    alias = prepared(
        empty_database,
        write_migrations,
        code_of(WAYS[way] + "\ncursor.execute(TAKE)"),
        TAKEN,
        atomic=False,
    )

    answer = safely(ops, alias, attempts=3, accept_undecided=True, rehearse="off")

    assert query(alias, "SELECT size FROM zoo_cage") == [(2,)], answer.stdout
    assert (answer.code, answer.ids[0]) == (5, "migrate-stopped"), answer.stdout
    assert answer.report["facts"]["attempts"] == 1
    finding = answer.report["findings"][0]
    assert "parts of the migration" in finding["message"]
    assert "twice" in finding["hint"]
    assert [step["text"] for step in finding["steps"]][1:] == []


BROKEN_INDEX = """
migrations.RunSQL(
    "CREATE INDEX CONCURRENTLY zoo_late ON zoo_cage (late(size))"
),
"""
LATE = """
CREATE FUNCTION late(value integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'canceling statement due to lock timeout' USING ERRCODE = '55P03';
END $$
"""


def test_an_index_that_was_left_invalid_is_told_and_not_made_again(
    ops: Ops, empty_database: str, write_migrations: Write
) -> None:
    alias = prepared(empty_database, write_migrations, BROKEN_INDEX, LATE, atomic=False)

    answer = safely(ops, alias, attempts=3, accept_undecided=True, rehearse="off")

    assert (answer.code, answer.ids[0]) == (5, "migrate-stopped"), answer.stdout
    assert answer.report["facts"]["attempts"] == 1
    found = query(alias, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'zoo_late'::regclass")
    assert found == [(False,)]
    assert "zoo_late" in str(answer.report["findings"])
