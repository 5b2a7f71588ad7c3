"""preflight_migrate where people review: --format, and several at once by --also."""

from __future__ import annotations

import json
import stat
from html import unescape
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from opsmigrate.formats import FORMATS
from opsmigrate.interrupts import Watch
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.json_reports import parsed
from tests.unit.test_formats import commands, official

# The second operation cannot be done while two cages have one name.
STEP = """
migrations.AddField("cage", "age", models.IntegerField(null=True)),
migrations.AlterField("cage", "name", models.CharField(max_length=9, unique=True)),
"""


@pytest.fixture
def review(
    empty_database: str, write_migrations: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return a database in which the second operation of zoo.0002_step fails."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    for statement in [ROW] * 2 + ["ANALYZE zoo_cage"]:
        execute(connections[empty_database], statement)
    write_migrations(CAGE, STEP)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return empty_database


def test_one_run_writes_every_format_for_its_readers(
    review: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    written = {name: folder / f"report.{name}" for name in FORMATS if name != "github"}

    answer = ops(
        "preflight_migrate",
        "zoo",
        database=review,
        format="github",
        also=[f"{name}={file}" for name, file in written.items()],
    )

    assert answer.code == 1
    texts = {name: file.read_text(encoding="utf-8") for name, file in written.items()}
    assert {stat.S_IMODE(file.stat().st_mode) for file in written.values()} == {0o600}
    assert sorted(folder.iterdir()) == sorted(written.values()), "nothing beside them"
    (module,) = tmp_path.glob("zoo_*/0002_step.py")
    lines = module.read_text().splitlines()
    (line,) = [number for number, each in enumerate(lines, 1) if "AlterField" in each]
    place = module.relative_to(tmp_path).as_posix()
    (error,) = [each for each in parsed(texts["json"])["findings"] if each["severity"] == "error"]
    assert error["operation"] == "1: AlterField"
    # An annotation at the line, and the whole in the summary.
    assert commands(answer.stdout)[0] == "error"
    assert answer.stdout.startswith(f"::error file={place},line={line},title={error['id']}::")
    assert summary.read_text(encoding="utf-8").strip() == texts["markdown"].strip()
    log = json.loads(texts["sarif"])
    official(log)
    (result,) = [each for each in log["runs"][0]["results"] if each["level"] == "error"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == place
    assert location["region"]["startLine"] == line
    assert result["properties"]["steps"] == error["steps"]
    suites = fromstring(texts["junit"])  # noqa: S314 - of our own making
    (failed,) = suites.findall("testsuite/testcase[failure]")
    assert failed.attrib["name"].startswith("1: ")
    assert failed.attrib["classname"] == "preflight_migrate.zoo.0002_step"
    for name in ("markdown", "html", "text"):
        assert error["steps"][0]["text"] in unescape(texts[name])
        assert "zoo.0002" in texts[name]
    assert "| `zoo.0002_step` | 2 | `public.zoo_cage: ACCESS EXCLUSIVE`<br>" in texts["markdown"]


def test_a_rehearsal_is_named_where_its_seconds_are_shown(
    review: str, ops: Ops, write_migrations: Write
) -> None:
    write_migrations(CAGE, STEP.replace(", unique=True", ""))

    answer = ops("preflight_migrate", "zoo", database=review, format="markdown", rehearse="clone")

    assert answer.code == 0, answer.stdout
    (row,) = [each for each in answer.stdout.splitlines() if each.startswith("| `zoo.0002_step`")]
    assert row.endswith("s, measured |")


@pytest.mark.parametrize(
    ("also", "words"),
    [
        (["pdf=x"], "--also takes FORMAT=FILE, where FORMAT is one of text, json, markdown"),
        (["sarif"], "'sarif' is not of this form"),
        (["sarif=/nowhere/x"], "cannot write /nowhere/x"),
        (["sarif=x", "html=x"], "two reports cannot both be written to x"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_done(
    ops: Ops, also: list[str], words: str
) -> None:
    answer = ops("preflight_migrate", database="default", also=also)

    assert answer.code == 2
    assert words in answer.report["findings"][0]["message"]


def test_a_run_that_ends_before_it_began_has_its_report(
    ops: Ops, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(self: Watch) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "begin", interrupt)

    answer = ops("preflight_migrate", database="default", also=[f"sarif={tmp_path / 'x'}"])

    assert (answer.code, answer.ids) == (130, ["interrupted"])


def test_an_unknown_format_is_refused_by_the_command_line(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=r"invalid choice: 'pdf'"):
        call_command("preflight_migrate", "--format=pdf", database=empty_database)
