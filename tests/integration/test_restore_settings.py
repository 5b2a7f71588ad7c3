"""Settings of a database that its owner may not give: known before anything is restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backup.rollback_checks import require_settings
from opsmigrate.manifest import read_manifest
from tests.backups import backup
from tests.conftest import ODD_NAME, Ops, execute, query
from tests.remedies import Typist

pytestmark = pytest.mark.major
SETTING = "log_min_duration_statement"


def test_what_only_a_superuser_may_set_is_refused_before_the_restore(
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    ops: Ops,
    tmp_path: Path,
    typist: Typist,
) -> None:
    made = role("CREATEDB")
    alias = new_database(**made)
    connection, superuser = connections[alias], connections["default"].copy()
    name, owner = connection.settings_dict["NAME"], sql.Identifier(made["USER"])
    superuser.settings_dict["NAME"] = "postgres"
    for statement in ("ALTER DATABASE {} OWNER TO {}", "ALTER DATABASE {} SET {} = 250"):
        what = owner if "OWNER" in statement else sql.Identifier(SETTING)
        execute(superuser, sql.SQL(statement).format(sql.Identifier(name), what))
    _, file = backup(ops, alias, tmp_path)
    oid = "SELECT oid FROM pg_database WHERE datname = current_database()"
    before = query(alias, oid)

    for options in ({"no_input": True}, {"into": f"{name[:20]} beside"}):
        answer = ops("restore_db", str(file), database=alias, **options)

        assert (answer.code, answer.ids) == (4, ["property-not-restored"])
        assert SETTING in answer.report["findings"][0]["message"]
    assert query(alias, oid) == before

    if connection.pg_version >= 150_000:
        assert typist.type(alias, answer.report["findings"][0]) == []
        require_settings(connection, read_manifest(file))
    back = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
    execute(superuser, back.format(sql.Identifier(name)))
    superuser.close()


BESIDE = "ALTER ROLE {other} IN DATABASE {database} SET work_mem = '5MB'"
CUSTOM = "ALTER DATABASE {database} SET ours.tenant = 'x'"
GRANT = "GRANT CREATE ON DATABASE {database} TO {other}"
# What a superuser gave the database, whether the other role goes then, and what is said of it.
NOT_GIVEN = {
    "a setting for another role": (BESIDE, False, "setting work_mem"),
    "a setting for a role that is gone": (BESIDE, True, "setting work_mem"),
    "a setting that nothing knows": (CUSTOM, False, "setting ours.tenant"),
    "a right of a role that is gone": (GRANT, True, "right CREATE"),
}


@pytest.mark.parametrize("what", NOT_GIVEN)
def test_what_the_role_may_not_give_is_refused_before_the_rows_are_restored(
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    ops: Ops,
    tmp_path: Path,
    what: str,
) -> None:
    made, other = role("CREATEDB"), role()["USER"]
    alias = new_database(**made)
    connection, superuser = connections[alias], connections["default"].copy()
    superuser.settings_dict["NAME"] = "postgres"
    names = {
        "database": sql.Identifier(connection.settings_dict["NAME"]),
        "owner": sql.Identifier(made["USER"]),
        "other": sql.Identifier(other),
    }
    statement, is_gone, told = NOT_GIVEN[what]
    for each in ("ALTER DATABASE {database} OWNER TO {owner}", statement):
        execute(superuser, sql.SQL(each).format(**names))
    _, file = backup(ops, alias, tmp_path)
    if is_gone:
        gone = sql.SQL("ALTER ROLE {other} RENAME TO gone_for_a_while")
        execute(superuser, gone.format(**names))

    answers = [
        ops("restore_db", str(file), database=alias, **options)
        for options in ({"no_input": True}, {"into": f"{ODD_NAME}beside"})
    ]
    if is_gone:
        back = sql.SQL("ALTER ROLE gone_for_a_while RENAME TO {other}")
        execute(superuser, back.format(**names))
    back = sql.SQL("ALTER DATABASE {database} OWNER TO CURRENT_USER")
    execute(superuser, back.format(**names))
    superuser.close()

    for answer in answers:
        assert (answer.code, answer.ids) == (4, ["property-not-restored"]), answer.stdout
        assert told in answer.report["findings"][0]["message"]
