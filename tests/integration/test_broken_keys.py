"""A foreign key that stands as valid and that rows contradict, as data broken by hand leave it."""

from collections.abc import Callable

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import SCRATCH, owner_of_zoo, prepared, rehearse
from tests.remedies import Typist, contents, kept_nowhere, unannounced

pytestmark = pytest.mark.major

NOTHING = "migrations.RunPython(lambda apps, editor: None),"
ORPHAN = (
    "CREATE TABLE yard (id int PRIMARY KEY)",
    "INSERT INTO yard VALUES (1)",
    "ALTER TABLE zoo_cage ADD CONSTRAINT in_yard FOREIGN KEY (size) REFERENCES yard (id)",
    "SET session_replication_role = replica",
    "DELETE FROM yard",
    "SET session_replication_role = DEFAULT",
)
GRANTS = (
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO {}",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {}",
)
RETYPE = 'migrations.RunSQL("ALTER TABLE zoo_cage ALTER COLUMN size TYPE bigint"),'


@pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "owner"])
@pytest.mark.parametrize(
    ("pending", "verdict"),
    [(NOTHING, "passed"), (RETYPE, "failed")],
    ids=["untouched", "checked-again"],
)
def test_a_foreign_key_that_rows_contradict_is_copied_and_said(
    pending: str,
    verdict: str,
    superuser: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    alias = prepared(empty_database, write_migrations, pending, *ORPHAN)
    user = {"USER": connections[alias].settings_dict["USER"]}
    if not superuser:
        user = role("CREATEDB")
        for statement in GRANTS:
            execute(connections[alias], sql.SQL(statement).format(sql.Identifier(user["USER"])))

    with owner_of_zoo(alias, user) as asking:
        answer = rehearse(ops, asking)
        failure = migrate(asking, "zoo")

    if verdict == "failed" and not superuser:
        verdict = "undecided"
    assert answer.report["verdict"] == verdict, answer.stdout
    assert (failure is None) == (pending == NOTHING)
    finding = next(item for item in answer.report["findings"] if item["id"] == "broken-foreign-key")
    assert (finding["severity"], finding["table"]) == ("warning", "public.zoo_cage")
    assert "in_yard" in finding["message"]
    assert "1 row of public.zoo_cage (size) points to no row of public.yard" in finding["message"]
    before = contents(empty_database)
    assert unannounced(finding, typist.type(empty_database, finding)) == []
    assert kept_nowhere(before, contents(empty_database)) == []
    assert query(empty_database, SCRATCH) == []
