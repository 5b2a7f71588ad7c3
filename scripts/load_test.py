"""Put load on the site with locust and judge it: `python scripts/load_test.py --base-url URL`.

Needs the extra `load`. Only hosts of OPSMIGRATE["UAT"]["LOAD_HOSTS"] (default: this machine) are
asked, with at most LOAD_MAX_USERS users for at most LOAD_MAX_SECONDS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LOCUSTFILE = Path(__file__).resolve().parent / "load" / "locustfile.py"
# Judged without a baseline, too: no error at all, and no answer slower than this.
SLOWER_TIMES = 1.5
SLOWER_MS = 50.0
GRACE_SECONDS = 60
EXIT_CODES = {"PASS": 0, "FAIL": 1, "NOT_RUN": 3}


class LoadProblem(Exception):
    """The test cannot be run as it was asked for; the message says why, and what to type."""


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
            f"{host} is not in LOAD_HOSTS ({', '.join(uat.load_hosts)}); nobody puts load on a "
            'host by mistake: add it to OPSMIGRATE["UAT"]["LOAD_HOSTS"]'
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


def run_locust(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run locust to its end, and return its entries; raise LoadProblem where it leaves none."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "locust"
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": options.settings}
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
        return entries


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


def judge(found: Figures, before: Figures | None, max_p95_ms: float | None) -> tuple[str, str]:
    """Return the status and what to say; nothing asked is a failure, not a success."""
    said = (
        f"{found.requests} requests, {found.failures} errors, p95 {found.p95:.0f} ms, "
        f"{found.per_second:g} a second"
    )
    if not found.requests:
        return "FAIL", "not one request was made"
    faults = []
    allowed = before.failures / before.requests if before and before.requests else 0.0
    if found.failures / found.requests > allowed:
        faults.append(f"{found.failures} errors, where {allowed:.1%} was the share before")
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
    import django

    django.setup()
    from opsmigrate.conf import load_settings
    from opsmigrate.errors import OpsmigrateError
    from opsmigrate.files import require_writable, write_atomically
    from opsmigrate.uat.included import sealed
    from opsmigrate.uat.site import site_at

    try:
        settings = load_settings()
        site = site_at(options.base_url)
        refuse_excess(options, settings.uat, site.host)
        if find_spec("locust") is None:
            raise LoadProblem('locust is not installed; type: pip install "locust>=2.40"')
        before = read_before(options.baseline)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        require_writable(options.output)
        entries = run_locust(options)
    except (LoadProblem, OpsmigrateError) as problem:
        print(problem, file=sys.stderr)
        return 2
    found = figures_of(entries)
    status, saw = judge(found, before, options.max_p95_ms)
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
    body = {
        "status": status,
        "saw": saw,
        "base_url": site.base_url,
        "release": settings.release,
        "seconds": options.seconds,
        "figures": found.__dict__,
        "tables": [{"title": f"Load: {options.users} users for {options.seconds} s", "rows": rows}],
    }
    write_atomically(options.output, sealed("load-test", body))
    print(f"{status}: {saw}\nWritten: {options.output}")
    return EXIT_CODES[status]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
