"""What every command says: verdicts, exit codes, the JSON object, the text."""

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opsmigrate.counted import counted
from opsmigrate.errors import (
    OpsmigrateError,
    PartialError,
    RefusedError,
    SettingsError,
    UndecidedError,
    UsageError,
)
from opsmigrate.report import Database, Finding, Report, Result, Severity, Undecided, Verdict
from opsmigrate.steps import command, statement
from tests.json_reports import parsed

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
STARTED = datetime(2025, 3, 1, 12, 0, tzinfo=timezone.utc)

WARNING = Finding(
    id="slow-statement",
    severity=Severity.WARNING,
    message="ALTER TABLE rewrites treasury_payment (1,000,000 rows) while nobody can read it, "
    "which takes about 40 s",
)
ERROR = Finding(
    id="missing-column",
    severity=Severity.ERROR,
    message="the foreign key of treasury_alert (payment_id) needs column payment_id of "
    "public.treasury_payment, which does not exist",
    steps=(command("python manage.py seed_payment_id"),),
    migration="treasury.0002_phase6_dashboard_models",
    operation="4: CreateModel",
    table="public.treasury_payment",
    column="payment_id",
    evidence={"columns": ["id", "reference"]},
)
INFO = Finding(id="ahead", severity=Severity.INFO, message="nothing is pending in auth")


def report(**changes: object) -> Report:
    whole = Report(
        command="preflight_migrate",
        run_id="0123456789ab",
        started=STARTED,
        finished=STARTED + timedelta(seconds=1.26),
        database=Database(
            alias="default",
            name="treasury ü",
            host="db.example.org",
            port=5432,
            server_version="16.4 (Debian 16.4-1.pgdg120+2)",
            system_identifier="7412345678901234567",
            oid=16384,
        ),
        result=Result(
            verdict=Verdict.FAILED,
            summary="migrate would fail at treasury.0002_phase6_dashboard_models: public."
            "treasury_payment has no column payment_id",
            findings=(INFO, WARNING, ERROR),
            undecided=(
                Undecided("treasury.0003_fill, operation 0: RunPython", "what it does is code"),
            ),
            facts={"page": "# missing-column"},
            detail=("Plan:", "  treasury.0002_phase6_dashboard_models"),
        ),
        exit_code=1,
    )
    return replace(whole, **changes)


def assert_golden(name: str, text: str) -> None:
    """Compare byte for byte with the file; UPDATE_GOLDEN=1 rewrites it, and git diff judges."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_bytes(text.encode())
    assert text.encode() == file.read_bytes(), f"UPDATE_GOLDEN=1 rewrites {file}"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.PASSED, 0),
        (Verdict.FAILED, 1),
        (Verdict.USAGE, 2),
        (Verdict.UNDECIDED, 3),
        (Verdict.REFUSED, 4),
        (Verdict.PARTIAL, 5),
    ],
)
def test_each_verdict_has_the_exit_code_of_the_design(verdict: Verdict, code: int) -> None:
    assert verdict.exit_code == code
    assert len(Verdict) == 6


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (OpsmigrateError, Verdict.FAILED),
        (UsageError, Verdict.USAGE),
        (UndecidedError, Verdict.UNDECIDED),
        (SettingsError, Verdict.UNDECIDED),
        (RefusedError, Verdict.REFUSED),
        (PartialError, Verdict.PARTIAL),
    ],
)
def test_an_error_becomes_a_result_with_one_finding(
    error: type[OpsmigrateError], verdict: Verdict
) -> None:
    result = error(
        "it stopped",
        id="a-slug",
        hint="type this",
        table="public.t",
        column="c",
        evidence={"rows": 1},
        facts={"seeded": 2},
    ).as_result()

    assert (result.verdict, result.summary, result.facts) == (verdict, "it stopped", {"seeded": 2})
    assert result.findings == (
        Finding(
            id="a-slug",
            severity=Severity.ERROR,
            message="it stopped",
            hint="type this",
            table="public.t",
            column="c",
            evidence={"rows": 1},
        ),
    )


def test_the_json_has_exactly_the_keys_of_the_design() -> None:
    body = parsed(report().as_json())

    assert list(body) == [
        "schema",
        "command",
        "run_id",
        "verdict",
        "exit_code",
        "started",
        "finished",
        "database",
        "findings",
        "undecided",
        "facts",
    ]
    assert body["schema"] == 2
    assert (body["verdict"], body["exit_code"]) == ("failed", 1)
    assert datetime.fromisoformat(body["started"]) == STARTED
    assert body["database"] == {
        "alias": "default",
        "name": "treasury ü",
        "host": "db.example.org",
        "port": 5432,
        "server_version": "16.4 (Debian 16.4-1.pgdg120+2)",
        "system_identifier": "7412345678901234567",
        "oid": 16384,
    }
    assert body["findings"][2] == {
        "id": "missing-column",
        "severity": "error",
        "message": ERROR.message,
        "hint": None,
        "steps": [
            {
                "kind": "command",
                "text": "python manage.py seed_payment_id",
                "risk": None,
                "alternative": 1,
            }
        ],
        "migration": "treasury.0002_phase6_dashboard_models",
        "operation": "4: CreateModel",
        "table": "public.treasury_payment",
        "column": "payment_id",
        "evidence": {"columns": ["id", "reference"]},
        "after_cure": False,
    }
    assert body["undecided"] == [
        {"what": "treasury.0003_fill, operation 0: RunPython", "why": "what it does is code"}
    ]
    assert body["facts"] == {
        "summary": report().result.summary,
        "page": "# missing-column",
    }


def test_what_could_not_be_known_is_null() -> None:
    body = parsed(report(database=None).as_json())
    assert body["database"] is None

    unreached = Database(alias="default", name="x", host=None, port=None)
    body = parsed(report(database=unreached).as_json())
    assert body["database"]["server_version"] is None
    assert body["database"]["system_identifier"] is None
    assert body["database"]["oid"] is None


def test_the_json_is_ascii_so_that_any_terminal_can_carry_it() -> None:
    assert report().as_json().isascii()


def test_the_text_report_is_as_people_know_it() -> None:
    assert_golden("report.txt", report().as_text() + "\n")


def test_the_text_report_of_a_server_out_of_reach() -> None:
    database = Database(alias="default", name="treasury", host=None, port=None)
    result = UndecidedError(
        "cannot connect: connection refused", id="cannot-connect", hint="start it"
    ).as_result()

    text = report(database=database, result=result, exit_code=3).as_text()

    assert text == (
        "UNDECIDED: cannot connect: connection refused\n"
        "\n"
        "preflight_migrate: database treasury, 1.3 s, run 0123456789ab\n"
        "\n"
        "error [cannot-connect] cannot connect: connection refused\n"
        "    next: start it"
    )


@pytest.mark.parametrize(("asked", "width"), [(None, 80), (1, 60), (72, 72), (500, 120)])
def test_the_text_report_stays_within_its_width(asked: int | None, width: int) -> None:
    text = report().as_text() if asked is None else report().as_text(asked)
    assert width - 10 < max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("db.example.org", " on db.example.org:5432"),
        ("/run/postgresql", " on the local socket /run/postgresql:5432"),
        (None, ""),
    ],
)
def test_the_text_report_names_the_place_that_was_reached(host: str | None, words: str) -> None:
    database = Database(alias="default", name="treasury", host=host, port=5432 if host else None)

    assert f"preflight_migrate: database treasury{words}, 1.3 s" in report(
        database=database
    ).as_text(120)


def test_what_was_not_examined_for_one_reason_stands_together() -> None:
    code, away = "what it does is code", "the server did not say"
    items = [Undecided(f"zoo.{number:04}: RunPython", code) for number in range(1, 8)]
    items.insert(3, Undecided("zoo.0009: RunSQL", away))
    result = replace(report().result, undecided=tuple(items), findings=(), detail=())

    _, _, told = report(result=result).as_text().partition("Undecided:\n")

    assert told.splitlines() == [
        "  - 7 places: what it does is code",
        "      zoo.0001: RunPython",
        "      zoo.0002: RunPython",
        "      zoo.0003: RunPython",
        "      zoo.0004: RunPython",
        "      zoo.0005: RunPython",
        "      and 2 more: --format json has them all",
        "  - zoo.0009: RunSQL: the server did not say",
    ]
    assert len(parsed(report(result=result).as_json())["undecided"]) == 8


def test_reasons_of_one_sort_stand_together_where_there_are_many_and_many_reasons_are_cut() -> None:
    items = [Undecided(f"zoo.{n}: RunPython", f"it calls f{n}", "code") for n in range(7)]
    items += [Undecided(f"zoo.{n}: RunSQL", f"it says {n}", "SQL") for n in range(5)]
    items += [
        Undecided(f"ark.{n}", f"room {n}, row {n}, it depends, on it", "it") for n in range(6)
    ]
    items += [Undecided("zoo", f"reason {n}") for n in range(5)]
    result = replace(report().result, undecided=tuple(items), findings=(), detail=())

    _, _, told = report(result=result).as_text().partition("Undecided:\n")

    assert told.splitlines() == [
        "  - 7 places: code",
        "      zoo.0: RunPython: it calls f0",
        "      zoo.1: RunPython: it calls f1",
        "      zoo.2: RunPython: it calls f2",
        "      and 4 more: --format json has them all",
        *(f"  - zoo.{n}: RunSQL: it says {n}" for n in range(5)),
        "  - 6 places: it",
        *(f"      ark.{n}: room {n}, row {n}" for n in range(3)),
        "      and 3 more: --format json has them all",
        *(f"  - zoo: reason {n}" for n in range(1)),
        "  - and 4 more, for 4 other reasons: --format json has them all",
    ]


def test_a_number_stands_with_what_it_counts() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 1200)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,200 rows",
    ]
    assert counted(1, "row holds NULL", "rows hold NULL") == "1 row holds NULL"
    assert counted(2, "row holds NULL", "rows hold NULL") == "2 rows hold NULL"


def test_fail_on_warning_turns_a_pass_with_a_warning_into_a_failure() -> None:
    result = Result(verdict=Verdict.PASSED, summary="it will apply", findings=(WARNING,))

    assert result.failing_on(Severity.ERROR) is result
    failed = result.failing_on(Severity.WARNING)
    assert failed.verdict is Verdict.FAILED
    assert failed.summary == "it will apply (failed on a warning, as --fail-on warning asks)"


@pytest.mark.parametrize("findings", [(), (INFO,)])
def test_fail_on_warning_leaves_a_pass_without_a_warning(findings: tuple[Finding, ...]) -> None:
    result = Result(verdict=Verdict.PASSED, summary="it will apply", findings=findings)

    assert result.failing_on(Severity.WARNING) is result


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.REFUSED, Verdict.PARTIAL])
def test_fail_on_warning_changes_no_other_verdict(verdict: Verdict) -> None:
    result = Result(verdict=verdict, summary="no", findings=(WARNING, ERROR))

    assert result.failing_on(Severity.WARNING) is result


def test_more_facts_are_added_to_those_that_are_there() -> None:
    result = Result(verdict=Verdict.PASSED, summary="done", facts={"rows": 1})

    assert result.with_facts(backup="b.dump").facts == {"rows": 1, "backup": "b.dump"}


def test_steps_are_said_once_and_the_last_line_asks_again() -> None:
    grants = [statement(f"GRANT {each} ON t TO deploy") for each in ("SELECT", "INSERT")]
    lacks = [
        replace(ERROR, id="missing-privilege", message=f"{number}: a right lacks", steps=steps)
        for number, steps in enumerate([(grants[0],), tuple(grants), (grants[0],)])
    ]
    same = [replace(ERROR, message="another"), ERROR]
    result = Result(verdict=Verdict.FAILED, summary="no", findings=(*lacks, *same))

    again = replace(result, again="python manage.py preflight_migrate shop")
    lines = report(result=again).as_text().splitlines()

    for step in (*grants, *ERROR.steps):
        assert sum(step.text in line for line in lines) == 1
    assert sum(line.endswith("for this one too") for line in lines) == 2
    assert lines[-1] == "Then ask again: python manage.py preflight_migrate shop"
    assert "ask again" not in report(result=result).as_text()
    informed = replace(again, findings=(replace(ERROR, severity=Severity.INFO),))
    assert "ask again" not in report(result=informed).as_text()
    assert [len(item["steps"]) for item in parsed(report(result=again).as_json())["findings"]] == [
        1,
        2,
        1,
        1,
        1,
    ]
