"""What a run of tests is kept as, for docs/versions.md."""

from __future__ import annotations

import re
import shutil
from datetime import datetime, timezone
from pathlib import Path
from xml.etree.ElementTree import parse  # nosec B405 - a file that our own pytest wrote

from scripts import processes
from scripts.environment import ROOT, Environment, child_environment
from scripts.versions import Run

VERSIONS = """
import platform, sys, django
from importlib.metadata import PackageNotFoundError, version
print(platform.python_version(), django.__version__)
for name in sys.argv[1:]:
    try:
        print(version(name))
        break
    except PackageNotFoundError:
        pass
"""
# How pip calls a driver; the wheel with its own libpq comes first.
PACKAGES = {"psycopg2": ("psycopg2-binary", "psycopg2"), "psycopg": ("psycopg",)}


def run_of(
    junit: Path, environment: Environment, *, driver: str, postgres: Path, tests: str
) -> Run:
    """Return the run whose outcome pytest wrote to `junit`.

    `postgres` is the server's program, and `tests` says which tests ran.
    """
    asked = _said(environment.python, "-c", VERSIONS, *PACKAGES[driver]).split()
    python, django, driver_version = asked
    suite = parse(junit).getroot().find("testsuite")  # noqa: S314  # nosec B314
    if suite is None:
        raise ValueError(f"{junit} has no testsuite")
    counts = {
        name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    }
    failed = counts["failures"] + counts["errors"]
    return Run(
        date=datetime.now(timezone.utc).date().isoformat(),
        commit=_commit(),
        python=python,
        django=django,
        driver=f"{driver} {driver_version}",
        postgresql="".join(re.findall(r"\(PostgreSQL\) (\S+)", _said(postgres, "--version"))),
        tests=tests,
        passed=counts["tests"] - failed - counts["skipped"],
        failed=failed,
        skipped=counts["skipped"],
        seconds=round(float(suite.get("time", "0")), 1),
    )


def _commit() -> str:
    git = shutil.which("git") or "git"
    changed = _said(git, "status", "--porcelain", "--untracked-files=no").strip()
    return _said(git, "rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")


def _said(*command: str | Path) -> str:
    done = processes.run(command, cwd=ROOT, environment=child_environment(), capture=True)
    return done.stdout
