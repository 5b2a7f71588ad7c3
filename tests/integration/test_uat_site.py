"""What a live site does wrong is seen, told with its evidence, and harms no report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from opsmigrate import uat
from opsmigrate.uat.headers import cookie_faults, header_faults
from tests.acceptance import accept, check_of
from tests.conftest import Answer, Ops
from tests.json_reports import parsed
from tests.sites import Answers, site_that_answers

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]
GOOD = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
Look = Callable[..., Answer]


@pytest.fixture
def look(migrated: str, ops: Ops, tmp_path: Path, settings: Any) -> Look:
    """Return a function that runs one check against a site that answers so, with these URLs."""

    def call(check: str, answers: Answers, *, urls: Any = ({"url": "/"},), **of_uat: Any) -> Answer:
        settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": list(urls), **of_uat}}
        with site_that_answers(answers) as url:
            return accept(ops, migrated, tmp_path, check=[check], base_url=url)

    return call


def test_control_characters_and_markup_in_a_page_harm_no_report(look: Look, tmp_path: Path) -> None:
    nasty = b"<p>\x00\x1b[31m \xff ]]> </script><script>alert(1)</script> & {{ x }}</p>"
    answer = look("key-urls", lambda path, number: (500, {}, nasty))

    assert answer.code == 1
    ElementTree.parse(tmp_path / "uat_report.xml")  # noqa: S314 - our own
    page = (tmp_path / "uat_report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not {"\x00", "\x1b"} & set(text)
    assert parsed((tmp_path / "uat_report.json").read_text())["exit_code"] == 1


def test_an_answer_that_came_only_on_another_try_is_shown(look: Look, tmp_path: Path) -> None:
    def restarting(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        return (502 if number == 1 else 200), {}, b"welcome"

    answer = look("key-urls", restarting)

    assert answer.code == 0
    [words] = check_of(answer, "key-urls")["retried"]
    assert words.endswith("/: 502; then 200")
    for ending in ("txt", "html"):
        text = (tmp_path / f"uat_report.{ending}").read_text(encoding="utf-8")
        assert "nswered only at another try" in text


def test_an_error_of_the_site_itself_is_not_tried_again(look: Look) -> None:
    def failing(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        return (500 if number == 1 else 200), {}, b"welcome"

    assert look("key-urls", failing).code == 1


def test_the_evidence_of_a_pass_is_kept_too(look: Look) -> None:
    answer = look("key-urls", lambda path, number: (200, {}, b"<h1>Welcome</h1>"))

    [evidence] = check_of(answer, "key-urls")["evidence"]
    assert (evidence["kind"], evidence["text"]) == ("http", "Welcome")
    assert evidence["title"].startswith("200 http://127.0.0.1:")


def test_a_stale_worker_is_named(look: Look) -> None:
    def two_workers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        release = "2025.3" if number % 4 == 0 else "test-release"
        return 200, {}, json.dumps({"status": "ok", "release": release}).encode()

    answer = look("release", two_workers, HEALTH_URL="/healthz")

    outcome = check_of(answer, "release")
    assert (answer.code, outcome["status"]) == (1, "FAIL")
    assert outcome["message"] == (
        "a stale worker: /healthz answered 8 times, 6 times test-release, 2 times 2025.3; "
        "this release is test-release"
    )


@pytest.mark.parametrize("body", [b'{"release": null}', b"ok", b"[]"])
def test_a_site_that_names_no_release_is_undecided(look: Look, body: bytes) -> None:
    answer = look("release", lambda path, number: (200, {}, body), HEALTH_URL="/healthz")

    assert (answer.code, check_of(answer, "release")["status"]) == (3, "NOT_RUN")


def test_a_latency_budget_is_held_by_the_best_of_three(look: Look) -> None:
    def slow_at_first(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.5 if number == 1 or path == "/slow" else 0)
        return 200, {}, b"welcome"

    urls = [{"url": "/", "budget_ms": 300}, {"url": "/slow", "budget_ms": 300}]
    good = look("url-latency", slow_at_first, urls=urls[:1])
    bad = look("url-latency", slow_at_first, urls=urls)

    assert (good.code, bad.code) == (0, 1)
    assert check_of(bad, "url-latency")["message"].startswith(
        "over the budget, at the best of 3: /slow 5"
    )


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "no X-Content-Type-Options: nosniff; no X-Frame-Options"),
        ({**GOOD, "X-Frame-Options": "ALLOWALL"}, "other sites may frame it"),
        ({**GOOD, "Referrer-Policy": "unsafe-url"}, "no Referrer-Policy"),
    ],
)
def test_missing_security_headers_fail(look: Look, headers: dict[str, str], words: str) -> None:
    bad = look("security-headers", lambda path, number: (200, headers, b""))
    good = look("security-headers", lambda path, number: (200, GOOD, b""))

    assert (bad.code, good.code) == (1, 0)
    assert words in check_of(bad, "security-headers")["message"]


def test_the_flags_of_cookies_and_hsts_are_judged_by_the_scheme() -> None:
    cookies = ("sessionid=abc; Path=/; SameSite=Lax", "csrftoken=x; Secure; SameSite=Lax")
    hidden = frozenset({"sessionid"})

    assert cookie_faults(cookies, https=True, hidden=hidden) == [
        "cookie sessionid without Secure, HttpOnly"
    ]
    assert cookie_faults(cookies, https=False, hidden=hidden) == [
        "cookie sessionid without HttpOnly"
    ]
    lower = {name.lower(): value for name, value in GOOD.items()}
    assert header_faults(lower, https=False) == []
    assert header_faults(lower, https=True) == ["no Strict-Transport-Security of 30 days or more"]
    lower["strict-transport-security"] = "max-age=31536000; preload"
    assert header_faults(lower, https=True) == []


def test_a_page_before_and_after_without_its_noise(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    total = {"now": "999033.42"}

    def page(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, f"<p>Total {total['now']}</p><i>generated {number}</i>".encode()

    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": [{"url": "/"}]}}
    file = tmp_path / "before.json"
    with site_that_answers(page) as url:
        saved = ops("run_uat", database=migrated, base_url=url, save_baseline=str(file))
        options = {"check": ["baseline-pages"], "base_url": url, "baseline": str(file)}
        same = accept(ops, migrated, tmp_path, **options)
        total["now"] = "999034.42"
        changed = accept(ops, migrated, tmp_path, **options)
        uat.expect("page /", reason="a fee")
        declared = accept(ops, migrated, tmp_path, **options)

    assert (saved.code, same.code, changed.code, declared.code) == (0, 0, 1, 0)
    assert "Total “999033.42” → “999034.42”" in check_of(changed, "baseline-pages")["message"]


def test_checks_run_side_by_side(migrated: str, ops: Ops, tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=10)

    def wait(context: uat.Context) -> str:
        together.wait()
        return "all three are here"

    for name in ("one", "two", "three"):
        uat.check(name, tags=["together"])(wait)
    answer = accept(ops, migrated, tmp_path, tag=["together"], jobs=3)

    assert answer.code == 0, answer.stdout


def test_a_check_that_says_nothing_is_an_error(migrated: str, ops: Ops, tmp_path: Path) -> None:
    def silent(context: uat.Context) -> Any:
        return None

    uat.check("mine")(silent)
    answer = accept(ops, migrated, tmp_path, check=["mine"])

    assert (answer.code, answer.ids) == (1, ["check-error"])


def test_secrets_in_what_a_check_saw_are_masked(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    settings.BANK_API_KEY = "hunter2-of-the-bank"

    def tell(context: uat.Context) -> str:
        raise uat.Failed("the bank said hunter2-of-the-bank", evidence="key=hunter2-of-the-bank")

    uat.check("mine")(tell)
    answer = accept(ops, migrated, tmp_path, check=["mine"])

    assert check_of(answer, "mine")["message"] == "the bank said ***"
    for path in tmp_path.iterdir():
        assert "hunter2" not in path.read_text(encoding="utf-8")


def test_results_of_another_site_are_not_taken_for_this_one(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    from opsmigrate.uat.external_results import sealed

    site = "http://127.0.0.1:9"
    body = {"status": "PASS", "message": "fine", "base_url": site, "release": "test-release"}
    ours, theirs, changed = (tmp_path / f"{name}.json" for name in ("ours", "theirs", "changed"))
    ours.write_text(sealed("load-test", body))
    theirs.write_text(sealed("security-scan", {**body, "release": "another"}))
    changed.write_text(sealed("load-test", {**body, "status": "FAIL"}).replace("FAIL", "PASS"))
    options = {"check": ["treasury-alerts"]}

    good = accept(ops, migrated, tmp_path, include=[str(ours)], **options)
    foreign = accept(ops, migrated, tmp_path, include=[str(theirs)], **options)
    bad = accept(ops, migrated, tmp_path, include=[str(changed)], **options)

    assert (good.code, foreign.code, bad.code) == (0, 3, 2)
    assert check_of(good, "load-test")["message"] == "fine"
    assert check_of(foreign, "security-scan")["message"] == (
        "theirs.json is of the release another, not test-release"
    )
    assert bad.ids == ["bad-included-file"]
    [finding] = [item for item in foreign.report["findings"] if "theirs.json" in item["message"]]
    assert finding["hint"] == "run it again for this site and this release"
    assert [step["text"] for step in finding["steps"]] == [
        f"python manage.py uat_scan --database {migrated} --base-url {site}"
    ]
