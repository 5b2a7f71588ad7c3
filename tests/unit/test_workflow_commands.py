"""What is printed in a CI is obeyed by no runner, whatever others have named their tables."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from django.core.management.base import OutputWrapper

from opsmigrate.formats.rendering import RENDERERS
from opsmigrate.management.output import Messages
from opsmigrate.progress import Progress
from opsmigrate.workflow_commands import RUNNERS, without_commands
from tests.conftest import Ops
from tests.unit.test_formats import hostile

NAMES = (
    "::add-mask::secret",
    "##[add-mask]secret",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildStatus status='SUCCESS']",
    "####[warning]x",
    f"long {'x' * 70} ::stop-commands::{'y' * 40}",
    "a\n::error::b\r\n  ::error::c\r::error::d",
)


def obeyed(text: str) -> list[str]:
    """Return the lines that a runner would take for commands.

    As ActionCommand of actions/runner tries a line: `::` after blanks, and `##[` anywhere; and as
    Azure Pipelines and TeamCity do.
    """
    return [
        line
        for line in re.split("\r\n|\r|\n", text)
        if line.lstrip().startswith("::") or re.search(r"##\w*\[", line)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", [each for each in RENDERERS if each != "github"])
def test_no_report_commands_a_runner(format: str, name: str) -> None:
    report = hostile(name)
    text = RENDERERS[format](report)

    said = without_commands(text, format)

    assert obeyed(said) == []
    if format in ("json", "sarif"):
        assert json.loads(said) == json.loads(text)
    if format == "junit":
        both = [fromstring(each) for each in (said, text)]  # noqa: S314 - our own
        assert [*both[0].itertext()] == [*both[1].itertext()]
    assert without_commands(said, format) == said
    if format == "text":
        for width in range(60, 121):
            assert obeyed(without_commands(report.as_text(width))) == []


def test_each_of_these_names_would_be_obeyed() -> None:
    for name in NAMES:
        texts = [hostile(name).as_text(width) for width in range(60, 121)]
        assert any(map(obeyed, texts)) or "\n" in name, name


def test_the_commands_of_the_format_for_github_stay() -> None:
    text = "::error file=a.py::no\n- ok"

    assert without_commands(text, "github") == text
    assert without_commands("SELECT a::text, 'b ## c' FROM d") == "SELECT a::text, 'b ## c' FROM d"


@pytest.mark.parametrize("variable", RUNNERS)
def test_what_is_printed_on_the_way_obeys_no_name_in_a_ci_and_is_as_it_is_elsewhere(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def printed() -> str:
        stream = StringIO()
        messages = Messages(OutputWrapper(stream))  # type: ignore[arg-type]
        Progress(messages, verbosity=1).phase(NAMES[0])
        messages.error(f"{NAMES[1]}\n{NAMES[0]}")
        return stream.getvalue()

    for name in RUNNERS:
        monkeypatch.delenv(name, raising=False)
    assert len(obeyed(printed())) == 3
    monkeypatch.setenv(variable, "true")
    assert obeyed(printed()) == []


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_command_prints_so_in_a_ci(
    format: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer() -> Any:
        return ops(
            "verify_backup", "##[add-mask]/x\n::add-mask::y", database="default", format=format
        )

    for name in RUNNERS:
        monkeypatch.delenv(name, raising=False)
    assert obeyed(answer().stdout) != []
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    said = answer()
    assert said.code == 2
    assert obeyed(said.stdout + said.stderr) == []
