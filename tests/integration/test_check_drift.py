"""check_drift: a gate of its own, with waivers, and a script that repairs what it finds."""

from __future__ import annotations

import stat
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.pgtools.embedded import find_bindirs
from opsmigrate.preflight.drift_repair import repair_script
from opsmigrate.schema.drift_words import Drift
from opsmigrate.steps import statement
from tests.conftest import Answer, Ops, execute, url_of
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import contents

TOMORROW = date.today() + timedelta(days=1)
LAST_WEEK = date.today() - timedelta(days=7)
NEXT = """
migrations.AddField("cage", "age", models.IntegerField(null=True)),
migrations.AddIndex("cage", models.Index(fields=["age"], name="zoo_age")),
migrations.AddField("cage", "note", models.CharField(max_length=9, default="x")),
"""
ROW_WITH_NOTE = ROW.replace("size)", "size, note)").replace(", 1)", ", 1, 'n')")
NOT_UNIQUE = "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_code_key"
SAME = "UPDATE zoo_cage SET code = '123e4567-e89b-42d3-a456-426614174000'"
# A column that no migration knows, and what must be typed outside of a transaction.
LEFT = ["drift-column-unknown", "drift-index"]
TABLE = "public.zoo_cage"


@pytest.fixture
def cages(empty_database: str, write_migrations: Write) -> str:
    """Return a database as its migrations describe it, with two cages."""
    write_migrations(CAGE, NEXT)
    assert migrate(empty_database, "zoo") is None
    for _ in range(2):
        execute(connections[empty_database], ROW_WITH_NOTE)
    return empty_database


def psql(alias: str, file: Path) -> None:
    """Run a script as a person would."""
    program = max(find_bindirs().items())[1] / "psql"
    command = [program, "-X", "-v", "ON_ERROR_STOP=1", "-f", file, url_of(alias)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def check(ops: Ops, alias: str, **options: Any) -> Answer:
    return ops("check_drift", database=alias, **options)


def waive(settings: Any, *waivers: dict[str, str]) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "DRIFT_WAIVERS": list(waivers)}


def waiver(drift: str, expires: date = TOMORROW, **more: str) -> dict[str, str]:
    said = {"drift": drift, "table": TABLE, "owner": "Ada", "reason": "T-42", **more}
    return {**said, "expires": expires.isoformat()}


def test_a_database_as_its_migrations_describe_it_passes(cages: str, ops: Ops) -> None:
    answer = check(ops, cages)

    assert (answer.code, answer.ids) == (0, [])
    assert answer.report["facts"] == {
        "summary": "the tables are what 2 applied migrations describe",
        "applied_migrations": 2,
        "drift": [],
        "waivers": [],
        "repair": None,
    }


def test_what_differs_fails_and_the_script_repairs_it_without_losing_a_value(
    cages: str, ops: Ops, tmp_path: Path
) -> None:
    for damage in (
        "DROP INDEX zoo_age",
        NOT_UNIQUE,
        "ALTER TABLE zoo_cage ALTER size SET NOT NULL",
        "ALTER TABLE zoo_cage ADD COLUMN legacy text",
        "UPDATE zoo_cage SET legacy = 'old'",
    ):
        execute(connections[cages], damage)
    before, script = contents(cages), tmp_path / "repair.sql"

    answer = check(ops, cages, write_repair=str(script))

    assert answer.code == 1
    assert sorted(answer.ids) == sorted([*LEFT, "drift-null", "drift-unique"])
    assert {each["severity"] for each in answer.report["findings"]} == {"error"}
    assert answer.report["facts"]["repair"] == {"file": str(script), "repairs": 2, "left": 2}
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    # Whoever types psql alone is in the database that is named as the user is.
    typed = f"--   python manage.py dbshell --database {cages} -- --set ON_ERROR_STOP=1 --file "
    assert typed in script.read_text()
    # As it is: psql stops at the first error.
    psql(cages, script)
    assert contents(cages) == before
    again = check(ops, cages, format="json")
    assert (again.code, again.ids) == (1, LEFT)
    comments = [each for each in script.read_text().splitlines() if each.startswith("-- CREATE")]
    assert comments == ['-- CREATE INDEX CONCURRENTLY "zoo_age" ON "public"."zoo_cage" ("age");']


def test_a_script_that_fails_changes_nothing(cages: str, ops: Ops, tmp_path: Path) -> None:
    execute(connections[cages], "DROP INDEX zoo_age")
    execute(connections[cages], NOT_UNIQUE)
    script = tmp_path / "repair.sql"
    assert check(ops, cages, write_repair=str(script)).code == 1
    # In the meantime.
    execute(connections[cages], SAME)

    with pytest.raises(subprocess.CalledProcessError):
        psql(cages, script)

    assert sorted(check(ops, cages).ids) == ["drift-index", "drift-unique"]


def test_a_waiver_lets_a_drift_pass_for_a_while(cages: str, ops: Ops, settings: Any) -> None:
    execute(connections[cages], "ALTER TABLE zoo_cage ADD COLUMN legacy text")
    waive(settings, waiver("drift-column-unknown", column="legacy"))
    waived = check(ops, cages)
    waive(settings, waiver("drift-column-unknown", column="another"))
    elsewhere = check(ops, cages)
    waive(settings, waiver("drift-column-unknown", LAST_WEEK), waiver("drift-of-mind"))
    void = check(ops, cages)

    assert (waived.code, waived.ids) == (0, ["drift-column-unknown"])
    assert waived.report["findings"][0]["severity"] == "info"
    assert f"(waived: Ada, until {TOMORROW}: T-42)" in waived.report["findings"][0]["message"]
    assert waived.report["facts"]["waivers"][0]["state"] == "used"
    assert elsewhere.code == 1
    assert elsewhere.report["facts"]["waivers"][0]["state"] == "not needed"
    assert (void.code, void.ids) == (1, ["drift-column-unknown", "waiver-void", "waiver-void"])
    assert [each["state"] for each in void.report["facts"]["waivers"]] == ["expired", "of no check"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("all", "is not a list"),
        ([{"drift": "drift-index"}], "has the waiver {'drift': 'drift-index'}"),
        ([waiver("drift-index", reason=" ")], "has the waiver "),
        ([{**waiver("drift-index"), "expires": "soon"}], "has a waiver that expires on 'soon'"),
    ],
)
def test_a_waiver_that_is_not_whole_is_refused(
    ops: Ops, settings: Any, setting: Any, words: str
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "DRIFT_WAIVERS": setting}

    answer = check(ops, "default")

    assert (answer.code, answer.ids) == (3, ["bad-setting"])
    assert f"OPSMIGRATE['DRIFT_WAIVERS'] {words}" in answer.report["findings"][0]["message"]


def test_while_another_migrate_runs_nothing_is_decided(cages: str, ops: Ops) -> None:
    other = connections[cages].copy()
    other.set_autocommit(False)
    execute(other, "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', 'x', now())")

    answer = check(ops, cages)

    other.rollback()
    other.close()
    assert (answer.code, answer.ids) == (3, ["migrate-under-way"])


def test_an_inconsistent_history_decides_nothing(cages: str, ops: Ops, tmp_path: Path) -> None:
    execute(connections[cages], "DELETE FROM django_migrations WHERE name = '0001_step'")

    answer = check(ops, cages, write_repair=str(tmp_path / "repair.sql"))

    assert (answer.code, answer.report["facts"]["repair"]) == (3, None)
    assert answer.report["findings"]
    assert not (tmp_path / "repair.sql").exists()


def test_where_no_migration_is_applied_nothing_is_compared(empty_database: str, ops: Ops) -> None:
    answer = check(ops, empty_database)

    assert (answer.code, answer.ids) == (3, ["no-migration-applied"])


def test_a_script_has_nothing_but_comments_of_what_others_named() -> None:
    name = 'x"\n; DROP TABLE zoo_cage; --\nBEGIN'
    drift = Drift(
        id="drift-index",
        table=f"public.{name}",
        column=name,
        name=name,
        claimed=name,
        live=name,
        hint=f"words\n{name}",
        steps=(statement(f'DROP INDEX "{name}"', risk=name),),
    )

    script, repaired = repair_script([drift], database=name)

    assert repaired == 0
    code = [each for each in script.splitlines() if each and not each.startswith("--")]
    assert code == ["BEGIN;", "SET LOCAL lock_timeout = '5s';", "COMMIT;"]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((), "no statement repairs it"),
        ((statement("SELECT 1", alternative=1), statement("SELECT 2", alternative=2)), "decide"),
        ((statement("SELECT 1"), statement("DROP TABLE t", risk="loses t")), "loses t"),
        ((statement("REINDEX INDEX CONCURRENTLY i"),), "type it by itself"),
        ((statement("BEGIN"), statement("SELECT 1"), statement("COMMIT")), "type it by itself"),
    ],
)
def test_what_is_for_a_person_to_decide_is_a_comment(steps: Any, why: str) -> None:
    drift = Drift(id="drift-index", table=TABLE, steps=steps)

    script, repaired = repair_script([drift, drift], database="d")

    assert repaired == 0
    assert f"{why}\n" in script
    assert [each for each in script.splitlines() if each and not each.startswith("--")][2:] == [
        "COMMIT;"
    ]
