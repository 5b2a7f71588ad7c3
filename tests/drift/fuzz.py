"""python -m tests.drift.fuzz --cases N: preflight, then the real migrate, and the confusion tables.

Works on the project of DJANGO_SETTINGS_MODULE and on the server of its default alias, on which it
makes and drops databases named drift_* and a role drift_owner. The alias's role must be a
superuser: it does the damage. Preflight, once without and once with a rehearsal, and `migrate` run
as drift_owner, who owns the databases and may do no more than a usual role.
"""

import argparse
import io
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import django
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from opsmigrate.counted import counted
from opsmigrate.management.base import INTERRUPTED
from tests.drift.mutations import WAYS, choose
from tests.drift.target import OWNER, Target

LONGEST_PLAN = 20
MODES = ("off", "auto")
SUPERUSER = ""


@dataclass(frozen=True)
class Case:
    """One damaged database: what preflight said, and what migrate then did."""

    seed: int
    point: int
    damage: tuple[str, ...]
    verdicts: dict[str, str]
    applied: bool
    words: tuple[str, ...]

    def wrong(self) -> list[str]:
        """Return the modes whose verdict was not what migrate then did."""
        right = "passed" if self.applied else "failed"
        return [mode for mode, verdict in self.verdicts.items() if verdict != right]


def use(database: str, *, owner: bool = False) -> None:
    """Point the default alias at a database, as the superuser or as the owner."""
    connection.close()
    connection.settings_dict["NAME"] = database
    connection.settings_dict["USER"] = OWNER if owner else SUPERUSER
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


def make_owner() -> None:
    """Make the role that migrates, with the superuser's password, if any, and a group of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
        if cursor.fetchone() is None:
            password = connection.settings_dict["PASSWORD"] or "drift"
            cursor.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD %s", [password])
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'drift_group'")
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE ROLE drift_group ROLE {OWNER}")


def make_points(steps: list[tuple[str, str]], points: list[int]) -> None:
    """Make a template database for each point of the history, and one for its end."""
    admin(
        "DROP DATABASE IF EXISTS drift_now WITH (FORCE)",
        f"CREATE DATABASE drift_now OWNER {OWNER}",
    )
    reached = 0
    for number in [*points, len(steps)]:
        use("drift_now", owner=True)
        # Between the points, Django's executor: a command for each step takes many times as long.
        migrate_directly(steps[reached : number - 1])
        step_to(*steps[number - 1])
        reached = number
        admin(
            f"DROP DATABASE IF EXISTS drift_at_{number} WITH (FORCE)",
            f"CREATE DATABASE drift_at_{number} TEMPLATE drift_now OWNER {OWNER}",
        )
    admin("DROP DATABASE drift_now")


def migrate_directly(steps: list[tuple[str, str]]) -> None:
    """Apply these migrations, without what `migrate` does before and after them."""
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    executor.migrate(None, plan=[(graph.nodes[step], False) for step in steps])


def step_to(app: str, name: str) -> None:
    """Migrate one step; a project's post_migrate receivers may need the whole history."""
    try:
        call_command("migrate", app, name, verbosity=0)
    except Exception:
        if (app, name) not in MigrationRecorder(connection).applied_migrations():
            raise


def run_case(
    seed: int, point: int, later: Any, target: tuple[str, str] | None, ways: list[str]
) -> Case | None:
    """Damage a copy of the point, ask preflight, then migrate; None where no damage was done."""
    admin(
        "DROP DATABASE IF EXISTS drift_case WITH (FORCE)",
        f"CREATE DATABASE drift_case TEMPLATE drift_at_{point} OWNER {OWNER}",
    )
    use("drift_case")
    damage = damaged(Target(connection, later, pending(target), seed), 1 + seed % 2, ways)
    return judge(seed, point, damage, list(target or ())) if damage else None


def damaged(target: Target, times: int, ways: list[str]) -> list[str]:
    """Do so many of the named kinds of damage to the open database; return what was done."""
    damage = []
    for _ in range(times):
        name, statements = choose(target, ways)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    damage.append(f"{name}: {statement}")
        except DatabaseError:
            continue
    return damage


def judge(
    seed: int, point: int, damage: list[str], arguments: list[str], modes: Sequence[str] = MODES
) -> Case:
    """Ask preflight about the database drift_case, then migrate it."""
    use("drift_case", owner=True)
    answers = {mode: ask(arguments, mode) for mode in modes}
    applied, failure = migrate(arguments)
    verdicts = {mode: verdict for mode, (verdict, _) in answers.items()}
    words = (*(f"{mode}: {words}" for mode, (_, words) in answers.items()), f"real: {failure}")
    return Case(seed, point, tuple(damage), verdicts, applied, words)


def pending(target: tuple[str, str] | None) -> list[tuple[str, Any]]:
    """Return (app label, operation) of everything that is to be applied."""
    executor = MigrationExecutor(connection)
    nodes = [target] if target else executor.loader.graph.leaf_nodes()
    return [
        (migration.app_label, part)
        for migration, _ in executor.migration_plan(nodes)
        for operation in migration.operations
        for part in getattr(operation, "database_operations", [operation])
    ]


def ask(arguments: list[str], rehearse: str) -> tuple[str, str]:
    """Return preflight's verdict, and its summary with what it left open.

    Raises KeyboardInterrupt where a signal ended it.
    """
    out = io.StringIO()
    options = {"format": "json", "rehearse": rehearse, "verbosity": 0}
    try:
        call_command("preflight_migrate", *arguments, stdout=out, stderr=out, **options)
    except CommandError as error:
        # A command makes a report of the signal that ends it; whoever calls it goes on otherwise.
        if error.returncode == INTERRUPTED:
            raise KeyboardInterrupt from None
    report = json.loads(out.getvalue())
    opened = "; ".join(item["why"] for item in report["undecided"][:3])
    ids = ", ".join(item["id"] for item in report["findings"] if item["severity"] == "error")
    return str(report["verdict"]), f"{report['facts'].get('summary')} [{ids}] {opened}"


def migrate(arguments: list[str]) -> tuple[bool, str]:
    """Run the real migrate; return whether it applied, and its words where it did not."""
    try:
        call_command("migrate", *arguments, verbosity=0, interactive=False)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        # Where a deferred statement fails, Django leaves the transaction open.
        connection.close()
        connection.connect()
    return True, ""


def main() -> int:
    """Run the cases, print what was wrong and the table; 0 where no verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument(
        "--to-end", action="store_true", help="start near the end, and migrate to it every time"
    )
    parser.add_argument(
        "--ways", type=lambda text: text.split(","), default=[], help="only these kinds of damage"
    )
    options = parser.parse_args()
    if unknown := set(options.ways) - set(WAYS):
        parser.error(f"no such way: {', '.join(sorted(unknown))}; there are: {', '.join(WAYS)}")
    django.setup()
    global SUPERUSER
    SUPERUSER = connection.settings_dict["USER"]
    from opsmigrate.postgres.catalog import read_catalog

    admin()
    make_owner()
    steps = history()
    chooser = random.Random(options.seed)  # noqa: S311 - a repeatable choice, not a secret
    earliest = max(1, len(steps) - LONGEST_PLAN) if options.to_end else 1
    span = range(earliest, len(steps))
    points = sorted(chooser.sample(span, min(options.points, len(span))))
    table: Counter[tuple[str, str, bool]] = Counter()
    started = time.monotonic()
    try:
        make_points(steps, points)
        use(f"drift_at_{len(steps)}")
        later = read_catalog(connection)
        for seed in range(options.seed, options.seed + options.cases):
            point = chooser.choice(points)
            last = point + LONGEST_PLAN
            target = steps[last - 1] if last < len(steps) else None
            case = run_case(seed, point, later, target, options.ways)
            if case is not None:
                tell(case, table)
    finally:
        made = ["drift_now", "drift_case", *(f"drift_at_{p}" for p in (*points, len(steps)))]
        admin(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in made))
    return report(table, time.monotonic() - started)


def interruptibly(main: Callable[[], int]) -> int:
    """Run it, and let Ctrl-C and SIGTERM end it with 130 where they come."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted")
        return INTERRUPTED


def tell(case: Case, table: Counter[tuple[str, str, bool]]) -> None:
    """Count a case in the table, and print what was wrong with it."""
    for mode, verdict in case.verdicts.items():
        table[mode, verdict, case.applied] += 1
    for mode in case.wrong():
        undecided = case.verdicts[mode] == "undecided"
        if not undecided or mode == list(case.verdicts)[-1]:
            print(f"{'UNDECIDED' if undecided else 'WRONG'} {mode} {case}", flush=True)


def report(table: Counter[tuple[str, str, bool]], seconds: float) -> int:
    """Print the confusion tables; 1 where a verdict was wrong, or too few migrates failed."""
    off = {key: count for key, count in table.items() if key[0] == "off"}
    total = sum(off.values())
    failing = sum(count for (_, _, applied), count in off.items() if not applied)
    print(f"{counted(total, 'case')} in {seconds:.0f} s, migrate failed in {failing}")
    wrong = 0
    for mode in MODES:
        print(f"{'rehearse ' + mode:16}{'applied':>9}{'failed':>9}")
        for verdict in ("passed", "failed", "undecided", "usage", "refused"):
            row = table[mode, verdict, True], table[mode, verdict, False]
            print(f"{verdict:16}{row[0]:>9}{row[1]:>9}")
        wrong += table[mode, "passed", False] + table[mode, "failed", True]
    if failing * 4 < total:
        print("fewer than a quarter of the migrates failed: this run proves nothing")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(interruptibly(main))
