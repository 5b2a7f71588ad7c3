"""backup_db as roles that may not do everything: a whole backup, or a refusal and nothing."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.aliases import guest
from tests.backups import act_as, backup, names
from tests.conftest import Ops, execute
from tests.remedies import Typist

pytestmark = pytest.mark.major


def test_an_ordinary_role_with_quotes_in_its_password_can_do_all_of_it(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, role("CREATEDB"))

    answer, _ = backup(ops, staging, tmp_path, verify="restore")

    assert answer.report["facts"]["verified"] == "restore"


def test_a_table_that_the_role_may_not_read_refuses_and_leaves_nothing(
    staging: str,
    ops: Ops,
    tmp_path: Path,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    act_as(staging, role("CREATEDB"), "CREATE TABLE secrets AS SELECT 1 AS one")

    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    [finding] = answer.report["findings"]
    assert finding["message"] == (
        "the role may not read public.secrets, so the backup would be incomplete"
    )
    assert names(tmp_path) == []
    typist.type(staging, finding)
    backup(ops, staging, tmp_path)


def test_row_security_that_hides_rows_refuses_and_leaves_nothing(
    staging: str,
    ops: Ops,
    tmp_path: Path,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    made = role()
    act_as(
        staging,
        made,
        "CREATE TABLE hidden AS SELECT 1 AS one",
        "GRANT SELECT ON hidden TO PUBLIC",
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
    )

    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    [finding] = answer.report["findings"]
    assert finding["message"].startswith("row security hides rows of public.hidden from the role")
    assert names(tmp_path) == []
    typist.type(staging, finding)
    backup(ops, staging, tmp_path)


def test_without_createdb_a_restore_is_undecided_before_anything_is_dumped(
    staging: str,
    ops: Ops,
    tmp_path: Path,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    made = role()
    act_as(staging, made)

    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="restore")

    assert (answer.code, answer.ids) == (3, ["cannot-create-database"])
    [finding] = answer.report["findings"]
    assert finding["message"] == "the role may not create a scratch database"
    assert names(tmp_path) == []
    backup(ops, staging, tmp_path, verify="archive")
    typist.type(staging, finding)
    backup(ops, staging, tmp_path, verify="restore")


@pytest.mark.parametrize(
    ("grant", "refused"),
    [
        ("SELECT 1", True),
        ("GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC", True),
        ("GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC", False),
        ("GRANT SELECT ON LARGE OBJECT 4711 TO {role}", False),
        ("ALTER LARGE OBJECT 4711 OWNER TO {role}", False),
        ("GRANT readers TO {role}; GRANT SELECT ON LARGE OBJECT 4711 TO readers", False),
        ("ALTER ROLE {role} SUPERUSER", False),
    ],
)
def test_large_objects_that_the_role_may_not_read_refuse_before_anything_is_dumped(
    staging: str,
    ops: Ops,
    tmp_path: Path,
    role: Callable[..., dict[str, str]],
    grant: str,
    refused: bool,
    typist: Typist,
) -> None:
    made = role("CREATEDB")
    readers = role()["USER"]
    grant = grant.format(role=f'"{made["USER"]}"').replace("readers", f'"{readers}"')
    owner = connections[staging].settings_dict["USER"]
    act_as(staging, made, "SELECT lo_from_bytea(4711, 'abc'), lo_from_bytea(4712, 'abc')",
           "GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC", grant)  # fmt: skip

    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    if not refused:
        assert (answer.code, answer.ids) == (0, []), answer.stdout
        return
    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    [finding] = answer.report["findings"]
    assert finding["message"] == (
        f"the role may not read every large object (1 of {owner}), so the backup would be "
        "incomplete"
    )
    assert names(tmp_path) == []
    typist.type(staging, finding)
    backup(ops, staging, tmp_path)


def test_a_rehearsal_tells_what_the_dump_said_and_not_that_its_reader_saw_the_end(
    staging: str, ops: Ops, role: Callable[..., dict[str, str]]
) -> None:
    call_command("seed_payment_id", database=staging, verbosity=0, stdout=StringIO())
    act_as(staging, role("CREATEDB"), "SELECT lo_from_bytea(4711, 'abc')")

    answer = ops("preflight_migrate", database=staging, rehearse="clone")

    assert answer.code == 3
    assert "4711" in answer.stdout
    assert "pg_dump: error:" in answer.stdout
    assert "end of file" not in answer.stdout


def test_a_password_that_no_client_can_be_given_is_refused_before_anything_is_dumped(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    made = role("SUPERUSER")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(made["USER"]), sql.Literal("two\nlines")
    )
    execute(connections[staging], statement)
    with guest(staging, {**made, "PASSWORD": "two\nlines"}) as alias:
        answer = ops("backup_db", database=alias, directory=str(tmp_path), verbosity=1)

    assert (answer.code, answer.ids) == (3, ["cannot-connect"])
    assert answer.report["findings"][0]["hint"] == "give the role a password without line breaks"
    assert "Dumping" not in answer.stderr
    assert names(tmp_path) == []
