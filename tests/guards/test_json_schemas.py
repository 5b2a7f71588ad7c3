"""The JSON Schemas in the package are current and valid; tests hold all JSON against them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from opsmigrate.report import Result, Verdict
from scripts.json_schemas import FOLDER, schemas, written
from tests.conftest import ROOT
from tests.json_reports import parsed
from tests.unit.test_report import ERROR, report

RESULT = Result(verdict=Verdict.FAILED, summary="no", findings=(ERROR,))
COMMANDS = ROOT / "opsmigrate" / "management" / "commands"
# What a command printed, or what it wrote where it was told to.
READ_PAST_THE_SCHEMA = re.compile(
    r"json\.loads\([^\n]*(?:stdout|getvalue\(\)|as_json\(\)|report\.json)"
)


def test_the_files_are_what_the_script_writes() -> None:
    made = {f"{name}.json": written(schema) for name, schema in schemas().items()}
    if os.environ.get("UPDATE_GOLDEN"):
        for name, text in made.items():
            (FOLDER / name).write_text(text, encoding="utf-8")

    there = {each.name: each.read_text(encoding="utf-8") for each in FOLDER.glob("*.json")}
    assert there == made, "run: python scripts/json_schemas.py"


def test_each_is_a_schema_of_the_draft_that_it_names() -> None:
    for schema in schemas().values():
        assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
        Draft202012Validator.check_schema(schema)


def test_each_command_has_its_schema() -> None:
    commands = {each.stem for each in COMMANDS.glob("[a-z]*.py")}

    assert commands <= schemas().keys(), "describe its facts in opsmigrate/facts"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"schema": 2', '"schema": 3'),
        ('"severity": "error"', '"severity": "grave"'),
        ('"run_id": "0123456789ab",', ""),
        ('"kind": "command"', '"kind": "prayer"'),
        ('"findings": [', '"discoveries": ["x"], "findings": ['),
        ('"summary": ', '"invented": 1, "summary": '),
    ],
)
def test_what_no_schema_allows_is_not_let_pass(was: str, becomes: str) -> None:
    text = report(result=RESULT).as_json()
    parsed(text)
    assert was in text

    with pytest.raises(AssertionError, match=r"json_schemas/preflight_migrate\.json"):
        parsed(text.replace(was, becomes))


def test_no_test_reads_a_report_past_its_schema() -> None:
    past = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in sorted(Path(ROOT / "tests").rglob("*.py"))
        if file != Path(__file__)
        for line in file.read_text(encoding="utf-8").splitlines()
        if READ_PAST_THE_SCHEMA.search(line)
    ]

    assert past == [], "use parsed() of tests.json_reports"
