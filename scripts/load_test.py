"""Put load on the site with locust and judge it: `python scripts/load_test.py --base-url URL`.

Needs the extra `load`. Only hosts of OPSMIGRATE["UAT"]["LOAD_HOSTS"] (default: this machine) are
asked, with at most LOAD_MAX_USERS users for at most LOAD_MAX_SECONDS.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django

from opsmigrate.conf import UatSettings, load_settings
from opsmigrate.counted import counted
from opsmigrate.errors import OpsmigrateError
from opsmigrate.files import require_writable, write_atomically
from opsmigrate.uat.external_results import sealed
from opsmigrate.uat.login_redirect import SET_LOGIN, leads_to_login, why_not_let_in
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.site import (
    OutOfReachError,
    Site,
    Visitor,
    path_of,
    site_at,
)

LOCUSTFILE = Path(__file__).resolve().parent / "load" / "locustfile.py"
# Judged without a baseline, too: no error at all, and no answer slower than this.
SLOWER_TIMES = 1.5
SLOWER_MS = 50.0
GRACE_SECONDS = 60
KINDS_SAID, PAGES_SAID = 3, 3
# How locust shows what the locustfile said of an answer.
CATCH = re.compile(r"""^CatchResponseError\((['"])(.*)\1\)$""", re.DOTALL)
EXIT_CODES = {"PASS": 0, "FAIL": 1, "NOT_RUN": 3}


class LoadProblem(Exception):
    """The test cannot be run as it was asked for; the message says why, and what to type."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of error, and how often each page had it."""

    said: str
    pages: dict[str, int]

    @property
    def times(self) -> int:
        """Return how often it happened."""
        return sum(self.pages.values())

    def __str__(self) -> str:
        some = list(self.pages.items())[:PAGES_SAID]
        pages = ", ".join(f"{page} {counted(times, 'time')}" for page, times in some)
        more = f", and {len(self.pages) - len(some)} more" if len(self.pages) > len(some) else ""
        return f"{self.said} {counted(self.times, 'time')} ({pages}{more})"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What locust counted; times in milliseconds."""

    requests: int
    failures: int
    p50: float
    p95: float
    per_second: float


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="staging_settings")
    parser.add_argument("--base-url", required=True, metavar="URL", help="the site")
    parser.add_argument("--users", type=int, default=10, metavar="N", help="default: 10")
    parser.add_argument("--seconds", type=int, default=30, metavar="N", help="default: 30")
    parser.add_argument(
        "--processes", type=int, default=0, metavar="N", help="worker processes on this machine"
    )
    parser.add_argument(
        "--expect-workers",
        type=int,
        default=0,
        metavar="N",
        help="be the master of N workers on other hosts (see docs/commands.md)",
    )
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="the --output of before the migration"
    )
    parser.add_argument("--max-p95-ms", type=float, metavar="MS", help="the slowest p95 allowed")
    parser.add_argument("--output", type=Path, default=Path("reports/load_test.json"))
    return parser.parse_args(argv)


def refuse_excess(options: argparse.Namespace, uat: Any, host: str) -> None:
    """Raise LoadProblem where the host is not on the list, or more is asked than allowed."""
    if host not in uat.load_hosts:
        raise LoadProblem(
            f"{host} is not in LOAD_HOSTS ({', '.join(uat.load_hosts)}); no load test runs against "
            'a host by mistake: add it to OPSMIGRATE["UAT"]["LOAD_HOSTS"]'
        )
    for name, asked, most in (
        ("--users", options.users, uat.load_max_users),
        ("--seconds", options.seconds, uat.load_max_seconds),
    ):
        if not 1 <= asked <= most:
            raise LoadProblem(f"{name} {asked} is not between 1 and {most}")


def command(options: argparse.Namespace, output: Path) -> list[str]:
    """Return the command line of locust; no secret is part of it: it reads the settings itself."""
    line = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"]
    line += ["--host", options.base_url, "--users", str(options.users)]
    line += ["--spawn-rate", str(max(1, options.users // 2)), "--run-time", f"{options.seconds}s"]
    line += ["--only-summary", "--json-file", str(output), "--exit-code-on-error", "0"]
    if options.expect_workers:
        line += ["--master", "--expect-workers", str(options.expect_workers)]
    elif options.processes:
        line += ["--processes", str(options.processes)]
    return line


def require_login(site: Site, uat: UatSettings) -> None:
    """Raise LoadProblem where key pages lead to the login, and the settings have no account.

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
        raise LoadProblem(
            f"{', '.join(walled)} {'leads' if len(walled) == 1 else 'lead'} to the login, and "
            f"{why_not_let_in(uat.login)}: {SET_LOGIN}"
        )


def run_locust(options: argparse.Namespace) -> tuple[list[dict[str, Any]], tuple[Kind, ...]]:
    """Run locust to its end, and return its entries and the kinds of its errors.

    Raises LoadProblem where it leaves none.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        output, errors = Path(folder) / "locust", Path(beside) / "errors.json"
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": options.settings,
            "OPSMIGRATE_LOAD_ERRORS": str(errors),
        }
        try:
            done = subprocess.run(
                command(options, output),
                env=environment,
                cwd=LOCUSTFILE.parent.parent.parent,
                capture_output=True,
                text=True,
                check=False,
                timeout=options.seconds + GRACE_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadProblem(f"locust did not end within {error.timeout:g} s") from error
        try:
            written = next(Path(folder).glob("locust*"))
            entries: list[dict[str, Any]] = json.loads(written.read_text(encoding="utf-8"))
        except (StopIteration, ValueError) as error:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LoadProblem(f"locust ended with {done.returncode}: {last}") from error
        found = json.loads(errors.read_text(encoding="utf-8")) if errors.exists() else []
        return entries, kinds_of(found)


def kinds_of(errors: Sequence[dict[str, Any]]) -> tuple[Kind, ...]:
    """Return the errors by what they were, the most frequent first."""
    pages: dict[str, Counter[str]] = {}
    for each in errors:
        said = CATCH.sub(r"\2", each["error"])
        pages.setdefault(said, Counter())[each["name"]] += int(each["times"])
    kinds = (Kind(said=said, pages=dict(found.most_common())) for said, found in pages.items())
    return tuple(sorted(kinds, key=lambda kind: -kind.times))


def figures_of(entries: Sequence[dict[str, Any]]) -> Figures:
    """Return the figures over all entries."""
    times: dict[float, int] = {}
    for entry in entries:
        for milliseconds, number in entry["response_times"].items():
            key = float(milliseconds)
            times[key] = times.get(key, 0) + int(number)
    requests = sum(int(entry["num_requests"]) for entry in entries)
    begin = min((entry["start_time"] for entry in entries), default=0)
    end = max((entry["last_request_timestamp"] or 0 for entry in entries), default=0)
    return Figures(
        requests=requests,
        failures=sum(int(entry["num_failures"]) for entry in entries),
        p50=percentile(times, 0.50),
        p95=percentile(times, 0.95),
        per_second=round(requests / max(end - begin, 0.001), 1),
    )


def percentile(times: dict[float, int], share: float) -> float:
    """Return the time within which that share of the requests was answered."""
    wanted, seen = share * sum(times.values()), 0
    for milliseconds in sorted(times):
        seen += times[milliseconds]
        if seen >= wanted:
            return milliseconds
    return 0.0


def judge(
    found: Figures,
    before: Figures | None,
    max_p95_ms: float | None,
    kinds: Sequence[Kind] = (),
) -> tuple[str, str]:
    """Return the status and what to say; nothing asked is a failure, not a success."""
    said = (
        f"{counted(found.requests, 'request')}, {counted(found.failures, 'error')}, "
        f"p95 {found.p95:.0f} ms, {found.per_second:g} a second"
    )
    if not found.requests:
        return "FAIL", "not one request was made"
    faults = []
    allowed = before.failures / before.requests if before and before.requests else 0.0
    if found.failures / found.requests > allowed:
        what = "".join(f"; {kind}" for kind in kinds[:KINDS_SAID])
        some = counted(found.failures, "error")
        share = f", where {allowed:.1%} was the share before" if before else ""
        faults.append(f"{some}{share}{what}")
    limits = [] if max_p95_ms is None else [(max_p95_ms, "--max-p95-ms")]
    if before:
        limit = max(before.p95 * SLOWER_TIMES, before.p95 + SLOWER_MS)
        limits.append((limit, f"{before.p95:.0f} ms before"))
    faults += [
        f"p95 is {found.p95:.0f} ms, over {limit:.0f} ms ({why})"
        for limit, why in limits
        if found.p95 > limit
    ]
    if not limits:
        said += "; the times were not judged: give --baseline or --max-p95-ms"
    return ("FAIL", f"{'; '.join(faults)} ({said})") if faults else ("PASS", said)


def read_before(file: Path | None) -> Figures | None:
    """Return the figures of an earlier run; raise LoadProblem where the file has none."""
    if file is None:
        return None
    try:
        return Figures(**json.loads(file.read_text(encoding="utf-8"))["figures"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadProblem(f"{file} is not what an earlier load test wrote: {error}") from error


def main(argv: Sequence[str]) -> int:
    """Run the test, write what run_uat --include reads, and return the exit code."""
    options = parse(argv)
    os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
    django.setup()

    try:
        settings = load_settings()
        site = site_at(options.base_url)
        refuse_excess(options, settings.uat, site.host)
        require_login(site, settings.uat)
        if find_spec("locust") is None:
            raise LoadProblem('locust is not installed; type: pip install "locust>=2.40"')
        before = read_before(options.baseline)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        require_writable(options.output)
        entries, kinds = run_locust(options)
    except (LoadProblem, OpsmigrateError, Failed) as problem:
        print(problem, file=sys.stderr)
        return 2
    found = figures_of(entries)
    status, saw = judge(found, before, options.max_p95_ms, kinds)
    rows = [["url", "requests", "errors", "p95 ms"]]
    rows += [
        [
            entry["name"],
            str(entry["num_requests"]),
            str(entry["num_failures"]),
            f"{figures_of([entry]).p95:.0f}",
        ]
        for entry in entries
    ]
    users = counted(options.users, "user")
    wrong = [["error", "page", "times"]]
    wrong += [[kind.said, page, str(times)] for kind in kinds for page, times in kind.pages.items()]
    body = {
        "status": status,
        "message": saw,
        "base_url": site.base_url,
        "release": settings.release,
        "seconds": options.seconds,
        "figures": found.__dict__,
        "tables": [
            {
                "title": f"Load: {users} for {options.seconds} s",
                "rows": rows,
            },
            *([{"title": "Load: what went wrong", "rows": wrong}] if kinds else []),
        ],
    }
    write_atomically(options.output, sealed("load-test", body))
    print(f"{status}: {saw}\nWritten: {options.output}")
    return EXIT_CODES[status]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
