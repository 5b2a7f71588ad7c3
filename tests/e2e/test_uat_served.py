"""run_uat without a site: it serves the project's own application for the time of the run."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.acceptance import checks_without, digests
from tests.conftest import Answer, environment_for, query, run, start, url_of
from tests.interrupting import wait_until
from tests.json_reports import parsed
from tests.prepared import RELEASE, SITE_PASSWORD

LOGIN = {"UAT_USERNAME": "staging", "UAT_PASSWORD": SITE_PASSWORD, "OPSMIGRATE_RELEASE": RELEASE}
LOCAL = {**LOGIN, "LOCAL_HTTP": "1"}
# What the pages of this app do, each in its own way, when they are asked.
PAGES = """
import os, threading, time
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.urls import include, path

def writes(request):
    Group.objects.create(name="written by a page")
    return HttpResponse("fine")

def crashes(request):
    raise LookupError("there is no ledger")

def in_a_thread(request):
    said = []
    def work():
        try:
            Group.objects.create(name="written by a thread")
        except Exception as error:
            said.append(str(error))
        finally:
            connection.close()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return HttpResponse("; ".join(said) or "it wrote")

def sleeps(request):
    time.sleep(600)

def waits(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(600)")

urlpatterns = [
    path("writes/", writes), path("crashes/", crashes), path("thread/", in_a_thread),
    path("sleeps/", sleeps), path("waits/", waits), path("", include("treasury.site")),
]
"""
SETTINGS = """
from staging_settings import *
ROOT_URLCONF = "odd.pages"
INSTALLED_APPS = [*INSTALLED_APPS, "odd"]
OPSMIGRATE["UAT"]["URLS"] = [{{"url": url}} for url in {urls!r}]
OPSMIGRATE["UAT"]["HEALTH_URL"] = None
{more}
"""
AUDIT = """
from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

class OddConfig(AppConfig):
    name = "odd"
    def ready(self):
        user_logged_in.connect(self.note)
    def note(self, **kwargs):
        self.apps.get_model("auth.Group").objects.create(name="a login was noted")
"""


def run_uat(url: str, folder: Path, *argv: str, **variables: str) -> Answer:
    options = ["--format", "json", "--report-dir", str(folder), "--exclude", "browser", *argv]
    return run("manage.py", "run_uat", *options, env=environment_for(url, **variables))


def check_of(answer: Answer, id: str) -> dict[str, str]:
    [found] = [item for item in answer.report["facts"]["checks"] if item["id"] == id]
    outcome: dict[str, str] = found
    return outcome


def odd_project(folder: Path, urls: list[str], more: str = "") -> dict[str, str]:
    """Write a project whose pages are PAGES; return the variables that choose it."""
    app = folder / "odd"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "pages.py").write_text(PAGES)
    (app / "apps.py").write_text(AUDIT)
    (folder / "odd_settings.py").write_text(SETTINGS.format(urls=urls, more=more))
    return {**LOCAL, "PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "odd_settings"}


def is_open(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_it_looks_at_everything_and_writes_nothing_but_the_login(
    migrated: str, tmp_path: Path
) -> None:
    users = "SELECT md5(string_agg(u::text, '' ORDER BY id)) FROM"
    users += " (SELECT id, username, password, is_staff, email FROM auth_user) u"
    before, accounts = digests(migrated), query(migrated, users)
    [(then,)] = query(migrated, "SELECT count(*) FROM django_session")

    answer = run_uat(url_of(migrated), tmp_path, **LOCAL)

    after = digests(migrated)
    assert (answer.code, answer.report["verdict"]) == (0, "passed"), answer.stdout
    facts = answer.report["facts"]
    assert {item["status"] for item in facts["checks"]} == {"PASS"}
    applying = checks_without("baseline", "baseline-pages", "elsewhere", "tls")
    assert {item["id"] for item in facts["checks"]} == applying - {"browser"}
    assert set(facts["deselected"]) == checks_without() - applying
    assert facts["served"] is True
    url = facts["base_url"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    for path in ("/healthz", "/dashboards/", "/alerts/"):
        assert f"{url}{path} 200 in " in check_of(answer, "key-urls")["message"]
    assert check_of(answer, "release")["message"] == (
        f"release {RELEASE}: this run serves the site itself, there is no other worker"
    )
    files = {path.suffix: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert f"Site:        {url}, served by this run" in files[".txt"]
    assert f"{url}, served by this run" in files[".html"]
    assert parsed(files[".json"])["facts"]["served"] is True
    assert SITE_PASSWORD not in "".join([answer.stdout, answer.stderr, *files.values()])
    assert not is_open(int(url.rpartition(":")[2]))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"public.auth_user", "public.django_session"}
    assert query(migrated, users) == accounts
    assert query(migrated, "SELECT count(*) FROM django_session") == [(then + 1,)]


def test_settings_of_a_site_behind_tls_are_served_as_behind_tls(
    migrated: str, tmp_path: Path
) -> None:
    more = "SESSION_COOKIE_DOMAIN = CSRF_COOKIE_DOMAIN = '.example.org'"
    odd = odd_project(tmp_path, ["/dashboards/"], more)
    variables = {"LOCAL_HTTP": "0", "ALLOWED_HOSTS": ".example.org"}

    answer = run_uat(url_of(migrated), tmp_path, **{**odd, **variables})

    assert answer.code == 0, answer.stdout
    assert check_of(answer, "deployment-checks")["message"] == "no warnings"
    assert "all with their flags" in check_of(answer, "cookie-flags")["message"]
    assert answer.report["facts"]["tls_relaxed"] is False


def test_no_serve_looks_at_no_site(migrated: str, tmp_path: Path) -> None:
    answer = run_uat(url_of(migrated), tmp_path, "--no-serve", **LOCAL)

    assert (answer.code, answer.report["verdict"]) == (3, "undecided")
    assert check_of(answer, "key-urls")["message"] == "no site was given"
    assert check_of(answer, "inside-urls")["status"] == "PASS"
    assert answer.report["facts"]["served"] is False


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "WSGI_APPLICATION = 'nowhere.application'",
            "the project's WSGI application (nowhere.application) cannot be imported, so this run "
            "cannot serve the site: ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            "WSGI_APPLICATION = 'leaving.application'",
            "the project's WSGI application (leaving.application) cannot be imported, so this run "
            "cannot serve the site: SystemExit: 7",
        ),
        (
            "LOCAL_HTTP, ALLOWED_HOSTS = False, []",
            "ALLOWED_HOSTS is empty: this release answers requests for no host",
        ),
    ],
)
def test_what_cannot_be_served_did_not_run(
    more: str, said: str, migrated: str, tmp_path: Path
) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit(7)\n")
    odd = odd_project(tmp_path, ["/alerts/"], more)

    answer = run_uat(url_of(migrated), tmp_path, "--check", "key-urls", **odd)

    assert answer.code == 3
    outcome = check_of(answer, "key-urls")
    assert (outcome["status"], outcome["message"]) == ("NOT_RUN", said)
    assert "Traceback" not in answer.stderr


def test_pages_may_not_write_and_a_login_may(migrated: str, tmp_path: Path) -> None:
    more = "SESSION_SAVE_EVERY_REQUEST = True"
    odd = odd_project(tmp_path, ["/thread/", "/writes/"], more)

    answer = run_uat(url_of(migrated), tmp_path, "--tag", "site", **odd)

    outcome = check_of(answer, "key-urls")
    assert (answer.code, outcome["status"]) == (3, "NOT_RUN"), outcome
    assert outcome["message"].startswith(
        "/writes/ tried to write to the database, which the site that this run serves may not do: "
        "InternalError: cannot execute INSERT in a read-only transaction (http"
    )
    texts = [each["text"] for each in outcome["evidence"]]  # type: ignore[index]
    assert "cannot execute INSERT in a read-only transaction" in texts
    assert query(migrated, "SELECT name FROM auth_group") == [("a login was noted",)]
    assert query(migrated, "SELECT count(*) FROM django_session") == [(1,)]


def test_what_a_page_raised_is_told(migrated: str, tmp_path: Path) -> None:
    odd = odd_project(tmp_path, ["/crashes/"])

    answer = run_uat(url_of(migrated), tmp_path, "--check", "key-urls", **odd)

    outcome = check_of(answer, "key-urls")
    assert (answer.code, outcome["status"]) == (1, "FAIL")
    assert outcome["message"].endswith("/crashes/ answered 500, not 200")
    assert outcome["detail"] == "LookupError: there is no ledger"


@pytest.mark.skipif(not Path("/proc").exists(), reason="the ports of a process are read in /proc")
@pytest.mark.parametrize(
    ("page", "number"),
    [
        ("/sleeps/", signal.SIGINT),
        ("/waits/", signal.SIGTERM),
        ("/waits/", signal.SIGKILL),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(
    page: str, number: signal.Signals, migrated: str, tmp_path: Path
) -> None:
    odd = odd_project(tmp_path, [page])
    options = ["--report-dir", str(tmp_path), "--check", "key-urls", "--format", "json"]
    process = start("manage.py", "run_uat", *options, env=environment_for(url_of(migrated), **odd))
    try:
        wait_until(lambda: ports_of(process.pid), seconds=30)
        [port] = ports_of(process.pid)
        logged_in = "SELECT 1 FROM django_session"
        wait_until(lambda: query(migrated, logged_in), seconds=30)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=5)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == (-number if number == signal.SIGKILL else 130), stderr
    assert "Traceback" not in stderr
    assert not is_open(port)
    if number != signal.SIGKILL:
        assert parsed(stdout)["exit_code"] == 130
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        wait_until(lambda: not query(migrated, f"{others} AND pid <> pg_backend_pid()"), seconds=2)


def ports_of(pid: int) -> list[int]:
    """Return the ports of IPv4 on which a process listens."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(os.readlink(each))
        except OSError:
            continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and f"socket:[{row[9]}]" in found
    ]
