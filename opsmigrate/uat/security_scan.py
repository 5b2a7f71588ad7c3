"""The security scan: code, packages, settings and headers; what was not looked at is not clean."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.checks import WARNING, run_checks

from opsmigrate.counted import counted
from opsmigrate.files import write_atomically
from opsmigrate.pgtools.run import dying_with_us, end
from opsmigrate.report import Finding, Result, Severity, Undecided, Verdict
from opsmigrate.shown import shown
from opsmigrate.steps import Step, command
from opsmigrate.uat.builtin.checks import TLS_IDS
from opsmigrate.uat.external_results import sealed
from opsmigrate.uat.headers import header_faults
from opsmigrate.uat.outcome import NotRun, Status
from opsmigrate.uat.site import OutOfReachError, Site, Visitor, site_at
from opsmigrate.uat.site_server import served_site

PATIENCE_SECONDS = 300
WORST_FIRST = (Status.FAIL, Status.NOT_RUN, Status.PASS)
VERDICTS = {
    Status.FAIL: Verdict.FAILED,
    Status.NOT_RUN: Verdict.UNDECIDED,
    Status.PASS: Verdict.PASSED,
}
# What an environment has without being its code; a project's tests may do what its code must not.
LEFT_OUT = "*/tests/*,*/.venv/*,*/venv/*,*/.demo/*,*/build/*"
MISSING = "No module named"
INSTALL = command("python -m pip install 'bandit>=1.8' 'pip-audit>=2.8'")


@dataclass(frozen=True)
class Part:
    """One part of the scan: PASS, FAIL or NOT_RUN, and what it saw."""

    name: str
    status: Status
    saw: str


def run_security_scan(
    base_url: str | None, folders: Sequence[Path], file: Path, *, release: str | None
) -> Result:
    """Look at everything, write the file that run_uat --include reads, and return the verdict.

    Without `base_url` the site is served here for as long as its headers are looked at.
    """
    started = time.monotonic()
    with _site_to_scan(base_url) as (site, why_none):
        parts = (
            scan_code(folders),
            _scan_packages(),
            _scan_settings(site),
            _scan_headers(site, why_none),
        )
    status = min((part.status for part in parts), key=WORST_FIRST.index)
    facts: dict[str, Any] = {
        "status": status.value,
        "message": "; ".join(f"{part.name}: {part.status.value}, {part.saw}" for part in parts),
        "base_url": base_url.rstrip("/") if base_url else None,
        "release": release,
        "seconds": round(time.monotonic() - started, 1),
    }
    rows = [[part.name, part.status.value, part.saw] for part in parts]
    table = {"title": "Security scan", "rows": [["part", "status", "what it saw"], *rows]}
    write_atomically(file, sealed("security-scan", {**facts, "tables": [table]}))
    return Result(
        verdict=VERDICTS[status],
        summary=", ".join(f"{part.name} {part.status.value}" for part in parts),
        findings=tuple(_finding(part) for part in parts if part.status is not Status.PASS),
        undecided=tuple(
            Undecided(part.name, part.saw) for part in parts if part.status is Status.NOT_RUN
        ),
        facts={**facts, "parts": [asdict(part) for part in parts], "file": str(file)},
        detail=(
            *(f"{part.status.value:8} {shown(f'{part.name}: {part.saw}')}" for part in parts),
            f"Written: {shown(str(file))}",
        ),
    )


def _finding(part: Part) -> Finding:
    if part.status is Status.FAIL:
        return Finding(
            id="scan-found",
            severity=Severity.ERROR,
            message=f"{part.name}: {part.saw}",
            hint="correct what it found, and scan again",
        )
    missing: tuple[Step, ...] = (INSTALL,) if MISSING in part.saw else ()
    return Finding(
        id="scan-incomplete",
        severity=Severity.ERROR,
        message=f"{part.name} was not looked at: {part.saw}",
        hint="scan again where it can reach everything, the network included",
        steps=missing,
    )


def scan_code(folders: Sequence[Path]) -> Part:
    """Have bandit read the code; findings of at least medium severity and confidence count."""
    arguments = ["bandit", "-r", "-q", "-f", "json", "--severity-level", "medium"]
    arguments += ["--confidence-level", "medium", "-x", LEFT_OUT]
    body, why = _run_json(*arguments, *map(str, folders))
    return code_part(body, why)


def code_part(body: Any, why: str) -> Part:
    """Judge bandit's JSON; no line read, or a file that could not be, is not clean."""
    if body is None:
        return Part("bandit", Status.NOT_RUN, why)
    lines = int(body["metrics"]["_totals"]["loc"])
    found = [
        f"{item['filename']}:{item['line_number']}: {item['test_id']} {item['issue_text']}"
        for item in body["results"]
    ]
    if found:
        return Part("bandit", Status.FAIL, "; ".join(found))
    if not lines or body["errors"]:
        unread = ", ".join(item["filename"] for item in body["errors"])
        saw = f"{lines} lines read; not read: {unread or 'everything'}"
        return Part("bandit", Status.NOT_RUN, saw)
    saw = f"nothing of medium or high severity and confidence in {lines} lines"
    return Part("bandit", Status.PASS, saw)


def _scan_packages() -> Part:
    """Have pip-audit look up the installed packages."""
    body, why = _run_json("pip_audit", "--format", "json", "--progress-spinner", "off")
    return packages_part(body, why)


def packages_part(body: Any, why: str) -> Part:
    """Judge pip-audit's JSON; a package that it skipped was not looked at."""
    if body is None:
        return Part("pip-audit", Status.NOT_RUN, why)
    packages = body["dependencies"]
    skipped = [item for item in packages if item.get("skip_reason")]
    vulnerable = [
        f"{item['name']} {item['version']}: {', '.join(each['id'] for each in item['vulns'])}"
        for item in packages
        if item.get("vulns")
    ]
    if vulnerable:
        return Part("pip-audit", Status.FAIL, "; ".join(vulnerable))
    if skipped or not packages:
        reason = f" ({skipped[0]['name']}: {skipped[0]['skip_reason']})" if skipped else ""
        words = f"{len(skipped)} of {counted(len(packages), 'package')} skipped{reason}"
        return Part("pip-audit", Status.NOT_RUN, words)
    words = f"no known vulnerability in {counted(len(packages), 'package')}"
    return Part("pip-audit", Status.PASS, words)


def _scan_settings(site: Site | None) -> Part:
    """Run Django's deployment checks; those of TLS are let pass for plain HTTP on loopback."""
    relaxed = TLS_IDS if site and site.is_plain_loopback else set()
    found = [
        f"{item.id}: {item.msg}"
        for item in run_checks(include_deployment_checks=True)
        if item.level >= WARNING and not item.is_silenced() and item.id not in relaxed
    ]
    if found:
        return Part("check --deploy", Status.FAIL, "; ".join(found))
    but = ", but for those of TLS (plain HTTP on loopback)" if relaxed else ""
    return Part("check --deploy", Status.PASS, f"no warnings{but}")


def _scan_headers(site: Site | None, why_none: str) -> Part:
    """Look at the headers of the site's first page."""
    if site is None:
        return Part("headers", Status.NOT_RUN, why_none)
    try:
        answer = Visitor(site).get("/")
    except OutOfReachError as error:
        return Part("headers", Status.NOT_RUN, str(error))
    faults = header_faults(answer.headers, https=site.is_secure)
    if faults:
        return Part("headers", Status.FAIL, "; ".join(faults))
    served = ", served by this run" if site.served else ""
    return Part("headers", Status.PASS, f"{answer.url}{served}: as they should be")


@contextmanager
def _site_to_scan(base_url: str | None) -> Iterator[tuple[Site | None, str]]:
    """Yield the site that was given, or one that is served here; or None, and why."""
    with ExitStack() as stack:
        site, why = None, ""
        try:
            site = site_at(base_url) if base_url else stack.enter_context(served_site(None))
        except NotRun as reason:
            why = str(reason)
        yield site, why


def _run_json(*arguments: str) -> tuple[Any, str]:
    """Run a module of this Python; return the JSON of its stdout, or None and why there is none."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*dying_with_us(), sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            # Ctrl-C on a terminal is for us; we end it, with what it started.
            start_new_session=True,
        )
        try:
            answer, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as error:
            _give_up(process)
            return None, f"no answer within {error.timeout:g} s"
        except BaseException:
            _give_up(process)
            raise
        try:
            return json.loads(answer), ""
        except ValueError:
            words.seek(0)
            lines = words.read().decode(errors="replace").strip().splitlines()
            return None, (lines or ["it said nothing"])[-1]


def _give_up(process: subprocess.Popen[bytes]) -> None:
    end(process)
    if process.stdout:
        process.stdout.close()
