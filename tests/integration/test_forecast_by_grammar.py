"""The forecast by PostgreSQL's grammar: partitions, several statements in a text, what is open."""

from __future__ import annotations

import re
import sys

import pytest
from django.db import DatabaseError, connections, models
from django.db.migrations import AddConstraint

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.preflight.forecast import forecast_report
from opsmigrate.preflight.forecast.advice import order_advice
from opsmigrate.preflight.forecast.alternatives import alternative
from opsmigrate.preflight.forecast.forecast import Forecast, make_forecast
from opsmigrate.preflight.forecast.refused import doubt_refused
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.planned_locks import planned_locks
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.sql import grammar, placeholders
from opsmigrate.sql.grammar import parse
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

SETUP = """
CREATE TABLE live (id int PRIMARY KEY, n int, other int);
CREATE TABLE whole (id int, n int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);
CREATE TABLE loose (id int, n int);
CREATE TYPE mood AS ENUM ('sad');
ANALYZE;
"""
ADDED = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'


def foreseen(alias: str, *texts: str, composed: str = "") -> Forecast:
    """Return what is expected of these texts, one operation each."""
    connection = connections[alias]
    statements = [
        PlannedStatement(migration="a.0001", operation=f"{n}: RunSQL", sql=text, composed=composed)
        for n, text in enumerate(texts)
    ]
    return make_forecast(connection, read_catalog(connection), statements, None, frozenset())


def test_what_a_text_does_to_live_tables(empty_database: str) -> None:
    execute(connections[empty_database], SETUP)

    def effects(*texts: str) -> list[tuple[object, ...]]:
        return [
            (each.effects.understood, dict(each.effects.locks), sorted(each.effects.worked))
            for each in foreseen(empty_database, *texts).costs
        ]

    exclusive, shared = "ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE"
    # Each statement of a text by itself, whatever stands in texts and comments.
    assert effects(
        "ALTER TABLE live ADD a text DEFAULT ';--'; /* ; */ CREATE INDEX ON live (a)"
    ) == [(True, {"public.live": exclusive}, ["public.live"])]
    # What is done to every partition is done to the table, and counts once.
    assert effects("ALTER TABLE whole ALTER n TYPE bigint", "CREATE INDEX ON part (n)") == [
        (True, {"public.whole": exclusive}, ["public.whole"]),
        (True, {"public.part": "SHARE"}, ["public.part"]),
    ]
    attached = "ALTER TABLE whole ATTACH PARTITION loose FOR VALUES IN (2)"
    assert effects(attached)[0][1] == {
        "public.whole": "SHARE UPDATE EXCLUSIVE",
        "public.loose": exclusive,
    }
    # Tables have the names that they have now; what the plan makes is empty.
    made = "CREATE TABLE made (id int REFERENCES live); CREATE INDEX ON made (id)"
    renamed = "ALTER TABLE live RENAME TO former; CREATE TABLE live (id int)"
    assert effects(made, renamed, "DROP TABLE live", "ALTER TABLE former ADD b int") == [
        (True, {"public.live": shared}, []),
        (True, {"public.live": exclusive}, []),
        (True, {}, []),
        (True, {"public.live": exclusive}, []),
    ]
    # What is not known leaves open what it does itself, and is taken to change nothing.
    index = "CREATE INDEX ON live (n)"
    assert effects(
        "DO $$ BEGIN EXECUTE format('%s', 1); END $$", index, "no SQL", "SELECT f()"
    ) == [
        (False, {}, []),
        (True, {"public.live": "SHARE"}, ["public.live"]),
        (False, {}, []),
        (False, {}, []),
    ]
    # So has a value that the driver cannot write yet.
    assert effects("ALTER TABLE live ADD c text DEFAULT %s NOT NULL")[0][:2] == (
        True,
        {"public.live": exclusive},
    )


def test_what_is_done_concurrently_waits_for_snapshots(empty_database: str) -> None:
    execute(connections[empty_database], SETUP)
    texts = (
        "create unique\nindex concurrently by_n on live (n)",
        "REINDEX TABLE CONCURRENTLY live",
        "DROP INDEX CONCURRENTLY by_n",
        "CREATE INDEX ON live (n)",
    )

    locks = list(planned_locks(foreseen(empty_database, *texts).costs))

    assert [each.snapshots for each in locks] == [True, True, True, False]
    assert {each.mode for each in locks[:3]} == {"SHARE UPDATE EXCLUSIVE"}


def test_values_are_in_no_advice(empty_database: str) -> None:
    execute(connections[empty_database], SETUP)
    number = "ALTER TABLE live ALTER COLUMN n TYPE bigint USING n + %s"
    twice = (number, "ALTER TABLE live ALTER COLUMN other TYPE bigint USING other + %s")

    plain = order_advice(foreseen(empty_database, *(each.replace("%s", "1") for each in twice)))
    hidden = order_advice(foreseen(empty_database, *twice, composed=number.replace("%s", "12345")))

    assert plain[0]["advice"].endswith(
        ": ALTER TABLE live ALTER COLUMN n TYPE bigint USING n + 1,"
        " ALTER COLUMN other TYPE bigint USING other + 1"
    )
    assert hidden[0]["advice"].startswith("2 statements rewrite public.live")
    assert "ALTER TABLE" not in hidden[0]["advice"]


def test_what_a_unique_constraint_says_of_nulls_and_time_is_in_its_safer_way() -> None:
    constraint = models.UniqueConstraint(fields=["name"], name="once", nulls_distinct=False)
    operation = AddConstraint("cage", constraint)
    added = 'ALTER TABLE "s"."Cage" ADD CONSTRAINT "once" UNIQUE NULLS NOT DISTINCT ("name", "n")'

    text = alternative(operation, parse(f"{added} DEFERRABLE"), rewrites=False) or ""

    build, given = re.findall(r"sql='([^']+)'", text)
    assert build == (
        'CREATE UNIQUE INDEX CONCURRENTLY "once" ON "s"."Cage" ("name", "n") NULLS NOT DISTINCT'
    )
    assert given == (
        'ALTER TABLE "s"."Cage" ADD CONSTRAINT "once" UNIQUE USING INDEX "once"'
        " DEFERRABLE INITIALLY IMMEDIATE"
    )
    assert [each.kind for each in parse(f"{build}; {given}")] == ["index_stmt", "alter_table_stmt"]


def test_without_the_grammar_there_is_no_forecast_and_it_says_so(
    empty_database: str, write_migrations: Write, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, ADDED)
    monkeypatch.setitem(sys.modules, "postgast", None)
    grammar._library.cache_clear()
    # What other tests have parsed is remembered.
    placeholders._kept.cache_clear()
    try:
        text = ops("preflight_migrate", "zoo", database=empty_database, format="text")
        report = ops("preflight_migrate", "zoo", database=empty_database).report
    finally:
        monkeypatch.undo()
        grammar._library.cache_clear()

    assert text.code == 0
    [line] = [line for line in text.stdout.splitlines() if line.startswith("Forecast")]
    assert line.startswith("Forecast: none, as the package postgast cannot be imported")
    assert line.endswith(': python -m pip install "postgast>=0.2,<0.3"')
    [statement] = report["facts"]["statements"]
    assert (statement["operation"], statement["tables"]) == ("0: AddField", [])
    assert report["facts"]["forecast"]["locks"] is None


def test_what_the_interpretation_says_against_the_plan_is_doubted_where_nothing_else_was_found(
    empty_database: str,
) -> None:
    execute(connections[empty_database], SETUP)
    gone = "ALTER TABLE part DROP COLUMN n"

    def doubts(text: str, *, composed: str) -> list[str]:
        ledger = Ledger()
        doubt_refused(foreseen(empty_database, text, composed=composed).costs, None, ledger)
        return [each.why for each in ledger.undecided]

    (doubt,) = doubts(gone, composed=gone)
    assert doubt == (
        "whether PostgreSQL accepts this (inherited column; SQLSTATE 42P16): " + gone
    ), doubt
    with pytest.raises(DatabaseError, match="cannot drop inherited column"):
        execute(connections[empty_database], gone)
    assert doubts("ALTER TABLE live DROP COLUMN n", composed="ALTER TABLE live DROP COLUMN n") == []
    # What code executes has no values yet.
    assert doubts(gone, composed="") == []


def test_an_error_that_was_found_already_is_not_doubted_besides(empty_database: str) -> None:
    execute(connections[empty_database], SETUP)
    gone = "ALTER TABLE part DROP COLUMN n"
    ledger = Ledger()
    ledger.find("inherited-column", "it is inherited")
    doubt_refused(foreseen(empty_database, gone, composed=gone).costs, None, ledger)
    assert ledger.undecided == ()


def test_where_the_forecast_itself_goes_wrong_the_verdict_stands_and_the_text_says_why(
    empty_database: str, write_migrations: Write, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, ADDED)

    def broken(*given: object) -> Forecast:
        raise LookupError("a fault of its own")

    monkeypatch.setattr(forecast_report, "make_forecast", broken)

    text = ops("preflight_migrate", "zoo", database=empty_database, format="text", rehearse="off")

    assert text.code == 0
    why = "a statement was not understood: LookupError: a fault of its own"
    assert f"Forecast: none, as {why}" in text.stdout
