"""What the report says of the forecast: the finding, its severity, the section of the text."""

from __future__ import annotations

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

INDEX = 'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_name")),'
WIDER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'
ADDED = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'


@pytest.fixture
def cages(empty_database: str, write_migrations: Write) -> str:
    """Return a database with three cages."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    for statement in [ROW] * 3 + ["ANALYZE zoo_cage"]:
        execute(connections[empty_database], statement)
    return empty_database


def claim(alias: str, rows: int) -> None:
    """Let the catalog say that there are so many cages: what is forecast rests on it alone."""
    statement = "UPDATE pg_class SET reltuples = %s, relpages = 1 WHERE relname = 'zoo_cage'"
    execute(connections[alias], statement, [rows])


def test_a_big_table_closed_to_writers_is_a_warning_and_changes_no_verdict(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    claim(cages, 3_000_000)
    write_migrations(CAGE, INDEX)

    answer = ops("preflight_migrate", "zoo", database=cages)
    strict = ops("preflight_migrate", "zoo", database=cages, fail_on="warning")

    assert (answer.code, strict.code) == (0, 1)
    (finding,) = answer.report["findings"]
    assert (finding["id"], finding["severity"]) == ("long-lock", "warning")
    assert finding["table"] == "public.zoo_cage"
    assert finding["migration"] == "zoo.0002_step"
    assert finding["operation"] == "0: AddIndex"
    assert "AddIndexConcurrently(" in finding["hint"]
    assert "blocked for writes for about" in finding["message"]
    assert finding["evidence"]["basis"] == "rate"
    (lock,) = answer.report["facts"]["forecast"]["locks"]
    assert lock["mode"] == "SHARE"
    assert lock["blocks"] == ["writes"]
    assert lock["rows"] == 3_000_000
    assert lock["seconds"] > 1


def test_the_text_names_the_worst_first_and_says_that_it_estimates(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    claim(cages, 3_000_000)
    write_migrations(CAGE, f"{INDEX}\n{WIDER}")

    text = ops("preflight_migrate", "zoo", database=cages, format="text").stdout

    section = text[text.index("Forecast") :]
    assert section.startswith(
        "Forecast (rows and bytes are estimates, seconds are coarse, without a rehearsal):\n  "
        "public.zoo_cage, about 3,000,000 rows, 0 MB:\n      no writes for about 15.0 s, reads "
        "for about 12.0 s\n"
    )
    assert "zoo.0002_step 1: AlterField: it rewrites the table" in section
    assert "which is then built a second time: put the\n    rewrite first" in section
    assert "\n    next: # migration 1 of 2\n    operations = [\n" in section


def test_two_rewrites_of_one_table_are_advised_to_be_one(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    other = 'migrations.AlterField("cage", "name", models.CharField(max_length=10)),'
    write_migrations(CAGE, f"{WIDER}\n{other}")

    answer = ops("preflight_migrate", "zoo", database=cages)
    (advice,) = answer.report["facts"]["forecast"]["advice"]

    statement = advice["advice"].partition("state_operations: ")[2]
    assert statement.count("ALTER COLUMN") == 2
    execute(connections[cages], statement)


@pytest.mark.parametrize(("rows", "pending"), [(3, INDEX), (3_000_000, ADDED)])
def test_nothing_is_said_of_a_small_table_or_a_quick_statement(
    rows: int, pending: str, cages: str, write_migrations: Write, ops: Ops
) -> None:
    claim(cages, rows)
    write_migrations(CAGE, pending)

    answer = ops("preflight_migrate", "zoo", database=cages, format="text")

    assert "Forecast: nothing blocks readers or writers for long" in answer.stdout
    assert "long-lock" not in answer.stdout


def test_an_empty_database_has_no_forecast(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, INDEX)

    answer = ops("preflight_migrate", "zoo", database=empty_database, format="text")

    assert "Forecast" not in answer.stdout


def test_a_lock_is_held_until_the_end_of_its_transaction(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    claim(cages, 10_000_000)
    write_migrations(CAGE, f"{ADDED}\n{INDEX}")
    atomic = ops("preflight_migrate", "zoo", database=cages)
    write_migrations(CAGE, f"{ADDED}\n{INDEX}", atomic=False)
    single = ops("preflight_migrate", "zoo", database=cages)

    def seconds(report: dict[str, object]) -> dict[str, float]:
        facts: dict[str, object] = report["facts"]
        return {each["mode"]: each["seconds"] for each in facts["forecast"]["locks"]}

    assert seconds(atomic.report)["ACCESS EXCLUSIVE"] > 1
    assert seconds(single.report)["ACCESS EXCLUSIVE"] == 0
    assert seconds(single.report)["SHARE"] > 1
    assert atomic.report["findings"][0]["evidence"]["mode"] == "ACCESS EXCLUSIVE"
    assert single.report["findings"][0]["evidence"]["mode"] == "SHARE"


def test_what_a_rehearsal_measured_takes_the_place_of_rates(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    claim(cages, 3_000_000)
    slow = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD x int; SELECT pg_sleep(1.2)"),'
    write_migrations(CAGE, f"{INDEX}\n{slow}")

    answer = ops("preflight_migrate", "zoo", database=cages, rehearse="clone")

    assert answer.code == 0, answer.stdout
    bases = {each["basis"] for each in answer.report["facts"]["statements"]}
    assert bases == {"rehearsal"}
    (finding,) = answer.report["findings"]
    assert (finding["id"], finding["severity"]) == ("long-lock", "warning")
    assert 1.2 <= finding["evidence"]["seconds"] < 5
    assert finding["evidence"]["mode"] == "SHARE"
    assert 1.2 <= finding["evidence"]["seconds_closed_to_reads"] < finding["evidence"]["seconds"]


def test_statements_of_code_are_in_the_forecast_of_a_rehearsed_plan(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    code = (
        "migrations.RunPython(lambda apps, editor: editor.execute("
        "'CREATE INDEX by_code ON zoo_cage (size)')),"
    )
    write_migrations(CAGE, code)

    answer = ops("preflight_migrate", "zoo", database=cages, rehearse="clone")

    texts = [each["sql"] for each in answer.report["facts"]["statements"]]
    assert "CREATE INDEX by_code ON zoo_cage (size)" in texts


def test_a_table_that_somebody_holds_exclusively_does_not_hold_up_the_forecast(
    cages: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, ADDED)
    holder = connections[cages].copy(f"stranger {cages}")
    execute(holder, "BEGIN; LOCK TABLE zoo_cage")
    try:
        answer = ops("preflight_migrate", "zoo", database=cages)
    finally:
        holder.close()

    assert answer.code == 0
    (lock,) = answer.report["facts"]["forecast"]["locks"]
    assert lock["rows"] == 3
    assert lock["bytes"] > 0
