"""The reports are valid whatever a site has answered, and a change of one is found."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from opsmigrate.errors import UsageError
from opsmigrate.redaction import Redactor
from opsmigrate.report import Verdict
from opsmigrate.uat import Context
from opsmigrate.uat.external_results import read_external_result
from opsmigrate.uat.outcome import rank
from opsmigrate.uat.reports.junit import junit_xml
from opsmigrate.uat.reports.page import headline, html_page
from opsmigrate.uat.reports.report_digest import sealed, verify_report

# As version 0.1.0 wrote them, with "schema": 1.
FORMER = Path(__file__).resolve().parents[1] / "golden" / "schema1"
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
        "message": "nothing bad",
        "detail": "",
        "evidence": [],
        "retried": [],
        "hint": None,
        "steps": [],
        "required": True,
        "waived": None,
        **changes,
    }


def report(*checks: dict[str, Any], verdict: str = "passed", **facts: Any) -> dict[str, Any]:
    return sealed(
        {
            "schema": 2,
            "command": "run_uat",
            "run_id": "one",
            "verdict": verdict,
            "exit_code": 0,
            "started": "2031-01-02T03:04:05+00:00",
            "finished": "2031-01-02T03:04:06+00:00",
            "database": None,
            "findings": [],
            "undecided": [],
            "facts": {"summary": "said", "checks": list(checks), **facts},
        }
    )


def parsed(body: dict[str, Any]) -> ElementTree.Element | None:
    root = ElementTree.fromstring(junit_xml(body).encode())  # noqa: S314 - our own
    return root.find("testsuite")


def test_the_xml_is_valid_whatever_was_seen() -> None:
    body = report(
        check(message=NASTY),
        check(id=NASTY, status="FAIL", message=NASTY, detail=NASTY),
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
    page = html_page(report(check(status="FAIL", message=words)), {})

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
        ("passed", ["PASS", "FAIL", "NOT_RUN"], None, "Accepted, with warnings"),
        ("passed", ["PASS", "FAIL"], "Grace: known", "Accepted, with waivers"),
        ("failed", ["FAIL"], None, "Not accepted"),
    ],
)
def test_the_headline_promises_no_more_than_was_looked_at(
    verdict: str, statuses: list[str], waived: str | None, words: str
) -> None:
    checks = [
        check(status=status, severity="minor", waived=waived if status == "FAIL" else None)
        for status in statuses
    ]

    assert headline(verdict, checks) == words


def test_accepted_without_a_look_at_a_blocker_is_not_green() -> None:
    lacking = check(id="release", status="NOT_RUN", severity="blocker", required=False)

    page = html_page(report(check(), lacking), {})

    assert "<h1>Accepted, but a blocker was not checked</h1>" in page
    assert '<header class="card verdict reserved">' in page
    assert '<header class="card verdict passed">' in html_page(report(check()), {})


def test_the_page_begins_with_what_decided_and_tells_it_from_the_rest() -> None:
    kinds = {
        "light-minor": {"status": "FAIL", "severity": "minor"},
        "light-optional": {"status": "NOT_RUN", "severity": "blocker", "required": False},
        "light-waived": {"status": "FAIL", "severity": "blocker", "waived": "Ada"},
        "decided-major": {"status": "FAIL", "severity": "major"},
        "decided-blocker-not-run": {"status": "NOT_RUN", "severity": "blocker"},
        "decided-blocker": {"status": "FAIL", "severity": "blocker"},
    }
    checks = [check(id=id, message="", **kind) for id, kind in kinds.items()]

    page = html_page(report(*checks, verdict="failed"), {})
    concerns, _, _ = page.partition("What was looked at")
    decided, _, light = concerns.partition("Worth a look, but without effect on the verdict")

    assert re.findall(r"<h3>([\w-]+)</h3>", decided) == [
        "decided-blocker",
        "decided-major",
        "decided-blocker-not-run",
    ]
    assert re.findall(r"<h3>([\w-]+)</h3>", light) == [
        "light-optional",
        "light-minor",
        "light-waived",
    ]
    assert '<span class="severity major">major</span>' in decided
    assert '<section class="card decided">' in decided
    assert '<section class="card light">' in concerns


def test_what_decided_is_ranked_before_what_did_not_whatever_its_severity() -> None:
    optional = rank("NOT_RUN", "blocker", required=False, waived=False)
    waived = rank("FAIL", "blocker", required=True, waived=True)

    assert rank("NOT_RUN", "major", required=True, waived=False) < min(optional, waived)


def test_the_page_has_each_step_in_a_block_of_its_own() -> None:
    steps = [
        {"kind": "sql", "text": 'ALTER TABLE "a<b" RENAME TO c;', "risk": None, "alternative": 1},
        {"kind": "command", "text": "python manage.py migrate", "risk": None, "alternative": 1},
        {"kind": "sql", "text": "DROP TABLE c;", "risk": "loses its rows", "alternative": 2},
    ]
    failed = check(status="FAIL", hint="decide", steps=steps)
    body = report(failed, verdict="failed")
    told = {"id": "check-failed", "severity": "error", "message": "mine", "hint": "decide"}
    body["findings"] = [{**told, "steps": steps, "evidence": {"check": "mine"}}]

    page, suite = html_page(body, {}), parsed(body)

    assert "<b>Next:</b> decide" in page
    assert re.findall(r"<pre><code>(.*?)</code></pre>", page) == [
        "ALTER TABLE &quot;a&lt;b&quot; RENAME TO c;",
        "python manage.py migrate",
        "DROP TABLE c;",
    ]
    assert page.index("<p>or:</p>") < page.index("DROP TABLE c") < page.index("loses its rows")
    assert suite is not None
    assert "next: decide" in str(suite.findtext("testcase/failure"))


@pytest.mark.parametrize("ending", ["json", "html"])
def test_a_report_as_it_was_written_is_verified_and_a_changed_one_is_not(
    tmp_path: Path, ending: str
) -> None:
    picture = {"kind": "image", "title": "p", "text": "", "sha256": sha256(PICTURE).hexdigest()}
    body = report(check(evidence=[picture]), check(status="FAIL", message="</script> & <b>"))
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


def test_a_report_of_version_0_1_0_is_still_verified_and_shown() -> None:
    """Literal files, as schema 1 had them."""
    json_file, page = (FORMER / name for name in ("uat_report.json", "uat_report.html"))

    found = verify_report(json_file)
    shown = html_page(json.loads(json_file.read_text(encoding="utf-8")), {})

    assert (found.verdict, found.facts["verdict"]) == (Verdict.PASSED, "failed")
    assert all(words in shown for words in ("1 URL did not", "<pre>500</pre>", ": browser."))
    # A page is compared with the one that this version makes of its figures.
    assert verify_report(page).verdict is Verdict.PASSED


def test_the_results_of_a_load_test_of_version_0_1_0_are_still_taken_in() -> None:
    taken = read_external_result(FORMER / "load_test.json", base_url=None, release=None)

    assert (taken.id, taken.status.value, taken.message) == ("load-test", "PASS", "fine")


def test_a_check_may_still_keep_its_evidence_by_the_former_names() -> None:
    assert Context.keep is Context.add_evidence
    assert (Context.keep_table, Context.keep_image) == (Context.add_table, Context.add_image)
