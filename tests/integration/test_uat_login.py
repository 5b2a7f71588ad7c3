"""The login goes only to the login page that is there, and never in clear to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.site import Login, Site, site_at
from tests.acceptance import accept, check_of
from tests.conftest import Ops
from tests.sites import site_that_answers

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]
PAGE = "/accounts/login/"
LOGIN = {"url": PAGE, "username": "staging", "password": "n0t to be s3en"}
WELCOME = (302, {"Location": "/dashboards/"}, b"")
# How the login page answers, and whether the login is posted then to loopback and elsewhere.
PAGES = {
    "a form": ((200, {}, b"<form>"), True, True),
    "to https": ((301, {"Location": "https://127.0.0.1/accounts/login/"}, b""), False, False),
    "to https elsewhere": ((308, {"Location": "https://example.org/"}, b""), False, False),
    "to another page": ((302, {"Location": "/en/login/"}, b""), False, False),
    "to nowhere": ((302, {}, b""), False, False),
    "to no address": ((302, {"Location": "http://[::1:99/"}, b""), False, False),
    "not there": ((404, {}, b""), True, False),
    "an error": ((500, {}, b""), True, False),
    "no GET": ((405, {}, b""), True, False),
}


class Answering:
    """A site with a login page; `posted` has what was posted to it."""

    def __init__(self, page: tuple[int, dict[str, str], bytes], welcome: Any = WELCOME) -> None:
        self.page, self.welcome = page, welcome
        self.posted: list[str] = []

    def __call__(self, path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("POST"):
            self.posted.append(path)
            answer: tuple[int, dict[str, str], bytes] = self.welcome
            return answer
        return self.page if path == PAGE else (200, {}, b"welcome")


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_login_is_posted_only_where_its_page_is(
    kind: str, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, here, there = PAGES[kind]
    answers = Answering(page)
    with site_that_answers(answers) as url:
        site = site_at(url)
        if elsewhere:
            monkeypatch.setattr(Site, "is_plain_loopback", False)
        login = Login(site, LOGIN)
        if (here and not elsewhere) or (there and elsewhere):
            login.cookies()
        else:
            for _ in range(2):
                with pytest.raises(Failed, match="not sent"):
                    login.cookies()

    assert bool(answers.posted) == (there if elsewhere else here)


@pytest.mark.parametrize("to", ["https://127.0.0.1/x", PAGE, f"{PAGE}?next=/", ""])
def test_a_redirect_to_https_or_to_the_login_again_is_no_welcome(to: str) -> None:
    answers = Answering((200, {}, b"<form>"), (302, {"Location": to} if to else {}, b""))
    with site_that_answers(answers) as url:
        login = Login(site_at(url), LOGIN)
        with pytest.raises(Failed, match="was refused"):
            login.cookies()


def test_a_site_that_leads_to_https_gets_no_password_and_no_baseline(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    urls = [{"url": "/"}, {"url": "/alerts/"}]
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": urls, "LOGIN": LOGIN}}
    to_https = (301, {"Location": "https://127.0.0.1/"}, b"")
    posted: list[str] = []

    def answers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        posted.extend([path] if path.startswith("POST") else [])
        return to_https

    with site_that_answers(answers) as url:
        saved = ops(
            "run_uat", database=migrated, base_url=url, save_baseline=str(tmp_path / "before.json")
        )
        ran = accept(ops, migrated, tmp_path / "r", base_url=url, check=["key-urls"])

    assert posted == []
    assert (saved.code, saved.ids) == (3, ["baseline-incomplete"])
    assert "leads to https" in saved.report["findings"][0]["message"]
    assert not (tmp_path / "before.json").exists()
    assert (ran.code, check_of(ran, "key-urls")["status"]) == (1, "FAIL")


@pytest.mark.parametrize(
    ("statuses", "code", "pages"),
    [({"/": 200, "/new/": 404}, 0, ["/"]), ({"/": 301, "/new/": 200}, 3, []),
     ({"/": 500, "/new/": 200}, 3, []), ({"/": 404, "/new/": 404}, 3, [])],
)  # fmt: skip
def test_a_baseline_holds_pages_that_answered_as_they_should(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any, statuses: dict[str, int], code: int,
    pages: list[str],
) -> None:  # fmt: skip
    urls = [{"url": "/"}, {"url": "/new/"}]
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": urls}}
    with site_that_answers(lambda path, number: (statuses[path], {}, b"x")) as url:
        saved = ops(
            "run_uat", database=migrated, base_url=url, save_baseline=str(tmp_path / "before.json")
        )

    assert saved.code == code, saved.stdout
    assert list(saved.report["facts"].get("pages", {})) == pages
    assert saved.ids == (["baseline-partial"] if pages else ["baseline-incomplete"])


FORMS = {
    "Django's": (
        b'<input type="hidden" name="csrfmiddlewaretoken" value="t&#x27;k"><input name="username">'
        b'<input type="password" name="password">',
        "username=staging&password=n0t+to+be+s3en&csrfmiddlewaretoken=t%27k",
    ),
    "made small, and called otherwise": (
        b"<input name=q><INPUT value=tk type=hidden name=csrfmiddlewaretoken>"
        b"<input autofocus type=email name=login required><input name='pass' type='password'>",
        "login=staging&pass=n0t+to+be+s3en&csrfmiddlewaretoken=tk",
    ),
    "a sign-up after it": (
        b"<input name=login><input type=password name=password><input type=text name=nick>"
        b"<input type=password name=password1>",
        "login=staging&password=n0t+to+be+s3en",
    ),
    "none": (b"written by a script", "username=staging&password=n0t+to+be+s3en"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=[name.replace(" ", "-") for name in FORMS])
def test_the_login_is_posted_by_the_names_that_its_form_has(form: tuple[bytes, str]) -> None:
    page, body = form
    answers = Answering((200, {}, page))
    with site_that_answers(answers) as url:
        Login(site_at(url), LOGIN).cookies()

    assert answers.posted == [f"POST {PAGE} {body}"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((301, {"Location": "https://127.0.0.1/"}, b""), "give its address with https"),
        ((400, {}, b"Bad Request"), "ALLOWED_HOSTS does not name: let it have 127.0.0.1"),
        ((404, {}, b""), None),
    ],
)
def test_a_site_that_answers_to_no_such_address_is_said_to_want_another(
    answer: tuple[int, dict[str, str], bytes],
    words: str | None,
    migrated: str,
    ops: Ops,
    tmp_path: Path,
    settings: Any,
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"URLS": [{"url": "/"}]}}
    with site_that_answers(lambda path, number: answer) as url:
        report = accept(ops, migrated, tmp_path, base_url=url, check=["key-urls"])

    [finding] = [item for item in report.report["findings"] if item["evidence"]["check"]]
    assert report.code == 1, report.stdout
    assert (words in finding["hint"]) if words else not finding["hint"]
