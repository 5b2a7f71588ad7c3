"""What acceptance costs beside its own SQL, and side by side beside one after the other.

    DJANGO_SETTINGS_MODULE=staging_settings python benchmarks/uat.py --rows 1000000

It makes a database of its own on the server of DATABASE_URL, and drops it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "staging_settings")

import django

django.setup()

from django.core.management import CommandError, call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

DATABASE = "opsmigrate_benchmark_uat"
RUNS = 3
AIM = 1.3


def main() -> None:
    """Make the database, measure, print the ratios, and drop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    maintenance = connection.copy()
    maintenance.settings_dict["NAME"] = "postgres"
    execute(maintenance, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    execute(maintenance, f"CREATE DATABASE {DATABASE}")
    connection.settings_dict["NAME"] = DATABASE
    try:
        measure(rows)
    finally:
        connection.close()
        execute(maintenance, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        maintenance.close()


def measure(rows: int) -> None:
    """Compare a run of the database's checks with its own SQL by hand, and 4 jobs with 1."""
    with tempfile.TemporaryDirectory() as folder:
        baseline = str(Path(folder) / "baseline.json")
        quiet("make_legacy_staging", rows=rows)
        quiet("seed_payment_id")
        quiet("migrate")
        quiet("make_treasury_demo")
        execute(connection, "VACUUM ANALYZE")
        saved = timed(lambda: quiet("run_uat", save_baseline=baseline))
        options = {"tag": ["database"], "baseline": baseline, "report_dir": folder}
        report = answer(options)
        statements = [
            each["text"]
            for check in report["facts"]["checks"]
            for each in check["evidence"]
            if each["kind"] == "sql" and "%s" not in each["text"] and "…" not in each["text"]
        ]
        by_hand = best(lambda: execute_all(statements))
        serial = best(lambda: answer({**options, "jobs": 1}))
        parallel = best(lambda: answer({**options, "jobs": 4}))
        found = cent(options)
    checks = len(report["facts"]["checks"])
    print(f"{rows:,} payments, {checks} checks, {len(statements)} statements; best of {RUNS}")
    print(f"  by hand, one after the other  {by_hand:8.2f} s")
    print(f"  run_uat --jobs 1              {serial:8.2f} s  {serial / by_hand:5.2f} x by hand")
    print(f"  run_uat --jobs 4              {parallel:8.2f} s  {parallel / by_hand:5.2f} x by hand")
    print(
        f"  4 jobs against 1              {serial / parallel:8.2f} x as fast (aim: {AIM} x by hand)"
    )
    print(f"  run_uat --save-baseline       {saved:8.2f} s")
    print(f"  one cent among {rows:,}: {found}")


def cent(options: dict[str, Any]) -> str:
    """Change one payment by one cent, and return what the comparison says of it."""
    execute(connection, "UPDATE treasury_payment SET amount = amount + 0.01 WHERE id = 1")
    report = answer({**options, "tag": [], "check": ["baseline-figures"]})
    return str(report["facts"]["checks"][0]["message"])


def answer(options: dict[str, Any]) -> dict[str, Any]:
    """Run run_uat and return its JSON."""
    out = StringIO()
    try:
        call_command("run_uat", format="json", verbosity=0, stdout=out, **options)
    except CommandError as error:
        print(f"(run_uat: {error})", file=sys.stderr)
    body: dict[str, Any] = json.loads(out.getvalue())
    return body


def quiet(command: str, **options: Any) -> None:
    """Run a command without its words."""
    call_command(command, verbosity=0, stdout=StringIO(), stderr=StringIO(), **options)


def execute(session: BaseDatabaseWrapper, statement: str) -> None:
    """Execute a statement and fetch what it answers."""
    with session.cursor() as cursor:
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()


def execute_all(statements: list[str]) -> None:
    """Execute the statements one after the other."""
    for each in statements:
        execute(connection, each)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that the work takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def best(work: Callable[[], Any]) -> float:
    """Return the shortest of some runs: the others met the machine's other work."""
    return min(timed(work) for _ in range(RUNS))


if __name__ == "__main__":
    main()
