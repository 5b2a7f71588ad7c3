"""The reports are valid whatever a site has answered, and a change of one is found."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from opsmigrate.errors import UsageError
from opsmigrate.report import Verdict
from opsmigrate.uat.redaction import Redactor
from opsmigrate.uat.reports.junit import junit_xml
from opsmigrate.uat.reports.page import headline, html_page
from opsmigrate.uat.reports.seal import sealed, verify_report

NASTY = "\x00\x1b[31m</script><script>alert(1)</script> ]]> & \ud800 \ufffe {{ x }} \"'"
PICTURE = b"\x89PNG not really"


def check(**changes: Any) -> dict[str, Any]:
    return {
        "id": "mine",
        "status": "PASS",
        "severity": "major",
        "tags": ["site"],
        "started": 0.1,
        "seconds": 0.25,
        "saw": "nothing bad",
        "told_by": "",
        "evidence": [],
        "retried": [],
        "required": True,
        "waived": None,
        **changes,
    }


def report(*checks: dict[str, Any], verdict: str = "passed", **facts: Any) -> dict[str, Any]:
    return sealed(
        {
            "schema": 1,
            "command": "run_uat",
            "run_id": "one",
            "verdict": verdict,
            "exit_code": 0,
            "started": "2031-01-02T03:04:05+00:00",
            "finished": "2031-01-02T03:04:06+00:00",
            "database": None,
            "findings": [],
            "unexamined": [],
            "facts": {"summary": "said", "checks": list(checks), **facts},
        }
    )


def parsed(body: dict[str, Any]) -> ElementTree.Element | None:
    root = ElementTree.fromstring(junit_xml(body).encode())  # noqa: S314 - our own
    return root.find("testsuite")


def test_the_xml_is_valid_whatever_was_seen() -> None:
    body = report(
        check(saw=NASTY),
        check(id=NASTY, status="FAIL", saw=NASTY, told_by=NASTY),
        check(status="ERROR"),
        check(status="NOT_RUN"),
        check(status="NOT_RUN", required=False),
        check(status="FAIL", waived="Ada"),
    )

    suite = parsed(body)

    assert suite is not None
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "2", "skipped": "2"}
    text = suite.findtext("testcase/failure") or ""
    assert "</script><script>alert(1)</script> ]]> & " in text


def test_a_run_without_checks_is_no_green_test_suite() -> None:
    suite = parsed(report(verdict="undecided"))

    assert suite is not None
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_the_page_shows_what_was_seen_as_text_and_loads_nothing() -> None:
    words = Redactor([]).text(NASTY)
    page = html_page(report(check(status="FAIL", saw=words)), {})

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ x }}" in page
    for loading in ('src="http', 'href="http', "@import", "url("):
        assert loading not in page


@pytest.mark.parametrize(
    ("verdict", "statuses", "waived", "words"),
    [
        ("passed", ["PASS", "PASS"], None, "Accepted by every check"),
        ("passed", ["PASS", "NOT_RUN"], None, "Accepted by every check that ran"),
        ("passed", ["PASS", "FAIL"], "Grace: known", "Accepted, with waivers"),
        ("failed", ["FAIL"], None, "Not accepted"),
    ],
)
def test_the_headline_promises_no_more_than_was_looked_at(
    verdict: str, statuses: list[str], waived: str | None, words: str
) -> None:
    checks = [
        {"status": status, "waived": waived if status == "FAIL" else None} for status in statuses
    ]

    assert headline(verdict, checks) == words


@pytest.mark.parametrize("ending", ["json", "html"])
def test_a_report_as_it_was_written_is_verified_and_a_changed_one_is_not(
    tmp_path: Path, ending: str
) -> None:
    picture = {"kind": "image", "title": "p", "text": "", "sha256": sha256(PICTURE).hexdigest()}
    body = report(check(evidence=[picture]), check(status="FAIL", saw="</script> & <b>"))
    images = {sha256(PICTURE).hexdigest(): PICTURE}
    text = json.dumps(body) if ending == "json" else html_page(body, images)
    file = tmp_path / f"uat_report.{ending}"
    file.write_text(text, encoding="utf-8")
    intact = verify_report(file)
    found = []
    for before, after in (("nothing bad", "nothing  bad"), ("FAIL", "PASS"), ("mine", "yours")):
        assert before in text
        # Once, and wherever it stands: in the figures, or only in what is seen of them.
        for position in (text.index(before), text.rindex(before)):
            changed = text[:position] + after + text[position + len(before) :]
            file.write_text(changed, encoding="utf-8")
            found.append(verify_report(file))

    assert intact.verdict is Verdict.PASSED
    assert body["sha256"] in intact.summary
    assert {each.verdict for each in found} == {Verdict.FAILED}
    assert {each.findings[0].id for each in found} == {"report-changed"}


@pytest.mark.parametrize("text", [None, "", "{}", '{"command": "backup_db"}', "<p>hello</p>"])
def test_what_is_no_report_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "x.html"
    if text is not None:
        file.write_text(text)

    with pytest.raises(UsageError) as caught:
        verify_report(file)

    assert caught.value.id == "not-a-report"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("it was hunter22", "it was ***"),
        ("it was p%40ss+w%2Frd", "it was ***"),
        ("postgres://me:other@host/db", "postgres://me:***@host/db"),
        ("Authorization: Bearer abcdef012345", "Authorization: Bearer ***"),
        ("password=short&x", "password=***&x"),
        ("the pass is for staging", "the pass is for staging"),
    ],
)
def test_secrets_are_masked(said: str, shown: str) -> None:
    redactor = Redactor(["hunter22", "p@ss w/rd", "staging", "abc"], shown=["staging"])

    assert redactor.text(said) == shown
