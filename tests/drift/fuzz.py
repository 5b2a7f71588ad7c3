"""python -m tests.drift.fuzz --cases N: preflight, then the real migrate, and the confusion table.

Works on the project of DJANGO_SETTINGS_MODULE and on the server of its default alias, on which it
makes and drops databases named drift_*. The alias's role must be able to create databases.
"""

import argparse
import contextlib
import io
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import django
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

LONGEST_PLAN = 20


@dataclass(frozen=True)
class Case:
    """One damaged database: what preflight said, and what migrate then did."""

    seed: int
    point: int
    damage: tuple[str, ...]
    verdict: str
    applied: bool
    words: str


def use(database: str) -> None:
    """Point the default alias at a database."""
    connection.close()
    connection.settings_dict["NAME"] = database
    connection.connect()


def admin(*statements: str) -> None:
    """Execute statements in the maintenance database."""
    use("postgres")
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def history() -> list[tuple[str, str]]:
    """Return every migration in the order in which migrate applies them."""
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    plan = executor.migration_plan(leaves, clean_start=True)
    return [(migration.app_label, migration.name) for migration, _ in plan]


def make_points(steps: list[tuple[str, str]], points: list[int]) -> None:
    """Make a template database for each point of the history, and one for its end."""
    admin("DROP DATABASE IF EXISTS drift_now WITH (FORCE)", "CREATE DATABASE drift_now")
    for number, (app, name) in enumerate(steps, 1):
        use("drift_now")
        call_command("migrate", app, name, verbosity=0)
        if number in points or number == len(steps):
            admin(
                f"DROP DATABASE IF EXISTS drift_at_{number} WITH (FORCE)",
                f"CREATE DATABASE drift_at_{number} TEMPLATE drift_now",
            )
    admin("DROP DATABASE drift_now")


def run_case(seed: int, point: int, later: Any, target: tuple[str, str] | None) -> Case | None:
    """Damage a copy of the point, ask preflight, then migrate; None where no damage was done."""
    from tests.drift.mutations import Drift

    admin(
        "DROP DATABASE IF EXISTS drift_case WITH (FORCE)",
        f"CREATE DATABASE drift_case TEMPLATE drift_at_{point}",
    )
    use("drift_case")
    damage = []
    drift = Drift(connection, later, seed)
    for _ in range(1 + seed % 2):
        name, statements = drift.choose()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    damage.append(f"{name}: {statement}")
        except DatabaseError:
            continue
    if not damage:
        return None
    arguments = list(target or ())
    verdict, words = ask(arguments)
    applied, failure = migrate(arguments)
    return Case(seed, point, tuple(damage), verdict, applied, f"{words} | {failure}")


def ask(arguments: list[str]) -> tuple[str, str]:
    """Return preflight's verdict and summary."""
    out = io.StringIO()
    with contextlib.suppress(CommandError):
        call_command(
            "preflight_migrate", *arguments, format="json", stdout=out, stderr=out, verbosity=0
        )
    report = json.loads(out.getvalue())
    return str(report["verdict"]), str(report["facts"]["summary"])


def migrate(arguments: list[str]) -> tuple[bool, str]:
    """Run the real migrate; return whether it applied, and its words where it did not."""
    try:
        call_command("migrate", *arguments, verbosity=0, interactive=False)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".splitlines()[0]
    return True, ""


def main() -> int:
    """Run the cases, print what was wrong and the table; 0 where no verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=8)
    options = parser.parse_args()
    django.setup()
    from opsmigrate.postgres.catalog import read_catalog

    admin()
    steps = history()
    chooser = random.Random(options.seed)  # noqa: S311 - a repeatable choice, not a secret
    points = sorted(chooser.sample(range(1, len(steps)), min(options.points, len(steps) - 1)))
    make_points(steps, points)
    use(f"drift_at_{len(steps)}")
    later = read_catalog(connection)
    table: Counter[tuple[str, bool]] = Counter()
    started = time.monotonic()
    for seed in range(options.seed, options.seed + options.cases):
        point = chooser.choice(points)
        last = point + LONGEST_PLAN
        case = run_case(seed, point, later, steps[last - 1] if last < len(steps) else None)
        if case is None:
            continue
        table[case.verdict, case.applied] += 1
        if case.verdict != ("passed" if case.applied else "failed"):
            print(f"WRONG {case}", flush=True)
    admin(*[f"DROP DATABASE IF EXISTS drift_at_{p} WITH (FORCE)" for p in (*points, len(steps))])
    admin("DROP DATABASE IF EXISTS drift_case WITH (FORCE)")
    return report(table, time.monotonic() - started)


def report(table: Counter[tuple[str, bool]], seconds: float) -> int:
    """Print the confusion table; 1 where a verdict was wrong, or too few migrates failed."""
    total = sum(table.values())
    failing = sum(count for (_, applied), count in table.items() if not applied)
    print(f"{total} cases in {seconds:.0f} s, migrate failed in {failing}")
    print(f"{'':12}{'applied':>9}{'failed':>9}")
    for verdict in ("passed", "failed", "undecided", "usage", "refused"):
        print(f"{verdict:12}{table[verdict, True]:>9}{table[verdict, False]:>9}")
    wrong = table["passed", False] + table["failed", True]
    if failing * 4 < total:
        print("fewer than a quarter of the migrates failed: this run proves nothing")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
