"""What a failure on the copy proves: not a time-out, but what no row can cause, on every copy."""

from collections.abc import Callable

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import Ops, execute
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import owner_of_zoo, prepared, reasons, rehearse

pytestmark = pytest.mark.major

SLOW_THERE = "DO $$ BEGIN IF current_database() LIKE 'opsmigrate%' THEN PERFORM pg_sleep(0.4); END IF; END $$"
NAP = f"migrations.RunSQL({SLOW_THERE!r}),"


def test_a_time_out_on_the_copy_is_no_certain_no(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    """It is slower there here, as it is on a machine that has much else to do."""
    alias = prepared(empty_database, write_migrations, NAP)
    name = sql.Identifier(connections[alias].settings_dict["NAME"])
    execute(
        connections[alias],
        sql.SQL("ALTER DATABASE {} SET statement_timeout = '200ms'").format(name),
    )
    connections[alias].close()

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (3, []), answer.stdout
    assert any("57014" in why for why in reasons(answer))
    assert migrate(alias, "zoo") is None


HIDDEN = (
    "ALTER TABLE zoo_cage ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE zoo_cage FORCE ROW LEVEL SECURITY",
    "CREATE POLICY large ON zoo_cage USING (size > 5)",
)


@pytest.mark.parametrize(
    ("before", "code"), [("", 1), ("migrations.RunPython(read),", 3)], ids=["alone", "after-code"]
)
def test_a_failure_that_no_row_can_cause_is_a_no_on_a_copy_without_the_rows(
    before: str,
    code: int,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
) -> None:
    retype = 'migrations.RunSQL("ALTER TABLE zoo_cage ALTER COLUMN size TYPE text"),'
    before = before.replace(
        "read",
        "lambda apps, editor: list(apps.get_model('zoo', 'Cage').objects.using(editor.connection.alias))",
    )
    alias = prepared(empty_database, write_migrations, before + retype, *HIDDEN)
    with owner_of_zoo(alias, role("CREATEDB")) as asking:
        answer = rehearse(ops, asking)
        failure = migrate(asking, "zoo")

    assert "used in a policy definition" in str(failure)
    assert answer.code == code, answer.stdout
