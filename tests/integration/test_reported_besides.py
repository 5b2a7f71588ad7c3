"""What was reported of views, time-outs, pending triggers and old servers, as it is said now."""

import re

from django.db import connections

from opsmigrate.preflight.rehearsal.causes import SPLIT
from tests.aliases import alias_of
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

SEEN = """
migrations.CreateModel("Seen", [("id", models.BigAutoField(primary_key=True))],
    options={"managed": False, "db_table": "zoo_seen"}),
"""
POINTS = """
migrations.AddField("cage", "seen", models.ForeignKey("zoo.Seen", models.CASCADE, null=True)),
"""
AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'


def test_a_foreign_key_to_a_view_is_said_to_be_that(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE + SEEN, POINTS)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], "CREATE VIEW zoo_seen AS SELECT id FROM zoo_cage")

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["missing-table"]), answer.stdout
    assert "which is a view: a foreign key points to tables only" in answer.stdout
    assert "is not a table" in (migrate(empty_database, "zoo") or "")


def test_the_text_says_which_time_outs_the_forecast_goes_by(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, AGE)
    assert migrate(empty_database, "zoo", "0001") is None
    settings = connections[empty_database].settings_dict
    given = {**settings["OPTIONS"], "options": "-c lock_timeout=2s"}

    plain = ops("preflight_migrate", "zoo", database=empty_database, format="text")
    with alias_of("given", **{**settings, "OPTIONS": given}) as alias:
        limited = ops("preflight_migrate", "zoo", database=alias, format="text")

    assert plain.code == limited.code == 0
    assert re.search(r"lock_timeout none\n +statement_timeout none\n", plain.stdout)
    by_client = "lock_timeout 2 s, set by the client (OPTIONS, PGOPTIONS)"
    assert by_client in limited.stdout


# As if 1.7 billion transactions had gone by; VACUUM reads from the tables what is true.
TRIES = 5
OLD = (
    "UPDATE pg_database SET datfrozenxid = ((txid_current() + 2594967296) % 4294967296)::text::xid"
    " WHERE datname = current_database()"
)


def test_a_server_near_the_end_of_its_transaction_numbers_is_warned_of(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE, AGE)
    assert migrate(empty_database, "zoo", "0001") is None
    for _ in range(TRIES):
        execute(connections[empty_database], OLD)
        answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
        # The autovacuum of such a database starts by itself, and may have been faster.
        if answer.ids:
            break

    assert (answer.code, answer.ids) == (0, ["wraparound-near"]), answer.stdout
    [finding] = answer.report["findings"]
    assert finding["evidence"]["database"] == connections[empty_database].settings_dict["NAME"]
    assert finding["evidence"]["age"] >= 1_700_000_000
    typist.type(empty_database, finding)
    assert ops("preflight_migrate", "zoo", database=empty_database, rehearse="off").ids == []


def test_rows_written_before_their_table_is_altered_in_one_transaction(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    first = CAGE + KEEPER.replace('to_field="code"', 'to_field="code", null=True')
    pending = """
migrations.RunPython(lambda apps, editor: apps.get_model("zoo", "Keeper").objects.using(
    editor.connection.alias).create(cage=apps.get_model("zoo", "Cage").objects.using(
    editor.connection.alias).get())),
migrations.AddField("keeper", "age", models.IntegerField(null=True)),
migrations.RenameField("keeper", "age", "years"),
"""
    write_migrations(first, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], ROW)

    static = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")
    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="clone")

    assert static.code == 3
    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"]), answer.stdout
    [finding] = answer.report["findings"]
    assert (finding["evidence"]["sqlstate"], finding["hint"]) == ("55006", SPLIT)
    assert "pending trigger events" in (migrate(empty_database, "zoo") or "")
