"""Scan code, packages, settings and headers: `python scripts/security_scan.py --base-url URL`.

Needs the extra `scan`. Without --base-url it serves the site itself, as run_uat does. What could
not be looked at is NOT_RUN, never clean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsmigrate.uat.site import Site

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PATIENCE_SECONDS = 300
EXIT_CODES = {"PASS": 0, "FAIL": 1, "NOT_RUN": 3}
WORST_FIRST = ("FAIL", "NOT_RUN", "PASS")


@dataclass(frozen=True)
class Part:
    """One part of the scan: PASS, FAIL or NOT_RUN, and what it saw."""

    name: str
    status: str
    saw: str


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="staging_settings")
    parser.add_argument(
        "--base-url", metavar="URL", help="the running site; default: one served here"
    )
    parser.add_argument(
        "--code",
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of code for bandit; may be given several times (default: the current folder)",
    )
    parser.add_argument("--output", type=Path, default=Path("reports/security_scan.json"))
    return parser.parse_args(argv)


def run_json(*arguments: str) -> tuple[Any, str]:
    """Run a module of this Python; return the JSON of its stdout, or None and why there is none."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        return json.loads(done.stdout), ""
    except subprocess.TimeoutExpired as error:
        return None, f"no answer within {error.timeout:g} s"
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return None, last


def scan_code(folders: Sequence[Path]) -> Part:
    """Have bandit read the code; findings of at least medium severity and confidence count."""
    arguments = ["bandit", "-r", "-q", "-f", "json", "--severity-level", "medium"]
    arguments += ["--confidence-level", "medium"]
    exclude = ["-x", "*/tests/*,*/.venv/*,*/venv/*,*/.demo/*,*/build/*"]
    body, why = run_json(*arguments, *exclude, *map(str, folders))
    return code_part(body, why)


def code_part(body: Any, why: str) -> Part:
    """Judge bandit's JSON; no line read, or a file that could not be, is not clean."""
    if body is None:
        return Part("bandit", "NOT_RUN", why)
    lines = int(body["metrics"]["_totals"]["loc"])
    found = [
        f"{item['filename']}:{item['line_number']}: {item['test_id']} {item['issue_text']}"
        for item in body["results"]
    ]
    if found:
        return Part("bandit", "FAIL", "; ".join(found))
    if not lines or body["errors"]:
        unread = ", ".join(item["filename"] for item in body["errors"])
        return Part("bandit", "NOT_RUN", f"{lines} lines read; not read: {unread or 'everything'}")
    return Part(
        "bandit", "PASS", f"nothing of medium or high severity and confidence in {lines} lines"
    )


def scan_packages() -> Part:
    """Have pip-audit look up the installed packages."""
    body, why = run_json("pip_audit", "--format", "json", "--progress-spinner", "off")
    return packages_part(body, why)


def packages_part(body: Any, why: str) -> Part:
    """Judge pip-audit's JSON; a package that it skipped was not looked at."""
    if body is None:
        return Part("pip-audit", "NOT_RUN", why)
    from opsmigrate.counted import counted

    packages = body["dependencies"]
    skipped = [item for item in packages if item.get("skip_reason")]
    vulnerable = [
        f"{item['name']} {item['version']}: {', '.join(each['id'] for each in item['vulns'])}"
        for item in packages
        if item.get("vulns")
    ]
    if vulnerable:
        return Part("pip-audit", "FAIL", "; ".join(vulnerable))
    if skipped or not packages:
        reason = f" ({skipped[0]['name']}: {skipped[0]['skip_reason']})" if skipped else ""
        words = f"{len(skipped)} of {counted(len(packages), 'package')} skipped{reason}"
        return Part("pip-audit", "NOT_RUN", words)
    return Part(
        "pip-audit", "PASS", f"no known vulnerability in {counted(len(packages), 'package')}"
    )


def scan_settings(site: Site | None) -> Part:
    """Run Django's deployment checks; those of TLS are let pass for plain HTTP on loopback."""
    from django.core.checks import WARNING, run_checks

    from opsmigrate.uat.builtin.checks import TLS_IDS

    relaxed = TLS_IDS if site and site.is_plain_loopback else set()
    found = [
        f"{item.id}: {item.msg}"
        for item in run_checks(include_deployment_checks=True)
        if item.level >= WARNING and not item.is_silenced() and item.id not in relaxed
    ]
    if found:
        return Part("check --deploy", "FAIL", "; ".join(found))
    but = ", but for those of TLS (plain HTTP on loopback)" if relaxed else ""
    return Part("check --deploy", "PASS", f"no warnings{but}")


def scan_headers(site: Site | None, why_none: str) -> Part:
    """Look at the headers of the site's first page."""
    from opsmigrate.uat.headers import header_faults
    from opsmigrate.uat.site import OutOfReachError, Visitor

    if site is None:
        return Part("headers", "NOT_RUN", why_none)
    try:
        answer = Visitor(site).get("/")
    except OutOfReachError as error:
        return Part("headers", "NOT_RUN", str(error))
    faults = header_faults(answer.headers, https=site.is_secure)
    if faults:
        return Part("headers", "FAIL", "; ".join(faults))
    served = ", served by this run" if site.served else ""
    return Part("headers", "PASS", f"{answer.url}{served}: as they should be")


@contextmanager
def site_to_scan(base_url: str | None) -> Iterator[tuple[Site | None, str]]:
    """Yield the site that was given, or one that is served here; or None, and why."""
    from opsmigrate.uat.outcome import NotRun
    from opsmigrate.uat.site import site_at
    from opsmigrate.uat.site_server import served_site

    with ExitStack() as stack:
        site, why = None, ""
        try:
            site = site_at(base_url) if base_url else stack.enter_context(served_site(None))
        except NotRun as reason:
            why = str(reason)
        yield site, why


def main(argv: Sequence[str]) -> int:
    """Run every part, write what run_uat --include reads, and return the exit code."""
    options = parse(argv)
    os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
    import django

    django.setup()
    from opsmigrate.conf import load_settings
    from opsmigrate.errors import OpsmigrateError
    from opsmigrate.files import require_writable, write_atomically
    from opsmigrate.uat.external_results import sealed

    started = time.monotonic()
    try:
        settings = load_settings()
        options.output.parent.mkdir(parents=True, exist_ok=True)
        require_writable(options.output)
        with site_to_scan(options.base_url) as (site, why_none):
            parts = [
                scan_code(options.code or [Path.cwd()]),
                scan_packages(),
                scan_settings(site),
                scan_headers(site, why_none),
            ]
    except OpsmigrateError as problem:
        print(problem, file=sys.stderr)
        return 2
    status = min((part.status for part in parts), key=WORST_FIRST.index)
    saw = "; ".join(f"{part.name}: {part.status}, {part.saw}" for part in parts)
    rows = [["part", "status", "what it saw"], *([p.name, p.status, p.saw] for p in parts)]
    body = {
        "status": status,
        "message": saw,
        "base_url": options.base_url.rstrip("/") if options.base_url else None,
        "release": settings.release,
        "seconds": round(time.monotonic() - started, 1),
        "tables": [{"title": "Security scan", "rows": rows}],
    }
    write_atomically(options.output, sealed("security-scan", body))
    for part in parts:
        print(f"{part.status:8} {part.name}: {part.saw}")
    print(f"Written: {options.output}")
    return EXIT_CODES[status]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
