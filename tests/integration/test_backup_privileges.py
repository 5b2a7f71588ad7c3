"""backup_db as roles that may not do everything: a whole backup, or a refusal and nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backups import act_as, backup, names
from tests.conftest import Ops

pytestmark = pytest.mark.major


def test_an_ordinary_role_with_quotes_in_its_password_can_do_all_of_it(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, role("CREATEDB"))

    answer, _ = backup(ops, staging, tmp_path, verify="restore")

    assert answer.report["facts"]["verified"] == "restore"


def test_a_table_that_the_role_may_not_read_refuses_and_leaves_nothing(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, role("CREATEDB"), "CREATE TABLE secrets AS SELECT 1 AS one")

    answer = ops("backup_db", database=staging, directory=str(tmp_path))

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    [finding] = answer.report["findings"]
    assert finding["message"] == (
        "the role may not read public.secrets, so the backup would not be whole"
    )
    assert finding["hint"].startswith('GRANT pg_read_all_data TO "role ')
    assert names(tmp_path) == []


def test_row_security_that_hides_rows_refuses_and_leaves_nothing(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
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
    assert (
        finding["hint"] == f'ALTER ROLE "{made["USER"]}" BYPASSRLS, or use the alias of the owner'
    )
    assert names(tmp_path) == []


def test_without_createdb_a_restore_is_undecided_before_anything_is_dumped(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    made = role()
    act_as(staging, made)

    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="restore")

    assert (answer.code, answer.ids) == (3, ["cannot-create-database"])
    [finding] = answer.report["findings"]
    assert finding["message"] == "the role may not create a scratch database"
    assert finding["hint"] == f'ALTER ROLE "{made["USER"]}" CREATEDB'
    assert names(tmp_path) == []
    backup(ops, staging, tmp_path, verify="archive")
