"""run_uat as people run it, against the treasury served by waitress."""

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from opsmigrate.uat.site import ATTEMPTS
from scripts.demonstration.background import free_port
from tests.acceptance import checks_without
from tests.conftest import Answer, environment_for, run, start
from tests.json_reports import parsed
from tests.prepared import RELEASE, SITE_PASSWORD, LiveSite

pytestmark = pytest.mark.newest

LOGIN = {
    "UAT_USERNAME": "staging",
    "UAT_PASSWORD": SITE_PASSWORD,
    "LOCAL_HTTP": "1",
    "OPSMIGRATE_RELEASE": RELEASE,
}
Accept = Callable[..., Answer]
# What a site over plain HTTP has nothing of, where nothing was saved before.
ABSENT = ("baseline", "baseline-pages", "tls")


@pytest.fixture
def accept(live_site: LiveSite, tmp_path: Path) -> Accept:
    """Return a function that runs run_uat on the site's database, with its login."""

    def call(*argv: str, site: str | None = live_site.url, **variables: str) -> Answer:
        base = ["--base-url", site] if site else []
        env = environment_for(live_site.database_url, **{**LOGIN, **variables})
        options = ["--format", "json", "--report-dir", str(tmp_path), "--exclude", "browser"]
        return run("manage.py", "run_uat", *base, *options, *argv, env=env)

    return call


def check_of(answer: Answer, id: str) -> dict[str, str]:
    [found] = [item for item in answer.report["facts"]["checks"] if item["id"] == id]
    outcome: dict[str, str] = found
    return outcome


def test_a_migrated_site_passes_every_check(
    accept: Accept, live_site: LiveSite, tmp_path: Path
) -> None:
    answer = accept()

    assert (answer.code, answer.report["verdict"]) == (0, "passed"), answer.stdout
    outcomes = answer.report["facts"]["checks"]
    applying = checks_without(*ABSENT) - {"browser"}
    assert {outcome["id"]: outcome["status"] for outcome in outcomes} == dict.fromkeys(
        applying, "PASS"
    )
    assert answer.report["findings"] == []
    assert answer.report["facts"]["base_url"] == live_site.url
    assert answer.report["facts"]["tls_relaxed"] is True
    saw = check_of(answer, "key-urls")["message"]
    for path in ("/healthz", "/dashboards/", "/alerts/"):
        assert f"{live_site.url}{path} 200 in " in saw
    assert (
        "TLS settings are relaxed for plain HTTP on loopback"
        in (check_of(answer, "deployment-checks")["message"])
    )
    text = (tmp_path / "uat_report.txt").read_text(encoding="utf-8")
    assert "plain HTTP on loopback: TLS settings are relaxed here" in text
    written = parsed((tmp_path / "uat_report.json").read_text())
    assert {**answer.report, "sha256": written["sha256"]} == written
    assert f"Reports: {tmp_path}/uat_report.html, .txt, .json and .xml" in answer.stderr
    assert f"SHA-256: {written['sha256']}" in answer.stderr
    files = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()]
    assert len(files) == 4
    assert SITE_PASSWORD not in "".join([answer.stdout, answer.stderr, *files])


def test_the_script_without_manage_py_is_the_same(live_site: LiveSite, tmp_path: Path) -> None:
    env = environment_for(live_site.database_url, **LOGIN)
    answer = run(
        "scripts/run_uat.py",
        "--settings=staging_settings",
        "--base-url",
        live_site.url,
        "--report-dir",
        str(tmp_path),
        "--exclude",
        "browser",
        env=env,
    )

    assert answer.code == 0
    count = len(checks_without(*ABSENT) - {"browser"})
    assert answer.stdout.startswith(f"PASSED: {count} checks: {count} PASS\n")
    text = (tmp_path / "uat_report.txt").read_text(encoding="utf-8")
    assert text.startswith(answer.stdout)
    assert "\nSHA-256 of the report:\n" in text.removeprefix(answer.stdout)


def test_a_site_that_is_down_is_undecided(accept: Accept) -> None:
    site = f"http://127.0.0.1:{free_port('127.0.0.1')}"

    answer = accept(site=site)

    assert (answer.code, answer.report["verdict"]) == (3, "undecided")
    assert set(answer.ids) == {"check-not-run"}
    assert check_of(answer, "key-urls")["status"] == "NOT_RUN"
    assert "Connection refused" in check_of(answer, "key-urls")["message"]


def test_what_does_not_speak_http_is_undecided(accept: Accept) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(ATTEMPTS):
                talk, _ = server.accept()
                with talk:
                    talk.recv(10_000)
                    talk.sendall(b"220 mail.example.org ESMTP\r\n")

        thread = Thread(target=answer)
        thread.start()
        report = accept("--check", "key-urls", site=f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join(10)

    assert report.code == 3
    assert check_of(report, "key-urls")["status"] == "NOT_RUN"


def test_without_a_site_that_is_not_served_it_is_undecided(accept: Accept) -> None:
    answer = accept("--no-serve", site=None)

    assert (answer.code, answer.report["verdict"]) == (3, "undecided")
    assert check_of(answer, "key-urls")["message"] == "no site was given"
    hints = {f["hint"] for f in answer.report["findings"] if f["id"] == "check-not-run"}
    assert hints == {"give the address of the running site with --base-url"}


@pytest.mark.parametrize(
    "variables", [{"UAT_PASSWORD": "not this one"}, {"UAT_USERNAME": "nobody"}]
)
def test_a_wrong_login_fails(
    accept: Accept, live_site: LiveSite, variables: dict[str, str]
) -> None:
    answer = accept("--check", "key-urls", **variables)

    assert (answer.code, answer.report["verdict"]) == (1, "failed")
    name = {**LOGIN, **variables}["UAT_USERNAME"]
    assert check_of(answer, "key-urls")["message"] == (
        f"the login of {name} at {live_site.url}/accounts/login/ was refused (status 200, where "
        "success is a redirect to another page)"
    )
    assert "not this one" not in answer.stdout + answer.stderr


def test_without_a_login_the_pages_that_need_one_fail(accept: Accept, live_site: LiveSite) -> None:
    answer = accept("--check", "key-urls", UAT_USERNAME="")

    assert answer.code == 1
    assert check_of(answer, "key-urls")["message"] == (
        f"{live_site.url}/dashboards/ answered 302 to the login, not 200: LOGIN has no username"
    )


@pytest.mark.parametrize("address", ["staging.example.org", "ftp://x", "http://", "http://[::1"])
def test_an_address_that_is_not_valid_is_a_usage_error(accept: Accept, address: str) -> None:
    answer = accept(site=address)

    assert (answer.code, answer.ids) == (2, ["bad-base-url"])
    assert answer.report["findings"][0]["message"].startswith(
        "the address of the site is not valid: "
    )


def test_an_address_with_a_password_is_refused_and_not_repeated(accept: Accept) -> None:
    answer = accept(site="http://me:hunter2@127.0.0.1:1/")

    assert (answer.code, answer.ids) == (2, ["bad-base-url"])
    assert "hunter2" not in answer.stdout + answer.stderr


def test_a_uat_module_that_cannot_be_imported_fails(live_site: LiveSite, tmp_path: Path) -> None:
    app = tmp_path / "shaky"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "uat.py").write_text("import no_such_module\n")
    (tmp_path / "shaky_settings.py").write_text(
        "from staging_settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'shaky']\n"
    )
    env = environment_for(live_site.database_url, **LOGIN, PYTHONPATH=str(tmp_path))
    options = ["--format", "json", "--report-dir", str(tmp_path), "--tag", "treasury"]

    answer = run("manage.py", "run_uat", *options, "--settings=shaky_settings", env=env)

    assert (answer.code, answer.ids) == (1, ["check-error"])
    assert answer.report["facts"]["summary"] == "3 checks: 2 PASS, 1 ERROR"
    assert answer.report["findings"][0]["message"] == (
        "import shaky.uat: shaky.uat cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_the_reports_are_written_when_the_server_is_out_of_reach(tmp_path: Path) -> None:
    url = f"postgres://staging:secret@127.0.0.1:{free_port('127.0.0.1')}/staging"
    options = ["--report-dir", str(tmp_path), "--base-url", "http://127.0.0.1:1"]

    answer = run("manage.py", "run_uat", *options, env=environment_for(url))

    assert answer.code == 3
    text = (tmp_path / "uat_report.txt").read_text(encoding="utf-8")
    assert text.startswith("UNDECIDED: cannot connect: ")
    assert parsed((tmp_path / "uat_report.json").read_text())["exit_code"] == 3


def test_a_check_that_hangs_does_not_keep_the_process(live_site: LiveSite, tmp_path: Path) -> None:
    app = tmp_path / "hanging"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "uat.py").write_text(
        "import time\nfrom opsmigrate import uat\n"
        "@uat.check('hang', timeout=0.2)\ndef hang(context):\n    time.sleep(600)\n"
    )
    (tmp_path / "hanging_settings.py").write_text(
        "from staging_settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'hanging']\n"
    )
    env = environment_for(live_site.database_url, **LOGIN, PYTHONPATH=str(tmp_path))
    options = ["--check", "hang", "--format", "json", "--report-dir", str(tmp_path)]

    process = start("manage.py", "run_uat", *options, "--settings=hanging_settings", env=env)
    stdout, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert parsed(stdout)["facts"]["checks"][0]["message"] == "no answer within 0.2 s"


@pytest.mark.parametrize(
    "program",
    [["manage.py", "run_uat"], ["scripts/run_uat.py"]],
)
def test_settings_that_miss_something_are_one_sentence(program: list[str]) -> None:
    answer = run(*program, "--settings=staging_settings", env=environment_for(None))

    assert answer.code == 1
    assert answer.stdout == ""
    assert "DATABASE_URL is not set" in answer.stderr
    assert "Traceback" not in answer.stderr
