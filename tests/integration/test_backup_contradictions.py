"""A backup whose rows contradict what stands as valid: no, and what contradicts what."""

from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.backup import restore
from tests.conftest import Ops, execute, query
from tests.integration.test_broken_rows import TWICE
from tests.integration.zoo_migrations import Write
from tests.rehearsals import prepared
from tests.remedies import Typist

pytestmark = pytest.mark.major

ASKS_ANOTHER = (
    "CREATE TABLE zz_last (size int)",
    "INSERT INTO zz_last VALUES (1)",
    "CREATE FUNCTION known(size int) RETURNS boolean LANGUAGE sql STABLE AS"
    " 'SELECT EXISTS (SELECT FROM public.zz_last z WHERE z.size = $1)'",
    "CREATE TABLE aa_first (size int CONSTRAINT is_known CHECK (known(size)))",
    "INSERT INTO aa_first VALUES (1)",
)


def test_the_key_that_stands_twice_is_said_and_how_to_find_the_rows(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path, typist: Typist
) -> None:
    alias = prepared(empty_database, write_migrations, "", *TWICE)
    [(code,)] = query(alias, "SELECT DISTINCT code::text FROM zoo_cage")
    connections[alias].close()

    answer = ops("backup_db", database=alias, directory=str(tmp_path), verify="restore")

    assert (answer.code, answer.ids) == (1, ["restore-failed"]), answer.stdout
    [finding] = answer.report["findings"]
    assert f"Key (code)=({code}) is duplicated." in finding["message"]
    texts = [step["text"] for step in finding["steps"]]
    assert texts[0] == "SET enable_indexscan TO off;"
    assert typist.type(alias, finding) == []
    with connections[alias].cursor() as cursor:
        for text in texts:
            cursor.execute(text)
        assert [count for *_, count in cursor.fetchall()] == [2]


def test_a_check_that_asks_another_table_is_named_with_its_function_and_the_way_out(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
    typist: Typist,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With several, it depends on which is the quicker.
    monkeypatch.setattr(restore, "MOST_JOBS", 1)
    alias = prepared(empty_database, write_migrations, "", *ASKS_ANOTHER)

    answer = ops("backup_db", database=alias, directory=str(tmp_path / "a"), verify="restore")
    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "restore-failed"), answer.stdout
    assert (
        "the check is_known of public.aa_first calls public.known(size integer)"
        in (finding["message"])
    )
    assert typist.type(alias, finding) == []
    again = ops("backup_db", database=alias, directory=str(tmp_path / "b"), verify="restore")

    assert (again.code, again.ids) == (0, []), again.stdout
    with pytest.raises(Exception, match="is_known"):
        execute(connections[alias], "INSERT INTO aa_first VALUES (2)")
