"""The load test: refused where nobody allowed it, then locust, then the verdict and its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opsmigrate.conf import Settings, UatSettings
from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.files import write_atomically
from opsmigrate.json_files import UnreadableError, read_object
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.shown import shown
from opsmigrate.steps import command
from opsmigrate.uat.external_results import sealed
from opsmigrate.uat.load.figures import Figures, Kind, figures_of, judge
from opsmigrate.uat.load.locust_process import Load, run_locust
from opsmigrate.uat.login_redirect import SET_LOGIN, leads_to_login, why_not_let_in
from opsmigrate.uat.outcome import Status
from opsmigrate.uat.site import OutOfReachError, Site, Visitor, path_of, site_at

INSTALL = command("python -m pip install 'locust>=2.40'")


@dataclass(frozen=True, kw_only=True)
class LoadTest:
    """A load, what it is judged by, and the file that run_uat --include reads."""

    load: Load
    baseline: Path | None
    max_p95_ms: float | None
    file: Path


def run_load_test(test: LoadTest, settings: Settings) -> Result:
    """Put the load on the site, write the file, and return the verdict.

    Raises UsageError where it is refused, or cannot be begun, and UndecidedError where locust did
    not come to its end.
    """
    site = site_at(test.load.base_url)
    _refuse_excess(test.load, settings.uat, site.host)
    if not settings.uat.urls:
        raise UsageError(
            'OPSMIGRATE["UAT"] names no URLS: there is no page to open',
            id="load-not-run",
            hint='name the key pages of the site, as in "URLS": [{"url": "/"}]',
        )
    _require_login(site, settings.uat)
    if find_spec("locust") is None:
        raise UsageError(
            "locust is not installed",
            id="load-not-run",
            hint="install it in the environment of this command",
            steps=(INSTALL,),
        )
    before = _read_before(test.baseline)
    entries, kinds = run_locust(test.load)
    found = figures_of(entries)
    status, said = judge(found, before, test.max_p95_ms, kinds)
    facts = {
        "status": status.value,
        "message": said,
        "base_url": site.base_url,
        "release": settings.release,
        "seconds": test.load.seconds,
        "figures": asdict(found),
    }
    tables = _tables(test.load, entries, kinds)
    write_atomically(test.file, sealed("load-test", {**facts, "tables": tables}))
    return _result(test, status, said, {**facts, "tables": tables, "file": str(test.file)})


def _refuse_excess(load: Load, uat: UatSettings, host: str) -> None:
    """Raise UsageError where the host is not on the list, or more is asked than allowed."""
    if host not in uat.load_hosts:
        raise UsageError(
            f"{host} is not in LOAD_HOSTS ({', '.join(uat.load_hosts)}): no load test runs against "
            "a host by mistake",
            id="load-refused",
            hint='if the load may be put on it, add it to OPSMIGRATE["UAT"]["LOAD_HOSTS"]',
        )
    for name, asked, most in (
        ("users", load.users, uat.load_max_users),
        ("seconds", load.seconds, uat.load_max_seconds),
    ):
        if not 1 <= asked <= most:
            raise UsageError(
                f"--{name} {asked} is not between 1 and {most}",
                id="load-refused",
                hint=f'ask for less, or raise OPSMIGRATE["UAT"]["LOAD_MAX_{name.upper()}"]',
            )


def _require_login(site: Site, uat: UatSettings) -> None:
    """Raise UsageError where key pages lead to the login, and the settings have no account.

    Nothing but the login page would be put under load, and each answer would be an error.
    """
    if uat.login and uat.login.get("username"):
        return
    visitor = Visitor(site)
    walled = []
    for url in uat.urls:
        path = path_of(url.url)
        try:
            answer = visitor.get(path, expected=url.status)
        except OutOfReachError:
            return  # locust counts that
        to = answer.headers.get("location")
        if answer.status != url.status and leads_to_login(answer.status, to, uat.login):
            walled.append(path)
    if walled:
        raise UsageError(
            f"{', '.join(walled)} {'leads' if len(walled) == 1 else 'lead'} to the login, and "
            f"{why_not_let_in(uat.login)}",
            id="load-not-run",
            hint=SET_LOGIN,
        )


def _read_before(file: Path | None) -> Figures | None:
    """Return the figures of an earlier run; raise UsageError where the file has none."""
    if file is None:
        return None
    try:
        return Figures(**read_object(file)["figures"])
    except (OSError, UnreadableError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} is not what an earlier load test wrote",
            id="bad-included-file",
            hint="name the file of --result of a load test before the migration with --baseline",
        ) from error


def _tables(
    load: Load, entries: list[dict[str, Any]], kinds: tuple[Kind, ...]
) -> list[dict[str, Any]]:
    rows = [["url", "requests", "errors", "p95 ms"]]
    rows += [
        [
            each["name"],
            str(each["num_requests"]),
            str(each["num_failures"]),
            f"{figures_of([each]).p95:.0f}",
        ]
        for each in entries
    ]
    wrong = [["error", "page", "times"]]
    wrong += [[kind.said, page, str(times)] for kind in kinds for page, times in kind.pages.items()]
    users = counted(load.users, "user")
    return [
        {"title": f"Load: {users} for {load.seconds} s", "rows": rows},
        *([{"title": "Load: what went wrong", "rows": wrong}] if kinds else []),
    ]


def _result(test: LoadTest, status: Status, said: str, facts: dict[str, Any]) -> Result:
    passed = status is Status.PASS
    failed = Finding(
        id="load-failed",
        severity=Severity.ERROR,
        message=said,
        hint="see what was slow, or went wrong, and put the same load on it again",
    )
    return Result(
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        summary=said,
        findings=() if passed else (failed,),
        facts=facts,
        detail=(f"Written: {shown(str(test.file))}",),
    )
