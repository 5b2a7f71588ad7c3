"""Who may roll back a database, and whose it is afterwards: owners, rights, properties."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.session import open_second
from tests.backups import act_as, backup, is_public_everybodys, scratch_databases
from tests.conftest import Ops, execute, query
from tests.remedies import Typist
from tests.rollbacks import kept_databases, payments, restore

pytestmark = [pytest.mark.major, pytest.mark.usefixtures("no_kept_database")]


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


def test_rights_on_public_that_only_its_owner_could_give_again_leave_the_live_one_as_it_was(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    made, name = roles("CREATEDB"), connections[staging].settings_dict["NAME"]
    own = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    execute(connections[staging], own.format(sql.Identifier(name), sql.Identifier(made["USER"])))
    grant = sql.SQL("GRANT ALL ON SCHEMA public TO {}")
    execute(connections[staging], grant.format(sql.Identifier(made["USER"])))
    # From PostgreSQL 15 on the owner of the database owns it.
    possible = not is_public_everybodys(connections[staging])
    act_as(staging, made)
    _, file = backup(ops, staging, tmp_path)
    execute(connections[staging], "DELETE FROM treasury_payment WHERE id > 100")

    answer = restore(ops, staging, str(file))

    assert answer.code == (0 if possible else 1)
    assert answer.ids == ([] if possible else ["schema-differs"])
    assert payments(staging) == (500 if possible else 100)


def test_one_who_does_not_own_the_database_is_refused(
    staging: str,
    ops: Ops,
    tmp_path: Path,
    roles: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    act_as(staging, roles("CREATEDB"))
    _, file = backup(ops, staging, tmp_path)

    answer = restore(ops, staging, str(file))

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    assert kept_databases(staging) == scratch_databases(staging) == []
    typist.type(staging, answer.report["findings"][0])
    again = restore(ops, staging, str(file))
    assert "does not own the database" not in str(again.report["findings"])


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
