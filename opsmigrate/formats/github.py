"""A report as workflow commands of GitHub Actions: annotations at the lines of the migrations."""

import os
from collections.abc import Iterator
from pathlib import Path

from opsmigrate.counted import counted
from opsmigrate.formats.markdown import markdown
from opsmigrate.formats.places import place_of
from opsmigrate.report import Finding, Report, Severity, by_severity, what_next
from opsmigrate.shown import shown
from opsmigrate.workflow_commands import without_commands

# GitHub shows ten of a step and drops the others without a word.
MOST_ANNOTATIONS = 10
COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
SUMMARY = "GITHUB_STEP_SUMMARY"


def github(report: Report) -> str:
    """Return what is to be printed in a step: at most ten annotations, the worst first.

    The verdict is one of them where it is none of passing. Further findings are lines of plain
    text, unless the step summary has them, which append_summary() writes.
    """
    result = report.result
    ordered = [each for each in by_severity(result.findings) if each.severity is not Severity.INFO]
    lines = []
    if report.exit_code and not any(each.severity is Severity.ERROR for each in ordered):
        lines.append(_command("error", result.summary, {"title": f"{report.command}: not passed"}))
    annotated = ordered[: MOST_ANNOTATIONS - len(lines)]
    lines += [_annotation(each) for each in annotated]
    rest = len(result.findings) - len(annotated)
    if rest and os.environ.get(SUMMARY):
        lines.append(_plain(f"{counted(rest, 'more finding')}: see the summary of this step"))
    elif rest:
        others = [each for each in by_severity(result.findings) if each not in annotated]
        lines += [_plain(f"{each.severity.value} [{each.id}] {each.message}") for each in others]
    lines += [_plain(f"undecided: {each.what}: {each.why}") for each in result.undecided]
    lines.append(_plain(f"{result.verdict.value.upper()}: {result.summary}"))
    return "\n".join(lines)


def append_summary(report: Report) -> None:
    """Add the report to the summary of the step, where GitHub says that there is one."""
    file = os.environ.get(SUMMARY)
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(markdown(report))


def _annotation(finding: Finding) -> str:
    place = place_of(finding)
    properties = {"file": place.file, "line": str(place.line)} if place else {}
    properties["title"] = finding.id
    return _command(COMMANDS[finding.severity], "\n".join(_words(finding)), properties)


def _words(finding: Finding) -> Iterator[str]:
    yield shown(finding.message)
    where = ", ".join(value for _, value in finding.places)
    if where:
        yield f"in {shown(where)}"
    yield from what_next(finding)


def _command(name: str, message: str, properties: dict[str, str]) -> str:
    """Return a workflow command, escaped as ActionCommand of actions/runner undoes it."""
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {said}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text)).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """Return a line that the runner takes for no command."""
    return without_commands(f"- {shown(text)}")
