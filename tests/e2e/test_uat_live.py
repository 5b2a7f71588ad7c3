"""run_uat against real servers: it writes nothing, trusts no bad certificate, uses a browser."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from opsmigrate.uat.builtin.browser import find_chromium
from scripts.demonstration.background import free_port
from tests.acceptance import digests
from tests.conftest import ROOT, Answer, environment_for, query, run
from tests.prepared import RELEASE, SITE_PASSWORD, LiveSite
from tests.sites import site_that_answers

LOGIN = {
    "UAT_USERNAME": "staging",
    "UAT_PASSWORD": SITE_PASSWORD,
    "OPSMIGRATE_RELEASE": RELEASE,
}
LOCAL = {**LOGIN, "LOCAL_HTTP": "1"}


def run_uat(site: LiveSite, folder: Path, *argv: str, url: str, **variables: str) -> Answer:
    env = environment_for(site.database_url, **variables)
    options = ["--format", "json", "--report-dir", str(folder), "--base-url", url]
    return run("manage.py", "run_uat", *options, *argv, env=env)


def check_of(answer: Answer, id: str) -> dict[str, str]:
    [found] = [item for item in answer.report["facts"]["checks"] if item["id"] == id]
    outcome: dict[str, str] = found
    return outcome


@pytest.mark.major
@pytest.mark.usefixtures("new_database")
def test_a_run_writes_nothing_but_the_login_that_it_tells_of(
    live_site: LiveSite, tmp_path: Path
) -> None:
    others = "SELECT md5(string_agg(u::text, '' ORDER BY id)) FROM"
    users = f"{others} (SELECT id, username, password, is_staff, email FROM auth_user) u"
    before, accounts = digests(live_site.alias), query(live_site.alias, users)
    sessions = query(live_site.alias, "SELECT count(*) FROM django_session")
    baseline = tmp_path / "before.json"

    saved = run_uat(
        live_site, tmp_path, "--save-baseline", str(baseline), url=live_site.url, **LOCAL
    )
    options = ["--baseline", str(baseline), "--exclude", "browser"]
    answer = run_uat(live_site, tmp_path, *options, url=live_site.url, **LOCAL)

    after = digests(live_site.alias)
    assert (saved.code, answer.code) == (0, 0), answer.stdout
    statuses = {item["id"]: item["status"] for item in answer.report["facts"]["checks"]}
    assert {"inside-urls", "baseline-figures", "baseline-pages", "key-urls"} <= set(statuses)
    changed = {name for name in before if before[name] != after[name]}
    assert len(before) > 20
    assert changed == {"public.auth_user", "public.django_session"}
    assert query(live_site.alias, users) == accounts
    [(then,)], [(now,)] = sessions, query(live_site.alias, "SELECT count(*) FROM django_session")
    assert now == then + 2, "one login to save the baseline, and one for all checks together"
    account = answer.report["facts"]["account"]
    assert account["username"] == "staging"
    assert "the site itself writes a session and last_login for the login of" in account["written"]


@contextmanager
def gunicorn(site: LiveSite, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the address of the treasury on gunicorn with TLS, and its authority's certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    key, chain, root = (folder / name for name in ("key.pem", "chain.pem", "root.pem"))
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    authority.cert_pem.write_to_path(root)
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    command += ["--keyfile", str(key), "--certfile", str(chain), "treasury.wsgi:application"]
    env = environment_for(site.database_url, OPSMIGRATE_RELEASE=RELEASE, ALLOWED_HOSTS="localhost")
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"https://localhost:{port}"
    trusting = ssl.create_default_context(cafile=root)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                health = f"{url}/healthz"
                urllib.request.urlopen(health, timeout=5, context=trusting).close()  # noqa: S310
                break
            except OSError:
                assert process.poll() is None, "gunicorn ended"
                assert time.monotonic() < deadline, "gunicorn did not start"
                time.sleep(0.1)
        yield url, root
    finally:
        process.terminate()
        process.wait(30)


def test_a_site_behind_tls_is_accepted_by_who_trusts_its_authority_only(
    live_site: LiveSite, tmp_path: Path
) -> None:
    options = ["--exclude", "browser"]
    variables = {**LOGIN, "ALLOWED_HOSTS": "localhost"}
    with gunicorn(live_site, tmp_path) as (url, root):
        trusting = run_uat(
            live_site, tmp_path, *options, url=url, SSL_CERT_FILE=str(root), **variables
        )
        doubting = run_uat(
            live_site, tmp_path, "--tag", "security", "--check", "tls", url=url, **variables
        )

    assert trusting.code == 0, trusting.stdout
    assert check_of(trusting, "tls")["message"].startswith("TLSv1.3, ")
    assert check_of(trusting, "cookie-flags")["status"] == "PASS"
    assert check_of(trusting, "deployment-checks")["message"] == "no warnings"
    assert trusting.report["facts"]["tls_relaxed"] is False
    assert doubting.code == 1
    assert (
        "no TLS connection to localhost can be established: "
        in check_of(doubting, "tls")["message"]
    )
    assert "certificate" in check_of(doubting, "tls")["message"]


def test_without_chromium_the_browser_did_not_run_and_that_is_no_failure_unless_asked_for(
    live_site: LiveSite, tmp_path: Path
) -> None:
    variables = {**LOCAL, "PATH": "/nonexistent"}
    asked = run_uat(live_site, tmp_path, "--tag", "browser", url=live_site.url, **variables)
    by_itself = run_uat(
        live_site, tmp_path, "--exclude", "database", url=live_site.url, **variables
    )

    assert asked.code == 3
    assert by_itself.code == 0, by_itself.stdout
    assert check_of(by_itself, "browser")["status"] == "NOT_RUN"
    steps = [step["text"] for item in by_itself.report["findings"] for step in item["steps"]]
    assert "apt-get install chromium" in steps


@pytest.mark.system
@pytest.mark.usefixtures("new_database")
def test_the_browser_logs_in_and_brings_a_picture_of_every_page(
    live_site: LiveSite, tmp_path: Path
) -> None:
    assert find_chromium(), "this test needs Chromium: apt-get install chromium"

    answer = run_uat(live_site, tmp_path, "--tag", "browser", url=live_site.url, **LOCAL)

    assert answer.code == 0, answer.stdout
    outcome = check_of(answer, "browser")
    assert "opened /dashboards/, /alerts/" in outcome["message"]
    page = (tmp_path / "uat_report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 2
    unacknowledged = "SELECT count(*) FROM treasury_alert WHERE acknowledged_at IS NOT NULL"
    assert query(live_site.alias, unacknowledged) == [(0,)]
    verified = run(
        "manage.py",
        "run_uat",
        "--verify-report",
        str(tmp_path / "uat_report.html"),
        env=environment_for(live_site.database_url),
    )
    assert verified.code == 0, verified.stdout


@pytest.mark.system
def test_what_only_a_browser_sees_fails(live_site: LiveSite, tmp_path: Path) -> None:
    assert find_chromium(), "this test needs Chromium: apt-get install chromium"
    body = (
        b"<h1>Dashboards Alerts Group liquidity</h1><img src='/lost.png'>"
        b"<script>console.error('no totals'); fetch('/write', {method: 'POST'}); broken()</script>"
    )

    def answers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        return (404 if path == "/lost.png" else 200), {}, body

    with site_that_answers(answers) as url:
        variables = {**LOCAL, "UAT_USERNAME": ""}
        answer = run_uat(live_site, tmp_path, "--check", "browser", url=url, **variables)

    assert answer.code == 1
    saw = check_of(answer, "browser")["message"]
    for words in ("console: no totals", "/lost.png answered 404", "tried to POST", "script error"):
        assert words in saw


def test_load_is_refused_where_nobody_allowed_it(live_site: LiveSite, tmp_path: Path) -> None:
    env = environment_for(live_site.database_url, **LOCAL)
    output = ["--output", str(tmp_path / "load.json")]
    for argv, words in (
        (["--base-url", "https://example.org"], "example.org is not in LOAD_HOSTS"),
        (["--base-url", live_site.url, "--users", "51"], "--users 51 is not between 1 and 50"),
        (["--base-url", live_site.url, "--seconds", "301"], "--seconds 301 is not between"),
    ):
        answer = run("scripts/load_test.py", *argv, *output, env=env)

        assert answer.code == 2
        assert f"USAGE: {words}" in answer.stdout.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_load_is_not_begun_where_the_pages_want_a_login_that_is_not_set(
    live_site: LiveSite, tmp_path: Path
) -> None:
    env = environment_for(live_site.database_url, **{**LOCAL, "UAT_USERNAME": ""})
    argv = ["--base-url", live_site.url, "--output", str(tmp_path / "load.json")]

    answer = run("scripts/load_test.py", *argv, env=env)
    accepted = run_uat(
        live_site,
        tmp_path / "reports",
        *("--check", "key-urls", "--check", "inside-urls"),
        url=live_site.url,
        **{**LOCAL, "UAT_USERNAME": ""},
    )

    said = " ".join(answer.stdout.split())
    assert answer.code == 2
    assert "/dashboards/" in said
    assert "lead to the login, and LOGIN has no username" in said
    assert "next: name the account that logs in" in said
    assert list(tmp_path.glob("*.json")) == []
    assert accepted.code == 1
    for id, where in (("key-urls", ""), ("inside-urls", " in this process")):
        saw = check_of(accepted, id)["message"]
        assert saw.endswith(
            f"/dashboards/ answered 302 to the login{where}, not 200: LOGIN has no username"
        )
        assert 'OPSMIGRATE["UAT"]["LOGIN"]' in check_of(accepted, id)["hint"]


@pytest.mark.system
def test_a_load_test_whose_login_is_refused_says_what_its_errors_were(
    live_site: LiveSite, tmp_path: Path
) -> None:
    env = environment_for(live_site.database_url, **{**LOCAL, "UAT_PASSWORD": "not this one"})
    argv = ["--base-url", live_site.url, "--users", "1", "--seconds", "8"]

    answer = run("scripts/load_test.py", *argv, "--output", str(tmp_path / "load.json"), env=env)

    assert answer.code == 1, answer.stdout + answer.stderr
    said = " ".join(answer.stdout.split())
    assert "302 to the login " in said
    assert "the login was refused (200) 1 time (login 1 time)" in said
    _, wrong = json.loads((tmp_path / "load.json").read_text())["tables"]
    assert wrong["rows"][0] == ["error", "page", "times"]


@pytest.mark.system
def test_what_a_slow_site_was_asked_before_the_end_counts(
    live_site: LiveSite, tmp_path: Path
) -> None:
    def answers(path: str, number: int) -> tuple[int, dict[str, str], bytes]:
        time.sleep(3)
        return 200, {}, b"<h1>Log in</h1>"

    with site_that_answers(answers) as url:
        env = environment_for(live_site.database_url, **LOCAL)
        argv = ["--base-url", url, "--users", "1", "--seconds", "1"]
        file = tmp_path / "load.json"
        answer = run("scripts/load_test.py", *argv, "--output", str(file), env=env)

    assert answer.code == 1, answer.stdout + answer.stderr
    figures = json.loads(file.read_text())["figures"]
    # The form, and the login.
    assert (figures["requests"], figures["failures"]) == (2, 1)
    assert figures["p95"] >= 3000


@pytest.mark.system
def test_a_load_test_is_judged_against_the_one_before_and_taken_into_the_report(
    live_site: LiveSite, tmp_path: Path
) -> None:
    env = environment_for(live_site.database_url, **LOCAL)
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    base = ["--base-url", live_site.url, "--users", "4", "--seconds", "5"]
    first = run("scripts/load_test.py", *base, "--output", str(before), env=env)
    body = json.loads(before.read_text())
    body["figures"]["p95"] = 0.0
    quick = tmp_path / "quick.json"
    quick.write_text(json.dumps({**body, "figures": {**body["figures"], "p95": -1000.0}}))
    judged = [*base, "--baseline", str(quick), "--result", str(after), "--format", "json"]
    slower = run("manage.py", "uat_load", *judged, env=env)
    report = run_uat(
        live_site,
        tmp_path,
        *("--check", "release", "--include", str(before)),
        url=live_site.url,
        **LOCAL,
    )

    assert first.code == 0, first.stdout + first.stderr
    assert json.loads(before.read_text())["figures"]["requests"] > 5
    assert (slower.code, slower.ids) == (1, ["load-failed"])
    assert "p95 is " in slower.report["facts"]["message"]
    assert slower.report["facts"]["tables"][0]["title"] == "Load: 4 users for 5 s"
    assert report.code == 0, report.stdout
    assert check_of(report, "load-test")["status"] == "PASS"
