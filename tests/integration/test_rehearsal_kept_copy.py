"""A rehearsal on what a verified backup left: one restore serves both, and nothing is made up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.clients import find_clients
from opsmigrate.postgres.session import read_session, second_connection
from opsmigrate.preflight.rehearsal.kept_copy import UnfitError, find_kept_copy
from opsmigrate.preflight.rehearsal.selection import KeptCopy, select_kept
from tests.backups import backup, scratch_databases
from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, owner_of_zoo, prepared, reasons, rehearse

KEEP = {"verify": "restore", "keep_scratch": True}
FAILS = "UPDATE zoo_cage SET size = 0"


@pytest.fixture(autouse=True)
def nothing_kept(new_database: Callable[..., str]) -> Iterator[None]:
    """Drop what the tests kept."""
    yield
    drop_kept()


def drop_kept() -> None:
    """Drop what was kept, before its owner goes."""
    for name in scratch_databases("default"):
        statement = sql.SQL("DROP DATABASE {}").format(sql.Identifier(name))
        execute(connections["default"], statement)


def found(alias: str) -> KeptCopy:
    """Return the kept copy of the database, with what is stale of it."""
    connection = connections[alias]
    session = read_session(connection)
    return find_kept_copy(connection, session, find_clients(session.major, None), may_be_stale=True)


@pytest.mark.major
@pytest.mark.parametrize(("statement", "code"), [("SELECT 1", 0), (FAILS, 1)])
def test_one_restore_serves_the_backup_and_the_rehearsal(
    statement: str,
    code: int,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE, statement)
    taken, file = backup(ops, alias, tmp_path, **KEEP)
    kept = taken.report["facts"]["scratch"]

    answer = rehearse(ops, alias)

    assert answer.code == code, answer.stdout
    assert answer.ids == ([] if code == 0 else ["rehearsal-failed"])
    facts = answer.report["facts"]["rehearsal"]
    assert facts["mode"] == "kept"
    assert (facts["kept_copy"]["name"], facts["kept_copy"]["backup"]) == (kept, file.name)
    # It is as it was, and may be rehearsed on again.
    assert scratch_databases(alias) == [kept]
    assert (
        rehearse(ops, alias, rehearse="kept").report["facts"]["rehearsal"]["kept_copy"]["stale"]
        == []
    )
    assert (migrate(alias, "zoo") is None) is (code == 0)


def test_a_kept_copy_that_is_defined_otherwise_by_now_is_not_rehearsed_on(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    backup(ops, alias, tmp_path, **KEEP)
    for change, undo, why in (
        ("ALTER TABLE zoo_cage ADD n int", "ALTER TABLE zoo_cage DROP n", "TABLE public.zoo_cage"),
        ("CREATE VIEW v AS SELECT 1", "DROP VIEW v", "VIEW public.v"),
        ("CREATE INDEX i ON zoo_cage (size)", "DROP INDEX i", "INDEX public.i"),
        ("GRANT SELECT ON zoo_cage TO PUBLIC", "REVOKE ALL ON zoo_cage FROM PUBLIC", "ACL public."),
        ("SELECT lo_create(7)", "SELECT lo_unlink(7)", "large objects"),
        ("DELETE FROM django_migrations WHERE app = 'zoo'", "SELECT 1", "other migrations"),
    ):
        execute(connections[alias], change)
        with pytest.raises(UnfitError, match=why):
            found(alias)
        execute(connections[alias], undo)


@pytest.mark.major
def test_rows_that_were_written_since_are_seen_without_statistics(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    written = {
        "inserted": "INSERT INTO inserted VALUES (2)",
        "updated": "UPDATE updated SET n = 1",
        "deleted": "DELETE FROM deleted",
        "truncated": "TRUNCATE truncated",
        "same": "VACUUM FREEZE inserted, updated, same",
        "part": "UPDATE whole SET n = 2",
    }
    plain = [name for name in written if name != "part"]
    alias = prepared(
        empty_database,
        write_migrations,
        DOUBLE,
        *(f"CREATE TABLE {name} AS SELECT 1 AS n" for name in plain),
        "CREATE TABLE whole (n int) PARTITION BY LIST (n)",
        "CREATE TABLE part PARTITION OF whole DEFAULT",
        "INSERT INTO whole VALUES (1)",
    )
    backup(ops, alias, tmp_path, **KEEP)
    assert found(alias).stale == ()
    for statement in written.values():
        execute(connections[alias], statement)

    kept = found(alias)

    assert {name for _, name in kept.stale} == written.keys() - {"same"}
    assert "whole" in select_kept(connections[alias], kept).telling


@pytest.mark.parametrize(("size", "code"), [(0, 1), (2, 0)])
def test_a_clone_is_one_of_what_is_there_now_and_only_who_asks_for_kept_gets_the_stale(
    size: int, code: int, empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE, "CREATE TABLE other (n int)")
    backup(ops, alias, tmp_path, **KEEP)
    execute(connections[alias], "INSERT INTO other VALUES (1)")
    not_asked_for = rehearse(ops, alias, rehearse="kept")
    execute(connections[alias], f"UPDATE zoo_cage SET size = {size}")

    cloned, asked = rehearse(ops, alias), rehearse(ops, alias, rehearse="kept")

    assert (not_asked_for.code, not_asked_for.ids) == (0, ["stale-copy"])
    assert cloned.code == code, cloned.stdout
    assert cloned.report["facts"]["rehearsal"]["kept_copy"] is None
    assert (asked.code, asked.ids) == (3, ["stale-copy"])
    assert any("RunPython" in why for why in reasons(asked))


def test_a_row_that_is_deleted_on_the_copy_may_be_referred_to_by_now(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    write_migrations(CAGE, KEEPER)
    assert migrate(empty_database, "zoo") is None
    cage = "INSERT INTO zoo_cage (code, name, size) VALUES (gen_random_uuid(), 'a', 1)"
    execute(connections[empty_database], cage)
    backup(ops, empty_database, tmp_path, **KEEP)
    execute(
        connections[empty_database], "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage"
    )
    write_migrations(CAGE, KEEPER, 'migrations.RunSQL("DELETE FROM zoo_cage"),')

    answer = rehearse(ops, empty_database, rehearse="kept")

    assert (answer.code, answer.ids) == (3, ["stale-copy"])
    assert migrate(empty_database, "zoo") is not None


def test_a_backup_without_some_rows_and_another_database_do_not_count(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias, other = new_database(), new_database()
    prepared(alias, write_migrations, DOUBLE)
    prepared(other, write_migrations, DOUBLE)
    backup(ops, other, tmp_path, **KEEP)
    others = rehearse(ops, alias, rehearse="kept")
    backup(ops, alias, tmp_path, exclude_table_data=["zoo_cage"], **KEEP)
    lacking = rehearse(ops, alias, rehearse="kept")

    assert (others.code, others.ids) == (3, ["no-kept-copy"])
    assert "no backup of this database" in others.report["findings"][0]["message"]
    assert (lacking.code, lacking.ids) == (3, ["no-kept-copy"])
    assert "does not have the rows of public.zoo_cage" in lacking.report["findings"][0]["message"]


@pytest.mark.long
def test_a_kept_copy_that_others_are_in_is_said_to_be_in_use(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    taken, _ = backup(ops, alias, tmp_path, **KEEP)
    kept = taken.report["facts"]["scratch"]
    with second_connection(connections[alias], database=kept) as visitor:
        visitor.ensure_connection()
        answer = rehearse(ops, alias, rehearse="kept")

    assert (answer.code, answer.ids) == (3, ["no-kept-copy"])
    assert "being accessed by other users" in answer.report["findings"][0]["message"]
    assert scratch_databases(alias) == [kept]


def test_in_production_it_needs_approval_as_any_rehearsal_on_the_examined_server(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path, settings: object
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    backup(ops, alias, tmp_path, **KEEP)
    setattr(settings, "OPSMIGRATE", {"ENVIRONMENT": "production"})  # noqa: B010 - pytest-django's

    refused = rehearse(ops, alias, rehearse="kept")
    approved = rehearse(ops, alias, rehearse="kept", approval="CAB-7, Grace")

    assert (refused.code, refused.ids) == (4, ["approval-needed"])
    assert (approved.code, approved.report["facts"]["rehearsal"]["mode"]) == (0, "kept")


@pytest.mark.major
def test_a_role_without_powers_rehearses_on_its_own_backup_with_the_owners_that_are(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    tmp_path: Path,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    user = role("CREATEDB")
    with owner_of_zoo(alias, user) as owner:
        try:
            backup(ops, owner, tmp_path, **KEEP)
            answer = rehearse(ops, owner, rehearse="kept")
        finally:
            drop_kept()

    assert (answer.code, answer.ids, reasons(answer)) == (0, [], [])
    assert query(alias, "SELECT size FROM zoo_cage") == [(1,)]
