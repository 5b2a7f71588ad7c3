"""The table of findings says what their pages say, and the pages say what the code says."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from opsmigrate import errors
from opsmigrate.report import Severity, Verdict
from tests.guards.test_docs import PACKAGE, PAGES, page_ids, trees

INDEX = PAGES / "README.md"
HEAD = (
    "| id | reported by | severity | verdict (exit code) | in one line |\n|---|---|---|---|---|\n"
)
WORDS = {"an error": "error", "a warning": "warning", "information": "information"}
NAMES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "information"}


@dataclass(frozen=True)
class Page:
    """What the head of a page says: its summary, and how the finding is reported."""

    id: str
    summary: str
    reported: str

    @property
    def commands(self) -> list[str]:
        """The commands that report it, in the page's words."""
        found = re.findall(r"(?:Reported by|\. By) (.+?),? as (?:an |a |info)", self.reported)
        each_of = (part for each in found for part in each.split(", "))
        return list(dict.fromkeys(each for each in each_of if re.match(r"`|every ", each)))

    @property
    def severities(self) -> list[str]:
        """Its severities; the first is that of the example."""
        found = re.findall(rf"\b[Aa]s ({'|'.join(WORDS)})\b", self.reported)
        return list(dict.fromkeys(WORDS[each] for each in found))

    @property
    def verdicts(self) -> list[str]:
        """The verdicts that it leads to, each with its exit code."""
        found = re.findall(r"verdict (\w+(?: \(\d\)|, exit code 130))", self.reported)
        return list(dict.fromkeys(found))

    @property
    def row(self) -> str:
        """Its row in the table."""
        summary = self.summary.rstrip(".")
        if not re.match(r"[A-Z]{2}|[A-Z]\w*SQL|Ctrl|Django", summary):
            summary = summary[0].lower() + summary[1:]
        cells = [
            f"[{self.id}]({self.id}.md)",
            ", ".join(self.commands),
            ", ".join(self.severities),
            "; ".join(self.verdicts),
            summary,
        ]
        return f"| {' | '.join(cells)} |"


@cache
def page(id: str) -> Page:
    """Return the head of a page."""
    head, _, _ = (PAGES / f"{id}.md").read_text(encoding="utf-8").partition("\n## ")
    _, summary, reported = head.strip().split("\n\n")
    return Page(id, summary, " ".join(reported.split()))


def verdicts_of_errors() -> dict[str, str]:
    """Return the verdict of each class of errors."""
    found = {}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.OpsmigrateError):
            found[name] = kind.verdict.value
    return found


def _is_of_ledger(function: ast.expr) -> bool:
    return ast.unparse(function).endswith("ledger.find")


def in_code() -> Iterator[tuple[str, str, str | None]]:
    """Yield what the code says of an id: the id, its severity, its verdict where that is known.

    Only what is literal: errors by their class, findings by their severity.
    """
    verdicts = verdicts_of_errors()
    for node in (node for module in trees(PACKAGE) for node in ast.walk(module)):
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: word.value for word in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        by_place = node.args[0] if name == "find" and _is_of_ledger(node.func) else None
        id = given.get("id", by_place)
        if not (isinstance(id, ast.Constant) and isinstance(id.value, str)):
            continue
        if name in verdicts:
            yield id.value, "error", verdicts[name]
        elif name == "Finding" or by_place is not None:
            said = ast.unparse(given["severity"]) if "severity" in given else "Severity.ERROR"
            for severity in re.findall(r"\bSeverity\.([A-Z]+)", said):
                yield id.value, NAMES[Severity[severity]], None


@pytest.mark.parametrize("id", sorted(page_ids()))
def test_a_page_says_who_reports_the_finding_and_what_follows(id: str) -> None:
    head = page(id)

    assert head.reported.startswith("Reported by ")
    assert head.reported.endswith(".")
    assert head.commands
    assert head.severities
    assert head.verdicts
    codes = {f"{verdict.value} ({verdict.exit_code})" for verdict in Verdict}
    assert {each for each in head.verdicts if not each.endswith(", exit code 130")} <= codes
    # A warning, or information, does not make the verdict; an error never leaves it at passed.
    assert ("passed (0)" in head.verdicts) <= (head.severities != ["error"])


def test_the_table_of_findings_says_what_their_pages_say() -> None:
    text = INDEX.read_text(encoding="utf-8")
    rows = [page(id).row for id in sorted(page_ids())]
    if os.environ.get("UPDATE_GOLDEN"):
        before, _, rest = text.partition("| id |")
        text = "\n".join([f"{before}{HEAD.rstrip()}", *rows, "", rest.partition("\n\n")[2]])
        INDEX.write_text(text, encoding="utf-8")

    assert HEAD in text
    table = text.partition(HEAD)[2].partition("\n\n")[0]
    assert table.splitlines() == rows, "meant? UPDATE_GOLDEN=1, then git diff"


def test_no_paragraph_of_the_index_stands_twice() -> None:
    paragraphs = INDEX.read_text(encoding="utf-8").split("\n\n")

    assert [each for each in paragraphs if paragraphs.count(each) > 1] == []


def test_a_page_has_every_severity_and_verdict_that_the_code_has() -> None:
    known = list(in_code())
    missing = [
        (id, said)
        for id, severity, verdict in known
        for said, there in (
            (severity, page(id).severities),
            (verdict, [re.split(r"\W", each)[0] for each in page(id).verdicts]),
        )
        if said is not None and said not in there
    ]

    assert len({id for id, *_ in known}) > 150
    assert missing == []
